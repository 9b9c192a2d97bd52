-- A block list of one's own: addresses, domains and what is below them. Filled by hand, or by a program that reads the
-- complaints; the reason is for the log only.
--
-- table: CREATE TABLE blocked_senders (pattern TEXT PRIMARY KEY COLLATE NOCASE, why TEXT NOT NULL)
-- table: INSERT INTO blocked_senders VALUES ('junk.example', 'complaint 4711'), ('pest@example.net', 'asked by coco')
--
-- $ parcelpost rules test mail_from from=a@very.Junk.example
--   log: blocked: complaint 4711 (sql:mail_from:1)
--   550 5.7.1 We take no mail from a@very.Junk.example
-- $ parcelpost rules test mail_from from=Pest@example.net
--   550 5.7.1 We take no mail from Pest@example.net
-- $ parcelpost rules test mail_from from=a@example.net
--   no rule objects
SELECT '550 5.7.1 We take no mail from ' || :from, 'blocked: ' || why AS log
  FROM blocked_senders
 WHERE pattern IN (:from, :from_domain) OR :from_domain LIKE '%.' || pattern
 LIMIT 1;
