/* SPDX-License-Identifier: MIT
 * The extensions of SMTP that this server knows, by the keyword that EHLO announces them with. Values only; what each
 * does is receiver/commands/extension.c's. */
#ifndef MAIL_EXTENSION_H
#define MAIL_EXTENSION_H
#include "base/text.h"
#include <stdbool.h>

enum extension { /* in the order in which EHLO lists them */
                 EXTENSION_NONE,
                 EXTENSION_PIPELINING,          /* RFC 2920 */
                 EXTENSION_ENHANCEDSTATUSCODES, /* RFC 2034 */
                 EXTENSION_STARTTLS,            /* RFC 3207 */
                 EXTENSION_AUTH,                /* RFC 4954 */
                 EXTENSION_SIZE,                /* RFC 1870 */
                 EXTENSION_8BITMIME,            /* RFC 6152 */
                 EXTENSION_SMTPUTF8,            /* RFC 6531 */
                 EXTENSION_DSN,                 /* RFC 3461 */
                 EXTENSION_LIMITS,              /* RFC 9422 */
                 EXTENSION_CHUNKING,            /* RFC 3030 */
                 EXTENSION_BINARYMIME,          /* RFC 3030 */
                 EXTENSION_REQUIRETLS,          /* RFC 8689 */
                 EXTENSION_XCLIENT,             /* Postfix's XCLIENT_README */
                 EXTENSION_NO_SOLICITING,       /* RFC 3865 */
                 EXTENSION_FUTURERELEASE,       /* RFC 4865 */
                 EXTENSION_HELP,                /* RFC 5321 4.1.1.8 */
                 EXTENSIONS
};
extern const char *const extension_names[EXTENSIONS];
/* EXTENSION_NONE when there is none of this name. */
enum extension extension_find(struct text name);
/* ehlo-line = ehlo-keyword *( SP ehlo-param ) (RFC 5321 4.1.1.1). */
bool extension_line_is_valid(struct text line);
#endif
