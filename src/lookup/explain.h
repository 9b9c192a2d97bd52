/* SPDX-License-Identifier: MIT
 * What lookup would answer, for people. Called by `parcelpost alias test`, under the operator's own privileges. */
#ifndef LOOKUP_EXPLAIN_H
#define LOOKUP_EXPLAIN_H
#include "config/config.h"
/* Prints where mail to the address goes, from that sender ("" for <>). 0; 67 when it is refused, 75 when it waits. */
int lookup_explain(const struct config *config, const char *address, const char *sender);
#endif
