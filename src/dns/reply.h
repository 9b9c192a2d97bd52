/* SPDX-License-Identifier: MIT
 * Building a struct dns_reply item by item. Private to this folder. */
#ifndef DNS_REPLY_H
#define DNS_REPLY_H
#include "dns/dns.h"
#define REPLY_ITEMS_MAXIMUM 512u         /* more records than that are left out */
#define REPLY_BYTES_MAXIMUM (96u * 1024) /* more text than that is left out: whole items, never parts */
/* An empty reply, owned. */
struct dns_reply *dns_reply_new(enum dns_outcome outcome);
/* Appends a copy; false when it would pass a limit. The items' values are valid after dns_reply_finish. */
bool dns_reply_add(struct dns_reply *reply, unsigned preference, struct text value);
void dns_reply_finish(struct dns_reply *reply);
#endif
