-- The same message again, within the hour: its sender's server did not hear our 250, or does not care.
--
-- History: <again@example.net> has come.
-- $ parcelpost rules test message role=mx message_id=<again@example.net>
--   550 5.7.1 You sent <again@example.net> before
-- $ parcelpost rules test message role=mx message_id=<new@example.net>
--   no rule objects
-- $ parcelpost rules test message role=mx message_id=
--   no rule objects
SELECT '550 5.7.1 You sent ' || :message_id || ' before'
  FROM mails
 WHERE :role = 'mx' AND message_id = :message_id AND :message_id <> '' AND received_at > datetime('now', '-1 hour')
 LIMIT 1;
