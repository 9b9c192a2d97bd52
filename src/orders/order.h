/* SPDX-License-Identifier: MIT
 * What an operator may have changed: one row a verb in order.c, one function each. Run by the ledger for whoever its
 * control socket lets in, and by `parcelpost` itself while no server runs, so that a verb is written once. Failures are
 * exit statuses with a sentence. */
#ifndef ORDERS_ORDER_H
#define ORDERS_ORDER_H
#include "base/buffer.h"
#include "base/exit_status.h"
#include "spool/spool.h"
#include "store/contacts.h"

/* What is left to do for the caller, when the order returns and before it is answered. */
enum order_effect {
    ORDER_BATCH = 1,    /* something was added to the batch: end it */
    ORDER_RUNNER = 2,   /* the queue runner should read the database */
    ORDER_CONTACT = 4,  /* order->contact says what a lockout became */
    ORDER_CONTACTS = 8, /* several lockouts may have changed */
};
struct order {
    struct spool *spool;
    struct contacts_policy policy;
    bool resident; /* a server runs: a lockout's end can be told to its listener */
    uint32_t uid;  /* who asks */
    const char *verb, *argument, *detail;
    struct buffer *answer; /* gets a sentence */
    int64_t *record;       /* the row of operator_changes that this continues, 0: none yet */
    /* what it did */
    int64_t affected; /* how many parcels, contacts, rows */
    unsigned effects; /* enum order_effect */
    struct contacts_state contact;
};
typedef enum exit_status order_verb(struct order *order);
/* Does it, records who did what in operator_changes, logs it. EXIT_STATUS_NO_USER when nothing matched. */
enum exit_status order_run(struct order *order);
/* Last of all, before anybody is told: what was done survives a power failure. written: so far all went well. The
 * status that is to be told, and the answer, say when it may not. */
enum exit_status order_settle(struct order *order, enum exit_status status, bool written);
/* The database refused: a sentence, EXIT_STATUS_ERROR. */
enum exit_status order_failed(struct order *order);

/* queue.c. detail: a line with the words of a bounce, then a line a mail: its id, and the numbers of recipients with
 * blanks between them (none: all that wait). Without a second line the argument is the mail id. */
order_verb order_queue_hold, order_queue_release, order_queue_retry, order_queue_bounce, order_queue_remove;
/* contacts.c. argument: a contact's name, or "all" to forgive; detail: seconds to lock out. */
order_verb order_contacts_lock, order_contacts_forgive;
/* tls.c. argument: a domain, or "all". */
order_verb order_tls_forgive;
/* hold_rules.c. argument: "KIND PATTERN"; detail: the reason. */
order_verb order_hold_rule_add, order_hold_rule_remove;
/* names.c. argument: an address, for aliases with a blank and a target behind it (all, when removing); detail: a list's
 * owner, or the lines of a vacation: days, begin, end, subject, message. */
order_verb order_alias_add, order_alias_remove, order_vacation_set, order_vacation_off;
#endif
