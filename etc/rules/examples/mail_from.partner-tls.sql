-- Partners agreed to write to us within TLS only. Whoever asks them to try again without it is not them.
--
-- $ parcelpost rules test mail_from role=mx from=a@partner.example
--   530 5.7.0 Mail from partner.example comes within TLS
-- $ parcelpost rules test mail_from role=mx from=a@sub.partner.example tls=TLSv1.1
--   530 5.7.0 Mail from sub.partner.example comes within TLS
-- $ parcelpost rules test mail_from role=mx from=a@partner.example tls=TLSv1.3
--   no rule objects
-- $ parcelpost rules test mail_from role=mx from=a@notpartner.example
--   no rule objects
SELECT '530 5.7.0 Mail from ' || :from_domain || ' comes within TLS'
  FROM (VALUES ('partner.example'), ('bank.example'))
 WHERE (:from_domain = column1 OR :from_domain LIKE '%.' || column1) AND :tls NOT IN ('TLSv1.2', 'TLSv1.3');
