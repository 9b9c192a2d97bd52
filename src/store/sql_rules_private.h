/* SPDX-License-Identifier: MIT
 * Private to the sql_rules files of store/: a connection that is locked down, and the statements of one file. */
#ifndef STORE_SQL_RULES_PRIVATE_H
#define STORE_SQL_RULES_PRIVATE_H
#include "store/sql_rules.h"
struct sqlite3;
struct sqlite3_stmt;
struct sql_statement {
    struct sqlite3_stmt *handle; /* NULL: could not be prepared, problem says why */
    unsigned line;
    char *problem;
};
struct sql_file {
    struct sql_statement *statements;
    size_t count;
};
struct sql_lock { /* what the authorizer refused last */
    char refused[96];
};
/* in_network(ip, network): 1 when the address is in the network, "192.0.2.0/24", else 0. */
void sql_add_functions(struct sqlite3 *handle);
/* From now on this connection prepares nothing but what a rule may ask. lock: lives as long as the connection. */
void sql_lock_down(struct sqlite3 *handle, struct sql_lock *lock);
/* Prepares the statements of a file; one that is wrong gets a problem instead of a handle. */
void sql_file_prepare(struct sqlite3 *handle, struct sql_lock *lock, const struct sql_rule_file *source,
                      enum rule_stage stage, struct sql_file *file);
void sql_file_free(struct sql_file *file);
/* False, and problem says why: a column that is no action at this stage, or a constant reply that no rule may give. */
bool sql_columns_check(struct sqlite3_stmt *handle, enum rule_stage stage, struct text sql, struct buffer *problem);
/* Whether it has statements, and which facts they name. */
void sql_file_facts(const struct sql_file *file, struct sql_fact_set *named);
#endif
