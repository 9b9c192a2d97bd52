-- Contacts that were locked out more than five times, and never sent a message that we took, are not greeted at all.
--
-- $ parcelpost rules test connect locks=6 remote_ip=192.0.2.1
--   554 5.7.1 mail.example.test does not want to hear from 192.0.2.1
-- $ parcelpost rules test connect locks=6 remote_ip=192.0.2.1 "accepted_at=2026-01-01 00:00:00"
--   no rule objects
-- $ parcelpost rules test connect locks=5 remote_ip=192.0.2.1
--   no rule objects
SELECT '554 5.7.1 ' || :server_name || ' does not want to hear from ' || :remote_ip
 WHERE :locks > 5 AND :accepted_at IS NULL;
