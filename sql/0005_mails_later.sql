-- Mail that its sender asked to be released later is found by operators' filters.
CREATE INDEX mails_later ON mails(hold_until) WHERE hold_until IS NOT NULL;
