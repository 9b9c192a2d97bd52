-- Members see in their mail program when a sender is new to us, and what DNS lists say of him: fields to filter by.
--
-- $ parcelpost rules test headers role=mx remote_ip=192.0.2.1 dnsbl_score=3 listed_in=bl.example
--   header: X-Sender-History: first message (sql:headers:1)
--   header: X-Listed: bl.example (3) (sql:headers:2)
--   no rule objects
-- $ parcelpost rules test headers role=mx remote_ip=192.0.2.1 "accepted_at=2026-01-01 00:00:00"
--   no rule objects
SELECT NULL, 'X-Sender-History: first message' AS header
 WHERE :role = 'mx' AND :accepted_at IS NULL;
SELECT NULL, 'X-Listed: ' || :listed_in || ' (' || :dnsbl_score || ')' AS header
 WHERE :role = 'mx' AND :dnsbl_score > 0;
