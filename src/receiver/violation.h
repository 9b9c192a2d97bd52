/* SPDX-License-Identifier: MIT
 * Reporting violations to the ledger, which counts them and says when a contact is locked out. */
#ifndef RECEIVER_VIOLATION_H
#define RECEIVER_VIOLATION_H
#include "ipc/messages.h"
struct session;
/* Logs and reports one violation; what: the reply's line, or words. True: the contact is locked out from now on, until
 * *expires_at. Local programs' sessions are logged only. */
bool violation_report(struct session *session, const char *rule, enum violation_mercy mercy, const char *what,
                      int64_t *expires_at);
#endif
