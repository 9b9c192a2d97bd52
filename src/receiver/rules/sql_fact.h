/* SPDX-License-Identifier: MIT
 * Private to the sql_fact files: getters of the facts that the operator's rules name. */
#ifndef RECEIVER_SQL_FACT_H
#define RECEIVER_SQL_FACT_H
#include "base/buffer.h"
#include "mail/sql_rule.h"

struct session;
/* The value lies in the session, or is written into scratch, which is empty. */
typedef struct text fact_function(const struct session *session, struct buffer *scratch);
/* NULL where the other table has it, or where it is looked up beside the rules. */
extern fact_function *const sql_session_facts[SQL_FACTS], *const sql_mail_facts[SQL_FACTS];
struct text sql_fact_number(struct buffer *scratch, uint64_t value);

#define STRING_FACT(name, expression)                                                                                  \
    static struct text name(const struct session *session, struct buffer *scratch) {                                   \
        (void)scratch;                                                                                                 \
        return text_of(expression);                                                                                    \
    }
#define NUMBER_FACT(name, expression)                                                                                  \
    static struct text name(const struct session *session, struct buffer *scratch) {                                   \
        return sql_fact_number(scratch, (expression));                                                                 \
    }
#endif
