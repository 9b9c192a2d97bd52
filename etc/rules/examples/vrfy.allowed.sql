-- Members, and the monitoring host, may ask who is here; a 2xx is sent in place of the server's own 252.
--
-- $ parcelpost rules test vrfy argument=Coco@example.test authenticated=1
--   250 2.1.5 <coco@example.test>
-- $ parcelpost rules test vrfy argument=coco@example.test remote_ip=10.1.2.3
--   250 2.1.5 <coco@example.test>
-- $ parcelpost rules test vrfy argument=nobody@example.test authenticated=1
--   550 5.1.1 nobody@example.test is nobody
-- $ parcelpost rules test vrfy argument=coco@example.test remote_ip=192.0.2.1
--   no rule objects
WITH allowed AS (SELECT 1 WHERE :authenticated OR in_network(:remote_ip, '10.0.0.0/8'))
SELECT ifnull((SELECT '250 2.1.5 <' || address || '>' FROM users WHERE address = lower(:argument)),
              '550 5.1.1 ' || :argument || ' is nobody')
  FROM allowed;
