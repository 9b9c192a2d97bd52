-- A greeting that says whose server this is, and on the port for members something else. The name before it, and ESMTP,
-- stay: other servers read them.
--
-- $ parcelpost rules test connect role=mx
--   banner: Example Ltd. No unsolicited mail. (sql:connect:1)
--   no rule objects
-- $ parcelpost rules test connect role=submission
--   banner: Members of Example Ltd. (sql:connect:1)
-- $ parcelpost rules test connect role=lmtp
--   no rule objects
SELECT NULL, CASE :role WHEN 'mx' THEN 'Example Ltd. No unsolicited mail.'
                        WHEN 'submission' THEN 'Members of Example Ltd.' END AS banner;
