/* SPDX-License-Identifier: MIT
 * Solicitation keywords (RFC 3865 2.2): what an advertisement says of itself. Values only, no I/O. */
#ifndef MAIL_SOLICITATION_H
#define MAIL_SOLICITATION_H
#include "base/text.h"
#include <stdbool.h>

#define SOLICITATION_MAXIMUM 1000 /* bytes of a list; RFC 3865 2.2 */

/* Solicitation-keywords = word *("," word), each a letter and letters, digits, '.', '-', '_' and ':' behind it. */
bool solicitation_is_valid(struct text keywords);
/* True when the list names the word, in any case. */
bool solicitation_names(struct text keywords, struct text word);
#endif
