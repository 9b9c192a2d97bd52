/* SPDX-License-Identifier: MIT
 * Logins that Dovecot checks (auth_backend = dovecot), by its authentication protocol 1.1. */
#ifndef RECEIVER_DOVECOT_H
#define RECEIVER_DOVECOT_H
#include "receiver/login/mechanism.h"
/* Bits of the mechanisms that it offers and we know. One that cannot be asked is as one with PLAIN and LOGIN, so that
 * clients try, and read a 454. */
uint32_t dovecot_mechanisms(struct session *session);
enum exchange dovecot_lead(struct session *session, struct login_attempt *attempt);
void dovecot_free(struct session *session);
#endif
