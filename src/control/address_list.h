/* SPDX-License-Identifier: MIT
 * The mailboxes of an RFC 5322 3.4 address-list, as To, Cc and Bcc fields hold them. Values, no I/O. */
#ifndef CONTROL_ADDRESS_LIST_H
#define CONTROL_ADDRESS_LIST_H
#include "base/text.h"
#include <stdbool.h>
/* address: "local@domain", or "local" as it was written; borrowed until the visit returns. False: stop. */
typedef bool address_list_visit(void *context, const char *address);
/* Visits every mailbox of the field's value (folded or not): comments, display names, routes and groups are skipped.
 * False when the list is malformed, or a visit said stop. */
bool address_list_each(struct text value, address_list_visit *visit, void *context);
#endif
