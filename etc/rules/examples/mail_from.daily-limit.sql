-- A login sends to at most 500 recipients a day, whatever its program: a stolen password is worth little. Those who send
-- newsletters have a limit of their own, in a table.
--
-- table: CREATE TABLE daily_limits (account TEXT PRIMARY KEY, recipients INTEGER NOT NULL)
-- table: INSERT INTO daily_limits VALUES ('news@example.test', 100000)
--
-- History: busy@example.test and news@example.test have sent to 500 each.
-- $ parcelpost rules test mail_from authenticated=1 account=busy@example.test
--   451 4.7.1 busy@example.test has sent enough for today
-- $ parcelpost rules test mail_from authenticated=1 account=news@example.test
--   no rule objects
-- $ parcelpost rules test mail_from authenticated=1 account=coco@example.test
--   no rule objects
SELECT '451 4.7.1 ' || :account || ' has sent enough for today'
 WHERE :authenticated
   AND (SELECT count(*) FROM parcels JOIN mails USING (mail_id)
         WHERE account = :account AND received_at > datetime('now', '-1 day'))
       >= ifnull((SELECT recipients FROM daily_limits WHERE account = :account), 500);
