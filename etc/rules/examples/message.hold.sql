-- What looks like the swindle of the week is held: a person decides (parcelpost queue list, release or remove), and the
-- sender knows nothing of it.
--
-- $ parcelpost rules test message role=mx "subject=URGENT: new bank details" header_from=boss@example.net
--   hold: new bank details from boss@example.net (sql:message:1)
--   no rule objects
-- $ parcelpost rules test message role=mx "subject=old bank details" header_from=boss@example.net
--   no rule objects
-- $ parcelpost rules test message role=submission "subject=new bank details" header_from=coco@example.test
--   no rule objects
SELECT NULL, 'new bank details from ' || :header_from AS hold
 WHERE :role = 'mx' AND :subject LIKE '%new bank details%';
