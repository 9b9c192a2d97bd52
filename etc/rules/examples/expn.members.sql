-- Members may see who a list's members are.
--
-- $ parcelpost rules test expn argument=staff@example.test authenticated=1
--   250-2.1.5 <coco@example.test>
--   250 2.1.5 <mike@example.test>
-- $ parcelpost rules test expn argument=staff@example.test
--   no rule objects
SELECT '250 2.1.5 <' || target || '>' FROM aliases WHERE address = :argument AND :authenticated ORDER BY target;
