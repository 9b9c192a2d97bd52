-- Networks that nothing good comes from (a country's, say), kept in a table of one's own: change it any time, no restart.
--
-- table: CREATE TABLE refused_networks (network TEXT PRIMARY KEY, why TEXT NOT NULL)
-- table: INSERT INTO refused_networks VALUES ('198.51.100.0/24', 'the owner was told'), ('2001:db8:bad::/48', 'nobody there')
--
-- $ parcelpost rules test connect role=mx remote_ip=198.51.100.9
--   log: refused network 198.51.100.0/24: the owner was told (sql:connect:1)
--   554 5.7.1 We take no mail from 198.51.100.9
-- $ parcelpost rules test connect role=mx remote_ip=2001:db8:bad::1
--   554 5.7.1 We take no mail from 2001:db8:bad::1
-- $ parcelpost rules test connect role=mx remote_ip=192.0.2.9
--   no rule objects
-- $ parcelpost rules test connect role=submission remote_ip=198.51.100.9
--   no rule objects
SELECT '554 5.7.1 We take no mail from ' || :remote_ip,
       'refused network ' || network || ': ' || why AS log
  FROM refused_networks
 WHERE :role = 'mx' AND in_network(:remote_ip, network)
 LIMIT 1;
