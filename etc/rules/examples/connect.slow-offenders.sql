-- Whoever has violations on his account waits for the greeting: two seconds for each, ten at most. Honest servers have
-- none, and spam senders are in a hurry.
--
-- $ parcelpost rules test connect role=mx violations=2
--   delay: 4000 (sql:connect:1)
--   no rule objects
-- $ parcelpost rules test connect role=mx violations=40
--   delay: 10000 (sql:connect:1)
-- $ parcelpost rules test connect role=mx violations=0
--   no rule objects
SELECT NULL, min(10000, 2000 * :violations) AS delay
 WHERE :role = 'mx' AND :violations > 0;
