-- Whoever guesses at names is sent away after the tenth within a day, or the third in one session.
--
-- History: 192.0.2.20 has guessed 10 times.
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.20 rcpt=coco@example.test
--   421 4.7.1 You guess too much
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.1 rcpt_refused=3 rcpt=coco@example.test
--   421 4.7.1 You guess too much
-- $ parcelpost rules test rcpt_to role=mx remote_ip=192.0.2.1 rcpt_refused=2 rcpt=coco@example.test
--   no rule objects
SELECT '421 4.7.1 You guess too much'
 WHERE :role = 'mx'
   AND (:rcpt_refused >= 3
        OR (SELECT count(*) FROM violations JOIN contacts ON contacts.id = contact_id
             WHERE contacts.remote_ip = :contact AND rule = 'recipient-unknown'
               AND violations.created_at > datetime('now', '-1 day')) >= 10);
