/* SPDX-License-Identifier: MIT
 * The operator's rules against the database: reading their files, checking every statement, asking those of one stage.
 * A rule is a SELECT that may read everything but password hashes, and change nothing: an authorizer refuses the rest
 * when it is prepared. Facts are bound values, never text of a statement. */
#ifndef STORE_SQL_RULES_H
#define STORE_SQL_RULES_H
#include "base/buffer.h"
#include "mail/reply.h"
#include "mail/sql_action.h"
#include "mail/sql_rule.h"

/* Reads DIRECTORY/<stage>.sql for each stage; no directory, or "": no rules. False: a file that cannot be read, or that
 * belongs to no stage; error says which. */
bool sql_rules_read(const char *directory, struct sql_rules *rules, struct buffer *error);
/* Prepares every statement against this program's tables and those that the operator added to `database` (which need
 * not exist yet), and notes what each file asks. False: "FILE:LINE: what is wrong" of the first one. */
bool sql_rules_check(struct sql_rules *rules, const char *database, struct buffer *error);

/* Both databases opened for reading, every statement prepared. rules: borrowed. A statement that cannot be prepared any
 * more fails when it is asked. NULL: the database cannot be opened, error says why. */
struct sql_engine;
struct sql_engine *sql_engine_open(const char *database, const char *users, const struct sql_rules *rules,
                                   struct buffer *error);
void sql_engine_close(struct sql_engine *engine);
enum sql_outcome {
    SQL_SILENT, /* no statement gave a row whose first column is not NULL; actions may have been taken */
    SQL_SPOKE,  /* *reply is the answer: 2xx, 4xx or 5xx; or there are places */
    SQL_FAILED  /* an error of the operator's; error says "FILE:LINE: what" */
};
/* One action that a row asks for; its value was found to be one that the action takes. rule: as sql_engine_ask's. */
typedef void sql_take_action(void *context, const char *rule, enum sql_action action, struct text value);
struct sql_question {
    enum rule_stage stage;
    struct text values[SQL_FACTS]; /* data NULL: not known, bound as NULL */
    int64_t milliseconds;          /* for all statements together */
    sql_take_action *take;         /* NULL: actions are left out. What fails later may have asked for some */
    void *context;                 /* of take */
    struct buffer *places;         /* RULE_CLIENT_LOOKUP: gets its rows, as aliases_targets gives them; or NULL */
};
/* Asks the statements of a stage in order, up to the first that speaks. rule: "sql:<stage>:<n>" of the one that spoke
 * or failed. The contact's counts are looked up when they are not given. */
enum sql_outcome sql_engine_ask(struct sql_engine *engine, const struct sql_question *question, struct reply *reply,
                                char rule[SQL_RULE_NAME_SIZE], struct buffer *error);
/* Every statement: its rule name, its file, line and text. */
typedef void sql_visit(void *context, const char *rule, const char *path, unsigned line, const char *sql);
void sql_engine_list(const struct sql_engine *engine, sql_visit *visit, void *context);
#endif
