SELECT '250 2.1.5 <' || address || '>' FROM users WHERE :argument = 'staff' ORDER BY address;
