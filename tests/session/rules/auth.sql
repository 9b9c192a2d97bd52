SELECT '535 5.7.8 ' || :account || ' is on holiday' WHERE :account = 'mike@example.test';
