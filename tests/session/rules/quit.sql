SELECT '250 2.0.0 never sent';
