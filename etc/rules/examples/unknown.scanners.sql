-- Programs that look for other programs' holes say so with their first word: they are done here.
--
-- $ parcelpost rules test unknown verb=wiz
--   log: a scanner: wiz (sql:unknown:1)
--   421 4.7.0 Goodbye
-- $ parcelpost rules test unknown verb=SSH-2.0-Go
--   421 4.7.0 Goodbye
-- $ parcelpost rules test unknown verb=MALI
--   no rule objects
SELECT '421 4.7.0 Goodbye', 'a scanner: ' || :verb AS log
 WHERE upper(:verb) IN ('WIZ', 'DEBUG', 'SHELL', 'USER', 'PASS') OR :verb LIKE 'SSH-%';
