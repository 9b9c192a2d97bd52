/* SPDX-License-Identifier: MIT
 * The addresses of a From, To or Cc field (RFC 5322 3.4): mailboxes and groups, comments, quoted names; values only. */
#ifndef MAIL_MAILBOX_LIST_H
#define MAIL_MAILBOX_LIST_H
#include "mail/address.h"
#define MAILBOX_SIZE 512
/* Takes the next address off *rest (start with the field's unfolded value), without name, comments and route. False at
 * the end; or, and *bad is set, where it is no list of addresses, or one is too long. */
bool mailbox_list_next(struct text *rest, char address[MAILBOX_SIZE], bool *bad);
/* The same for who has written a message: words without an at sign are passed over (a name with a comma that should be
 * in quotes), anything else that is no address is bad. */
bool mailbox_list_author(struct text *rest, struct address *author, bool *bad);
#endif
