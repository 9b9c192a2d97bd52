-- <> is for notices, and a notice has one recipient (RFC 5321 4.5.5).
--
-- $ parcelpost rules test data from= rcpt_count=2
--   550 5.7.1 A notice with 2 recipients is none
-- $ parcelpost rules test data from= rcpt_count=1
--   no rule objects
-- $ parcelpost rules test data from=a@example.net rcpt_count=2
--   no rule objects
SELECT '550 5.7.1 A notice with ' || :rcpt_count || ' recipients is none'
 WHERE :from = '' AND :rcpt_count > 1;
