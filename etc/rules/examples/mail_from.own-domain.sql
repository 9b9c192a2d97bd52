-- Nobody out there writes in the name of a domain of ours: also not of an address that does not exist, which the server's
-- own rule (members use their own port) leaves alone. Forwarders that keep our senders need an exception, as the first
-- statement makes one.
--
-- $ parcelpost rules test mail_from role=mx from=boss@Example.test
--   550 5.7.1 Mail from example.test is sent by its members, who log in
-- $ parcelpost rules test mail_from role=mx from=boss@example.test remote_name=out.forwarder.example
--   250 2.0.0 a forwarder
-- $ parcelpost rules test mail_from role=submission authenticated=1 from=coco@example.test
--   no rule objects
-- $ parcelpost rules test mail_from role=mx from=a@example.net
--   no rule objects
SELECT '250 a forwarder' WHERE :remote_name IN ('out.forwarder.example');
SELECT '550 5.7.1 Mail from ' || domain || ' is sent by its members, who log in'
  FROM domains
 WHERE domain = :from_domain AND NOT :authenticated AND NOT :trusted AND :role = 'mx';
