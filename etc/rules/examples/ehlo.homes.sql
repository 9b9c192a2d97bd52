-- Addresses that a provider gives to homes: their mail comes by way of the provider's server, which is told with a 450 so
-- that nothing is lost where this is wrong.
--
-- $ parcelpost rules test ehlo role=mx ehlo=a.example.net remote_name=7.dyn.example
--   450 4.7.1 7.dyn.example looks like a home; please send through your provider
-- $ parcelpost rules test ehlo role=submission ehlo=a.example.net remote_name=7.dyn.example
--   no rule objects
-- $ parcelpost rules test ehlo role=mx ehlo=a.example.net remote_name=mx.example.net
--   no rule objects
SELECT '450 4.7.1 ' || :remote_name || ' looks like a home; please send through your provider'
 WHERE :role = 'mx' AND (:remote_name LIKE '%dynamic%' OR :remote_name LIKE '%.dyn.%' OR :remote_name LIKE '%.dsl.%');
