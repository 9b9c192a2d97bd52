-- Mail that names a bank in its From field is signed by the bank, or it is not from there.
--
-- $ parcelpost rules test message "header_from=Bank <x@bank.example>" dkim=dkim=none
--   550 5.7.1 Mail from bank.example is signed by bank.example
-- $ parcelpost rules test message "header_from=Bank <x@bank.example>" "dkim=dkim=pass header.d=bank.example header.s=a"
--   no rule objects
-- $ parcelpost rules test message header_from=a@example.net dkim=dkim=none
--   no rule objects
SELECT '550 5.7.1 Mail from bank.example is signed by bank.example'
 WHERE :header_from LIKE '%@bank.example%' AND instr(:dkim || ' ', 'dkim=pass header.d=bank.example ') = 0;
