/* SPDX-License-Identifier: MIT
 * One DNS question of `parcelpost check` and `parcelpost dns query`, asked of the configured name servers and waited
 * for. */
#ifndef CONTROL_QUESTION_H
#define CONTROL_QUESTION_H
#include "config/config.h"
#include "dns/dns.h"
/* Visits every record; the outcome. */
typedef void question_visit(void *context, const struct dns_item *item);
enum dns_outcome question_ask(const struct config *config, const char *name, enum dns_question_type type,
                              question_visit *visit, void *context);
const char *question_outcome_words(enum dns_outcome outcome);
#endif
