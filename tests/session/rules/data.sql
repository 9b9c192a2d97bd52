SELECT '451 4.7.1 A notice to ' || :rcpt_count || ' recipient comes later' WHERE :from = '';
