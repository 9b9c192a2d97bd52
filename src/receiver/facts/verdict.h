/* SPDX-License-Identifier: MIT
 * What authentication methods say about a message that came in: DKIM, SPF, DMARC. */
#ifndef RECEIVER_VERDICT_H
#define RECEIVER_VERDICT_H
#include "base/buffer.h"
struct session;
/* Appends "dkim=pass header.d=…; …" or "dkim=none", "spf=pass smtp.mailfrom=…", the body of an Authentication-Results
 * field. False: no verdict. */
bool verdict_format(struct session *session, struct buffer *results);
#endif
