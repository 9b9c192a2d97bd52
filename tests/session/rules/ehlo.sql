-- A bare word is nobody's name.
SELECT '550 5.7.1 EHLO needs a full domain name, not "' || :ehlo || '"'
 WHERE instr(:ehlo, '.') = 0 AND :role = 'submission';
