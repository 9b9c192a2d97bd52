-- A domain that says -all means it; one that only thinks so (~all) makes its client wait a little.
--
-- $ parcelpost rules test mail_from role=mx spf=fail from=a@example.net remote_ip=192.0.2.1
--   550 5.7.23 example.net does not let 192.0.2.1 send its mail
-- $ parcelpost rules test mail_from role=mx spf=softfail from=a@example.net
--   delay: 5000 (sql:mail_from:2)
--   no rule objects
-- $ parcelpost rules test mail_from role=mx spf=pass from=a@example.net
--   no rule objects
SELECT '550 5.7.23 ' || :from_domain || ' does not let ' || :remote_ip || ' send its mail' WHERE :spf = 'fail';
SELECT NULL, 5000 AS delay WHERE :spf = 'softfail';
