-- Large messages of strangers come at night (UTC), when the line is free.
--
-- $ parcelpost rules test message role=mx size=20000000 "time=2026-11-22 12:00:00"
--   451 4.7.1 Messages above 10 MB are taken from 20:00 to 6:00 UTC
-- $ parcelpost rules test message role=mx size=20000000 "time=2026-11-22 23:00:00"
--   no rule objects
-- $ parcelpost rules test message role=mx size=1000 "time=2026-11-22 12:00:00"
--   no rule objects
SELECT '451 4.7.1 Messages above 10 MB are taken from 20:00 to 6:00 UTC'
 WHERE :role = 'mx' AND :size > 10000000 AND time(:time) BETWEEN '06:00:00' AND '19:59:59';
