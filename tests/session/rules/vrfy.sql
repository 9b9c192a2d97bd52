SELECT '250 2.1.5 <' || address || '>' FROM users WHERE address = :argument;
