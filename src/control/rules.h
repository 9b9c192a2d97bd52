/* SPDX-License-Identifier: MIT
 * What `parcelpost rules test` and `rules replay` share: the rules as they are in the files, and facts that follow from
 * others. */
#ifndef CONTROL_RULES_H
#define CONTROL_RULES_H
#include "control/control.h"
#include "store/sql_rules.h"
/* The files, checked, and the databases opened; NULL after saying what is wrong, with *status to end with. */
struct sql_engine *rules_open(struct control *control, struct sql_rules *rules, int *status);
/* Fills the domains of addresses and this server's name where they are not given. */
void rules_derive(const struct control *control, struct text values[SQL_FACTS]);
#endif
