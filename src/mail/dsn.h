/* SPDX-License-Identifier: MIT
 * The values of RFC 3461, delivery status notifications: xtext, NOTIFY, ORCPT, ENVID. Values, no I/O: used by whoever
 * takes them from a client, hands them on, or answers them with a notice. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H
#include "base/text.h"
#include <stdbool.h>

#define DSN_ENVID_MAXIMUM 100 /* characters, decoded; RFC 3461 4.4 */
#define DSN_ORCPT_MAXIMUM 500 /* as it is written; RFC 3461 4.2 */
#define DSN_NOTIFY_SIZE sizeof "SUCCESS,FAILURE,DELAY"

/* RFC 3461 4.1; 0: the client did not say. */
enum dsn_notify { DSN_NEVER = 1 << 0, DSN_SUCCESS = 1 << 1, DSN_FAILURE = 1 << 2, DSN_DELAY = 1 << 3 };

/* The value of NOTIFY as bits; false when it is none: an unknown word, NEVER beside another. */
bool dsn_notify_parse(struct text value, unsigned *notify);
/* The same as it is written, "" for 0; borrowed, constant. */
const char *dsn_notify_text(unsigned notify);

/* RFC 3461 4: plain gets the printable ASCII that xtext stands for, terminated. False when it is malformed, stands for
 * anything else, or does not fit. */
bool dsn_xtext_decode(struct text xtext, char *plain, size_t size);
/* False when it does not fit. */
bool dsn_xtext_encode(struct text plain, char *xtext, size_t size);

bool dsn_envid_is_valid(struct text value);
/* RFC 3461 4.2, "type;xtext" with a printable address within DSN_ORCPT_MAXIMUM. */
bool dsn_orcpt_is_valid(struct text value);
/* RFC 6533 3: an address that is not ASCII in ASCII, each such character, '\\', '+' and '=' as "\\x{HEX}"; and back,
 * where UTF-8 may also stand as it is. False when it is malformed or does not fit. */
bool dsn_utf8_encode(struct text plain, char *encoded, size_t size);
bool dsn_utf8_decode(struct text encoded, char *plain, size_t size);
/* The address of a valid ORCPT value; its type is what stands before the ';'. False when that cannot be read. */
bool dsn_orcpt_address(struct text value, char *plain, size_t size);
/* A valid value in ASCII, as any server with DSN takes it; "" when that does not fit. Returns orcpt. */
const char *dsn_orcpt_ascii(struct text value, char orcpt[DSN_ORCPT_MAXIMUM + 1]);
/* "rfc822;" and the address as xtext, or "utf-8;" (RFC 6533); "" when that cannot be written. Returns orcpt. */
const char *dsn_orcpt_of(const char *address, char orcpt[DSN_ORCPT_MAXIMUM + 1]);
#endif
