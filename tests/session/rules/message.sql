SELECT '550 5.7.1 We do not want "' || :subject || '"' WHERE :subject LIKE '%offer%';

SELECT '550 5.7.1 coco does not want this'
 WHERE :rcpt = 'coco@example.test' AND :rcpt_domain = 'example.test' AND :subject = 'not for coco';
