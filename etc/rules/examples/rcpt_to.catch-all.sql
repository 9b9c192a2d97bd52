-- A domain whose addresses all lead somewhere (parcelpost alias add @shop.example office@example.test): what is for
-- orders-NUMBER goes to the order desk, and what was published once too often goes nowhere.
--
-- $ parcelpost rules test rcpt_to rcpt=orders-4711@shop.example
--   recipient: orders@example.test (sql:rcpt_to:1)
--   no rule objects
-- $ parcelpost rules test rcpt_to rcpt=contest2019@shop.example
--   550 5.1.1 contest2019@shop.example was closed
-- $ parcelpost rules test rcpt_to rcpt=anybody@shop.example
--   no rule objects
-- $ parcelpost rules test rcpt_to rcpt=orders-4711@example.test
--   no rule objects
SELECT NULL, 'orders@example.test' AS recipient
 WHERE :rcpt_domain = 'shop.example' AND lower(:rcpt) GLOB 'orders-[0-9]*';
SELECT '550 5.1.1 ' || :rcpt || ' was closed'
 WHERE lower(:rcpt) IN ('contest2019@shop.example', 'newsletter@shop.example');
