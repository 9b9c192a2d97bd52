/* SPDX-License-Identifier: MIT
 * What an address is to us: the operator's client_lookup.sql is asked first, then the table aliases. Private to this
 * folder. */
#ifndef LOOKUP_CLIENT_LOOKUP_H
#define LOOKUP_CLIENT_LOOKUP_H
#include "lookup/answers.h"
#include "store/aliases.h"
/* As aliases_targets. An error is logged. */
enum aliases_found client_lookup(struct lookup *lookup, struct text key, unsigned limit, struct buffer *rows);
#endif
