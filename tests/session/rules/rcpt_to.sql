SELECT column1 FROM (VALUES ('550 5.7.1 This mailbox was given up.'), ('550 5.7.1 Please write to coco@example.test.'))
 WHERE :rcpt = 'mike@example.test';
