-- At most 20 messages an hour from one stranger.
--
-- History: 192.0.2.20 has sent 20.
-- $ parcelpost rules test mail_from role=mx remote_ip=192.0.2.20
--   451 4.7.1 That is enough for this hour
-- $ parcelpost rules test mail_from role=mx remote_ip=192.0.2.21
--   no rule objects
SELECT '451 4.7.1 That is enough for this hour'
 WHERE :role = 'mx'
   AND (SELECT count(*) FROM mails JOIN contacts ON contacts.id = contact_id
         WHERE contacts.remote_ip = :contact AND received_at > datetime('now', '-1 hour')) >= 20;
