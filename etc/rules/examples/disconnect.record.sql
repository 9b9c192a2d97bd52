-- After the end nobody reads an answer, but a 5xx is recorded, and counts: whoever had five errors and sent nothing, and
-- on the port for members whoever did not even log in within ten commands. The rest is for the log.
--
-- $ parcelpost rules test disconnect role=mx errors=5 mails_sent=0
--   550 5.7.1 5 errors and no message
-- $ parcelpost rules test disconnect role=submission commands=10 authenticated=0
--   550 5.7.1 10 commands and no login
-- $ parcelpost rules test disconnect role=mx errors=5 mails_sent=1 session_seconds=900
--   log: 900 seconds for 1 messages (sql:disconnect:3)
--   no rule objects
-- $ parcelpost rules test disconnect role=mx errors=0 mails_sent=1
--   no rule objects
SELECT '550 5.7.1 ' || :errors || ' errors and no message' WHERE :role = 'mx' AND :errors >= 5 AND :mails_sent = 0;
SELECT '550 5.7.1 ' || :commands || ' commands and no login'
 WHERE :role = 'submission' AND :commands >= 10 AND NOT :authenticated;
SELECT NULL, :session_seconds || ' seconds for ' || :mails_sent || ' messages' AS log WHERE :session_seconds > 600;
