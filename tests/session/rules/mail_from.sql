-- An exception, then the rule.
SELECT '250 partner' WHERE :from = 'partner@example.net';
SELECT '550 5.7.1 We take no mail from ' || :from_domain WHERE :from_domain = 'example.net' AND :size > 1000;
