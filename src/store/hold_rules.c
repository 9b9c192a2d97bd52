/* SPDX-License-Identifier: MIT
 * Hold rules, see hold_rules.h. Called by the spool in the ledger for each message, by orders/ for changes. */
#include "store/hold_rules.h"
#include "base/memory.h"
#include "store/statements.h"
#include <stdlib.h>
#include <string.h>

static const char *const names[HOLD_KINDS] = {[HOLD_SENDER] = "sender",
                                              [HOLD_RECIPIENT] = "recipient",
                                              [HOLD_DOMAIN] = "domain",
                                              [HOLD_ACCOUNT] = "account",
                                              [HOLD_IP] = "ip"};

const char *hold_kind_name(enum hold_kind kind) {
    return names[kind];
}

bool hold_kind_parse(struct text name, enum hold_kind *kind) {
    for (*kind = 0; *kind < HOLD_KINDS; (*kind)++) {
        if (text_equal(name, text_of(names[*kind]))) {
            return true;
        }
    }
    return false;
}

bool hold_pattern_is_valid(enum hold_kind kind, const char *pattern) {
    struct network network;
    return kind == HOLD_IP ? network_parse(text_of(pattern), &network) : pattern[0] != '\0';
}

void hold_rules_free(struct hold_rules *rules) {
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->rules[i].pattern);
        free(rules->rules[i].reason);
    }
    free(rules->rules);
    *rules = (struct hold_rules){0};
}

/* A row by hand may be nonsense: it is skipped. */
static void take_row(struct sqlite3_stmt *row, struct hold_rules *rules) {
    enum hold_kind kind;
    const char *pattern = column_string(row, 1);
    struct hold_rule rule = {.kind = HOLD_KINDS};
    if (!hold_kind_parse(text_of(column_string(row, 0)), &kind) || !hold_pattern_is_valid(kind, pattern)) {
        return;
    }
    rule.kind = kind;
    if (kind == HOLD_IP) {
        (void)network_parse(text_of(pattern), &rule.network);
    }
    rule.pattern = memory_string(text_of(pattern));
    rule.reason = memory_string(text_of(column_string(row, 2)));
    rules->rules = memory_resize(rules->rules, rules->count + 1, sizeof *rules->rules);
    rules->rules[rules->count++] = rule;
}

bool hold_rules_read(struct database *database, struct hold_rules *rules) {
    struct hold_rules fresh = {0};
    struct sqlite3_stmt *rows = statement_query(database, STATEMENT_HOLD_RULES, BINDS_NONE);
    enum statement_result result;
    while ((result = statement_step(rows)) == STATEMENT_ROW) {
        take_row(rows, &fresh);
    }
    statement_end(rows);
    hold_rules_free(result == STATEMENT_DONE ? rules : &fresh);
    if (result == STATEMENT_DONE) {
        *rules = fresh;
    }
    return result == STATEMENT_DONE;
}

/* '*' is any run of bytes. Each star is tried at its shortest first; only the last one need ever be lengthened. */
static bool matches(const char *pattern, const char *value) {
    const char *star = NULL, *tried = NULL;
    while (*value != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            tried = value;
        } else if (text_equal_nocase((struct text){pattern, *pattern != '\0'}, (struct text){value, 1})) {
            pattern++;
            value++;
        } else if (star != NULL) {
            pattern = star + 1;
            value = ++tried;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool has_domain(const char *pattern, const char *address) {
    const char *at = strrchr(address, '@');
    return at != NULL && matches(pattern, at + 1);
}

static bool contains(const struct hold_rule *rule, const char *ip) {
    struct network_address address;
    return network_parse_ip(text_of(ip), 0, &address) && network_contains(&rule->network, &address);
}

static bool catches(const struct hold_rule *rule, const struct envelope *envelope, uint32_t recipient) {
    const struct envelope_recipient *to = &envelope->recipients[recipient];
    switch (rule->kind) {
    case HOLD_SENDER:
        return strcmp(rule->pattern, "<>") == 0 ? envelope->from_url[0] == '\0'
                                                : matches(rule->pattern, envelope->from_url);
    case HOLD_RECIPIENT:
        return matches(rule->pattern, to->to_url) || matches(rule->pattern, to->target);
    case HOLD_DOMAIN:
        return has_domain(rule->pattern, to->to_url) || has_domain(rule->pattern, to->target);
    case HOLD_ACCOUNT:
        return matches(rule->pattern, envelope->account);
    case HOLD_IP:
        return contains(rule, envelope->remote_ip);
    case HOLD_KINDS:
        break;
    }
    return false;
}

const struct hold_rule *hold_rules_find(const struct hold_rules *rules, const struct envelope *envelope,
                                        uint32_t recipient) {
    for (size_t i = 0; i < rules->count; i++) {
        if (catches(&rules->rules[i], envelope, recipient)) {
            return &rules->rules[i];
        }
    }
    return NULL;
}

char *hold_rule_words(const struct hold_rule *rule) {
    struct buffer words;
    buffer_init(&words, 2048);
    (void)buffer_format(&words, "held by rule %s %.500s", names[rule->kind], rule->pattern);
    if (rule->reason[0] != '\0') {
        (void)buffer_format(&words, ": %.1000s", rule->reason);
    }
    char *copy = memory_string(buffer_text(&words));
    buffer_free(&words);
    return copy;
}

bool hold_rules_add(struct database *database, enum hold_kind kind, const char *pattern, const char *reason,
                    int64_t now) {
    return statement_run(database, STATEMENT_HOLD_RULE_ADD,
                         BINDS(bind_string(names[kind]), bind_string(pattern), bind_string(reason), bind_time(now)));
}

bool hold_rules_remove(struct database *database, enum hold_kind kind, const char *pattern, int64_t *removed) {
    bool good =
        statement_run(database, STATEMENT_HOLD_RULE_REMOVE, BINDS(bind_string(names[kind]), bind_string(pattern)));
    *removed = good ? statement_changes(database) : 0;
    return good;
}
