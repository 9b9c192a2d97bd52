-- A mailbox for our own members alone, and one that was given up: two rows are two lines.
--
-- $ parcelpost rules test rcpt_to rcpt=everybody@example.test
--   550 5.7.1 everybody@example.test takes mail from members only
-- $ parcelpost rules test rcpt_to rcpt=Info@example.test
--   550-5.7.1 This mailbox was given up in 2020.
--   550 5.7.1 Please write to office@example.test.
-- $ parcelpost rules test rcpt_to rcpt=everybody@example.test authenticated=1
--   no rule objects
SELECT '550 5.7.1 ' || :rcpt || ' takes mail from members only'
 WHERE lower(:rcpt) = 'everybody@example.test' AND NOT :authenticated AND NOT :trusted;
SELECT column1 FROM (VALUES ('550 5.7.1 This mailbox was given up in 2020.'),
                            ('550 5.7.1 Please write to office@example.test.'))
 WHERE lower(:rcpt) = 'info@example.test';
