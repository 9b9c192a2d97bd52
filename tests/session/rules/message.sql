SELECT '550 5.7.1 We do not want "' || :subject || '"' WHERE :subject LIKE '%offer%';
