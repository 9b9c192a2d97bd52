/* SPDX-License-Identifier: MIT
 * SASLprep (RFC 4013): the one form of a user name or a password that may be typed in several ways. */
#ifndef MAIL_SASLPREP_H
#define MAIL_SASLPREP_H
#include "base/text.h"
#define SASLPREP_SIZE 1024 /* of a prepared text with its NUL */
/* False, and prepared is "": not UTF-8, a character that is prohibited, nothing left of it, or too long. */
bool saslprep(struct text given, char prepared[SASLPREP_SIZE]);
#endif
