/* SPDX-License-Identifier: MIT
 * Changes to the transaction in hand, for those who may join in: the operator's rules, policies, milters. What cannot
 * be changed yet waits: sender and recipients until MAIL or RCPT is through (whoever changes the sender at MAIL or
 * replaces the recipient at RCPT), header fields until the data has ended. They see the message as it came, without
 * results that forge our name, and with what those before them changed; our own trace fields and signature come after
 * them. */
#ifndef RECEIVER_CHANGE_H
#define RECEIVER_CHANGE_H
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum change_outcome {
    CHANGE_DONE,    /* or it waits */
    CHANGE_REFUSED, /* not acceptable: logged, nothing is changed */
    CHANGE_TEMPFAIL /* it cannot be made now: the message is put off */
};
#define CHANGE_REASON_SIZE 256
struct session;
/* Addresses with or without angle brackets, "" or "<>" for the null reverse-path; parameters: ESMTP parameters of MAIL
 * or RCPT, of which RET and ENVID, NOTIFY and ORCPT are taken; "" for none. */
enum change_outcome change_sender(struct session *session, struct text address, struct text parameters);
/* Looked up like one that a RCPT names, so that aliases and routes hold; the rules are not asked. One that is there
 * already stays as it is. */
enum change_outcome change_add_recipient(struct session *session, struct text address, struct text parameters);
/* As RCPT named it; when nobody is left the message is accepted and forgotten. */
enum change_outcome change_remove_recipient(struct session *session, struct text address);
/* Header fields. The value may be folded, with LF or CR LF; one that begins with a blank gets no second one. */
enum change_outcome change_add_header(struct session *session, struct text name, struct text value);
/* True when a field of this name and value was added, or has come. */
bool change_has_header(const struct session *session, struct text name, struct text value);
/* At this place among all fields, 0: above them; behind them when there are fewer. */
enum change_outcome change_insert_header(struct session *session, uint32_t place, struct text name, struct text value);
/* The nth field of that name, from 1 (0 counts as 1). An empty value removes it; one that is not there is added. */
enum change_outcome change_replace_header(struct session *session, uint32_t nth, struct text name, struct text value);
/* Another body, from begin to end, in pieces of any size: only when the data has ended. Lines get CR LF. */
enum change_outcome change_begin_body(struct session *session);
enum change_outcome change_body(struct session *session, struct text piece);
enum change_outcome change_end_body(struct session *session);
/* The message is queued and waits for an operator, with this reason; the first one counts. */
void change_hold(struct session *session, struct text reason);
/* The client reads that the message was accepted; nobody gets it, and a row for each recipient says why. */
void change_discard(struct session *session, struct text reason);

/* ---- for the session ---- */
/* Makes the changes that waited and can be made now. */
void change_settle(struct session *session);
/* One ended in CHANGE_TEMPFAIL: the message is answered with a 4xx when its data has ended. */
bool change_is_put_off(const struct session *session);
/* Why the message is held or discarded, "": it is not. */
const char *change_hold_reason(const struct session *session);
const char *change_discard_reason(const struct session *session);
/* The transaction is over: forgets what waits. */
void change_forget(struct session *session);
#endif
