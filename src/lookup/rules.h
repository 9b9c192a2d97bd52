/* SPDX-License-Identifier: MIT
 * The operator's rules as a lookup worker asks them. Private to this folder. */
#ifndef LOOKUP_RULES_H
#define LOOKUP_RULES_H
#include "config/config.h"
#include "ipc/list.h"
#include "mail/reply.h"
#include "store/sql_rules.h"
#include <sys/types.h>

struct rules_file { /* which file was opened */
    dev_t device;
    ino_t inode;
};
struct rules { /* zero it, then set config and rules */
    const struct config *config;
    const struct sql_rules *rules; /* NULL: none */
    struct sql_engine *engine;     /* NULL: not open */
    struct rules_file opened[2];
    bool complained;
};
struct rules_said {
    enum rule_answer outcome;
    struct reply reply;            /* with RULE_ANSWER_REPLY */
    char rule[SQL_RULE_NAME_SIZE]; /* of the statement that spoke or failed */
    struct buffer actions;         /* a list of struct action_item; the caller's */
};
/* LOOKUP_RULE: false for a malformed list of facts. */
bool rules_answer(struct rules *rules, const struct lookup_rule *question, struct rules_said *said);
/* Whether there is a statement for this. */
bool rules_have(const struct rules *rules, enum rule_stage stage);
/* client_lookup.sql: appends where this key leads, as aliases_targets does. SQL_FAILED: logged. */
enum sql_outcome rules_places(struct rules *rules, struct text key, struct buffer *rows);
void rules_close(struct rules *rules);
#endif
