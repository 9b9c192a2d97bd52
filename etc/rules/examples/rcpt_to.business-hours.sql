-- The order desk takes mail when somebody is there (UTC); at other times the sender's server keeps it and tries again.
--
-- $ parcelpost rules test rcpt_to rcpt=orders@example.test weekday=7 "time=2026-11-22 12:00:00"
--   450 4.7.1 orders@example.test reads mail from Monday to Friday, 8:00 to 17:00 UTC
-- $ parcelpost rules test rcpt_to rcpt=Orders@example.test weekday=1 "time=2026-11-23 07:59:59"
--   450 4.7.1 Orders@example.test reads mail from Monday to Friday, 8:00 to 17:00 UTC
-- $ parcelpost rules test rcpt_to rcpt=orders@example.test weekday=1 "time=2026-11-23 08:00:00"
--   no rule objects
-- $ parcelpost rules test rcpt_to rcpt=coco@example.test weekday=7 "time=2026-11-22 12:00:00"
--   no rule objects
SELECT '450 4.7.1 ' || :rcpt || ' reads mail from Monday to Friday, 8:00 to 17:00 UTC'
 WHERE lower(:rcpt) = 'orders@example.test'
   AND (:weekday > 5 OR time(:time) NOT BETWEEN '08:00:00' AND '16:59:59');
