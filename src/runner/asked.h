/* SPDX-License-Identifier: MIT
 * What the sender asked to be told (RFC 3461), for each recipient of an envelope, once aliases and lists have made
 * several recipients of one RCPT. Values only. A recipient with an owner for its reverse-path belongs to a mailing
 * list, which is the end of what its sender asked for (RFC 3461 5.2.7): what follows is between list and member.
 * Recipients that share their to_url, without an owner, come of one alias: its success is told once, as expanded. */
#ifndef RUNNER_ASKED_H
#define RUNNER_ASKED_H
#include "mail/dsn.h"
#include "mail/envelope.h"
#include <stdbool.h>
#include <stdint.h>

/* Who is told what becomes of it: its list's owner, or the sender; "" for nobody. */
const char *asked_addressee(const struct envelope *envelope, uint32_t recipient);
/* Bits of enum dsn_notify that hold for it, and are handed on with it; 0: nothing was asked. */
unsigned asked_notify(const struct envelope *envelope, uint32_t recipient);
/* Is a notice of this kind wanted? Without NOTIFY those of failures and delays are (RFC 3461 4.1). */
bool asked_wants(const struct envelope *envelope, uint32_t recipient, enum dsn_notify kind);
/* The first of several recipients that one RCPT became, or of a list, whose sender wants to hear of success: what there
 * is to tell ends here. */
bool asked_wants_expansion(const struct envelope *envelope, uint32_t recipient);
/* The ORCPT to be handed on, "" for none: the client's, else one for the address it gave when mail goes elsewhere
 * (RFC 3461 5.2.1). Borrowed from the envelope or written into room. */
const char *asked_orcpt(const struct envelope *envelope, uint32_t recipient, char room[DSN_ORCPT_MAXIMUM + 1]);
#endif
