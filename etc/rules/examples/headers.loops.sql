-- Mail that has been here before: a list of ours that somebody feeds back, or a robot that answers robots.
--
-- $ parcelpost rules test headers "list_id=News <news.example.test>" role=mx
--   554 5.4.6 news.example.test is a list of ours: this message has been here
-- $ parcelpost rules test headers auto_submitted=auto-replied received_count=12 header_from=a@example.net
--   554 5.4.6 Two robots are talking to each other
-- $ parcelpost rules test headers "header=X-Loop: coco@example.test"
--   554 5.4.6 this message has been here
-- $ parcelpost rules test headers "list_id=<news.example.net>" received_count=12
--   no rule objects
SELECT '554 5.4.6 ' || domain || ' is a list of ours: this message has been here'
  FROM (SELECT rtrim(substr(:list_id, instr(:list_id, '<') + 1), '> ') AS domain)
 WHERE :role = 'mx' AND domain IN ('news.example.test', 'staff.example.test');
SELECT '554 5.4.6 Two robots are talking to each other'
 WHERE :auto_submitted LIKE 'auto-%' AND :received_count > 10;
SELECT '554 5.4.6 this message has been here'
 WHERE char(10) || :header || char(10) LIKE '%' || char(10) || 'X-Loop: %@example.test' || char(10) || '%';
