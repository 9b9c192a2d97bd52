-- Names that no mail server has: ours (but for this host itself), localhost, a bare word, somebody else's address.
--
-- $ parcelpost rules test ehlo role=mx remote_ip=192.0.2.1 ehlo=Mail.example.test
--   550 5.7.1 Mail.example.test is this server, not you
-- $ parcelpost rules test ehlo role=mx remote_ip=192.0.2.1 ehlo=localhost
--   550 5.7.1 EHLO needs a full domain name, not "localhost"
-- $ parcelpost rules test ehlo role=mx remote_ip=192.0.2.1 ehlo=[192.0.2.9] ehlo_is_literal=1
--   550 5.7.1 Your address is 192.0.2.1, not [192.0.2.9]
-- $ parcelpost rules test ehlo role=mx remote_ip=192.0.2.1 ehlo=[192.0.2.1] ehlo_is_literal=1
--   no rule objects
-- $ parcelpost rules test ehlo role=mx remote_ip=127.0.0.1 ehlo=mail.example.test
--   no rule objects
-- $ parcelpost rules test ehlo role=mx remote_ip=192.0.2.1 ehlo=mx.example.net
--   no rule objects
SELECT '550 5.7.1 ' || :ehlo || ' is this server, not you'
 WHERE lower(:ehlo) = :server_name AND :remote_ip NOT IN ('unix', :local_ip, '127.0.0.1', '::1');
SELECT '550 5.7.1 EHLO needs a full domain name, not "' || :ehlo || '"'
 WHERE :role = 'mx' AND NOT :ehlo_is_literal AND (instr(:ehlo, '.') = 0 OR :ehlo LIKE 'localhost.%');
SELECT '550 5.7.1 Your address is ' || :remote_ip || ', not ' || :ehlo
 WHERE :role = 'mx' AND :ehlo_is_literal AND lower(:ehlo) NOT IN ('[' || :remote_ip || ']', '[ipv6:' || :remote_ip || ']');
