SELECT '214 2.0.0 Ask ' || :server_name;
