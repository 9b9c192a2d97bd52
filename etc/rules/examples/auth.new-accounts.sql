-- An account that was made today sends nothing before somebody has looked at it; mail programs of the last century are told
-- to go.
--
-- $ parcelpost rules test auth tls=TLSv1.1 account=mike@example.test
--   535 5.7.8 Please update your mail program: it speaks TLSv1.1
-- $ parcelpost rules test auth tls=TLSv1.3 account=coco@example.test
--   454 4.7.0 This account is not active yet
-- $ parcelpost rules test auth tls=TLSv1.3 account=old@example.test
--   no rule objects
SELECT '535 5.7.8 Please update your mail program: it speaks ' || :tls
 WHERE :tls NOT IN ('TLSv1.3', 'TLSv1.2');
SELECT '454 4.7.0 This account is not active yet'
  FROM users WHERE address = :account AND created_at > datetime('now', '-1 day');
