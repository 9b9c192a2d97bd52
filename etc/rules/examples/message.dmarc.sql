-- What the author's own domain wants refused is refused, but for lists that break signatures and are known here; what it
-- wants in quarantine gets a field to filter by.
--
-- $ parcelpost rules test message role=mx dmarc=fail dmarc_policy=reject header_from=boss@bank.example
--   550 5.7.26 boss@bank.example is not from there, says its domain
-- $ parcelpost rules test message role=mx dmarc=fail dmarc_policy=quarantine header_from=boss@bank.example
--   header: X-DMARC: fail (sql:message:2)
--   no rule objects
-- $ parcelpost rules test message role=mx dmarc=fail dmarc_policy=reject header_from=a@b.example "list_id=<users.lists.example>"
--   no rule objects
-- $ parcelpost rules test message role=mx dmarc=pass dmarc_policy=reject header_from=boss@bank.example
--   no rule objects
SELECT '550 5.7.26 ' || :header_from || ' is not from there, says its domain'
 WHERE :dmarc = 'fail' AND :dmarc_policy = 'reject' AND :list_id NOT LIKE '%.lists.example>';
SELECT NULL, 'X-DMARC: fail' AS header WHERE :dmarc = 'fail' AND :dmarc_policy = 'quarantine';
