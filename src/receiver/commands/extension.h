/* SPDX-License-Identifier: MIT
 * The table of extensions: one row each, with what stands behind the keyword and the command it needs. EHLO, the
 * dispatcher and the parameters of MAIL and RCPT all ask here whether an extension is on. */
#ifndef RECEIVER_EXTENSION_H
#define RECEIVER_EXTENSION_H
#include "mail/extension.h"
#include "receiver/session.h"

/* False when the operator has switched it off (extensions_off). EXTENSION_NONE is always on. */
bool extension_is_on(const struct config *config, enum extension extension);
/* The same for this session as it is now: its parameters may be given. */
bool extension_is_known(const struct session *session, enum extension extension);
/* Appends a line feed and the line of each extension that this client can use now, then the operator's own
 * (ehlo_keywords). */
void extension_list(const struct session *session, struct buffer *text);
#endif
