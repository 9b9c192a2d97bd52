-- Whom to call, one row a line.
--
-- $ parcelpost rules test help
--   214-2.0.0 This server is looked after by postmaster@mail.example.test.
--   214 2.0.0 Its rules: https://www.example.test/mail
-- $ parcelpost rules test help role=submission
--   no rule objects
SELECT column1 FROM (VALUES ('214 2.0.0 This server is looked after by postmaster@' || :server_name || '.'),
                            ('214 2.0.0 Its rules: https://www.example.test/mail'))
 WHERE :role <> 'submission';
