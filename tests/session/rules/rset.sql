SELECT '450 4.7.1 not after ' || :ehlo WHERE :ehlo = '[192.0.2.1]';
