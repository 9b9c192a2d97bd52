-- A first message goes to a few people, not to fifty: what is too much comes in another transaction, when the first one was
-- welcome.
--
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.1 rcpt_count=10 rcpt=a@example.test
--   452 4.5.3 Too many recipients for a first message
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.1 rcpt_count=10 rcpt=a@example.test "accepted_at=2026-01-01 00:00:00"
--   no rule objects
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.1 rcpt_count=9 rcpt=a@example.test
--   no rule objects
SELECT '452 4.5.3 Too many recipients for a first message'
 WHERE :role = 'mx' AND :accepted_at IS NULL AND :rcpt_count >= 10;
