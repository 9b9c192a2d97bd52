SELECT '421 4.7.1 enough' WHERE :argument = 'enough';
