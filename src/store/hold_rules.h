/* SPDX-License-Identifier: MIT
 * Mail that an operator wants held when it comes: the rows of hold_rules, kept in memory by the spool and compared with
 * every envelope. Costs nothing while there is no rule. False on a database error. */
#ifndef STORE_HOLD_RULES_H
#define STORE_HOLD_RULES_H
#include "base/network.h"
#include "mail/envelope.h"
#include "store/database.h"

enum hold_kind { HOLD_SENDER, HOLD_RECIPIENT, HOLD_DOMAIN, HOLD_ACCOUNT, HOLD_IP, HOLD_KINDS };
struct hold_rule {
    enum hold_kind kind;
    char *pattern, *reason;
    struct network network; /* of HOLD_IP */
};
struct hold_rules {
    struct hold_rule *rules;
    size_t count;
};
const char *hold_kind_name(enum hold_kind kind);
bool hold_kind_parse(struct text name, enum hold_kind *kind);
/* True for what a rule of this kind can be: an address or network for HOLD_IP, else anything but nothing. */
bool hold_pattern_is_valid(enum hold_kind kind, const char *pattern);
/* Reads all rows in place of what it has; on an error it keeps that. */
bool hold_rules_read(struct database *database, struct hold_rules *rules);
void hold_rules_free(struct hold_rules *rules);
/* The first rule that this recipient of the message falls under, or NULL. '*' in a pattern stands for anything, letters
 * count alike in both cases. */
const struct hold_rule *hold_rules_find(const struct hold_rules *rules, const struct envelope *envelope,
                                        uint32_t recipient);
/* What the row of a held parcel says: "held by rule KIND PATTERN: REASON". The caller frees it. */
char *hold_rule_words(const struct hold_rule *rule);
/* A rule that is there already gets the new reason. */
bool hold_rules_add(struct database *database, enum hold_kind kind, const char *pattern, const char *reason,
                    int64_t now);
/* *removed: how many there were, 0 or 1. */
bool hold_rules_remove(struct database *database, enum hold_kind kind, const char *pattern, int64_t *removed);
#endif
