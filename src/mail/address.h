/* SPDX-License-Identifier: MIT
 * Mailbox addresses and paths of RFC 5321 4.1.2, strictly parsed; values only, no policy, no I/O. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H
#include "base/text.h"
#include <stdbool.h>
#define ADDRESS_LOCAL_MAXIMUM 64   /* RFC 5321 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAXIMUM 255 /* RFC 5321 4.5.3.1.2 */
#define ADDRESS_SIZE (ADDRESS_LOCAL_MAXIMUM + 1 + ADDRESS_DOMAIN_MAXIMUM + 1)

struct address {                               /* empty local and domain: the null reverse-path "<>" */
    char local[ADDRESS_LOCAL_MAXIMUM * 2 + 1]; /* as written, but in quotes only what needs them */
    /* in lower case, A-labels whatever was written (RFC 5890), so that one domain is one text wherever it is compared,
     * routed or asked of DNS; "" only for <> and <postmaster>; "[…]" for a literal */
    char domain[ADDRESS_DOMAIN_MAXIMUM + 1];
};
enum address_problem {
    ADDRESS_OK,
    ADDRESS_UNPARSABLE,
    ADDRESS_BAD_DOTS,       /* local part begins or ends with '.', or holds ".." */
    ADDRESS_BAD_CHARACTERS, /* a byte that RFC 5321 atext does not have, unquoted */
    ADDRESS_TOO_LONG
};
/* Parses a path "<local@domain>" with its angle brackets at the start of `argument`; *rest is what follows the '>'
 * (ESMTP parameters). Source routes (RFC 5321 C) are accepted and ignored. "<>" gives an empty address. A local part
 * without domain is accepted only for "postmaster", any case. allow_utf8: SMTPUTF8 was asked for (RFC 6531). When it
 * is ADDRESS_BAD_DOTS or ADDRESS_BAD_CHARACTERS, address->local holds the offending local part for the reply. */
enum address_problem address_parse_path(struct text argument, bool allow_utf8, struct address *address,
                                        struct text *rest);
/* "local@domain" without brackets, the whole text. */
enum address_problem address_parse(struct text mailbox, bool allow_utf8, struct address *address);
bool address_is_null(const struct address *address);
/* "local@domain", "local" without domain, "" for null; text has ADDRESS_SIZE * 2 bytes room at least. Returns text. */
const char *address_text(const struct address *address, char *text, size_t size);
/* Local parts compared by bytes but "postmaster" by any case; domains without case. */
bool address_equal(const struct address *a, const struct address *b);
/* A host name RFC 5321 4.1.2 Domain: labels of letters, digits, hyphens (and UTF-8 when allowed), no empty label. */
bool address_domain_is_valid(struct text domain, bool allow_utf8);
/* The domain as DNS has it: U-labels (UTF-8) become A-labels, all in lower case. False when it has no such form. */
bool address_domain_ascii(struct text domain, char ascii[ADDRESS_DOMAIN_MAXIMUM + 1]);
/* The reverse, as people read it; false when there is nothing to turn back. */
bool address_domain_unicode(struct text domain, char *unicode, size_t size);
/* What an operator may write, "local@domain", "@domain", "@.domain", with its domain in the form that address_parse
 * gives; anything else is copied. False when it does not fit. */
bool address_normal(struct text written, char *normal, size_t size);
/* Where the last '@' of an address stands, which its domain follows; its length when it has none. */
size_t address_at(struct text address);
/* What follows it; "" for none. */
struct text address_domain_of(struct text address);
/* "[1.2.3.4]" or "[IPv6:…]" (RFC 5321 4.1.3). */
bool address_is_literal(struct text domain);
/* Takes the address out of a literal: "[IPv6:::1]" gives "::1". False when it is none. */
bool address_literal_ip(struct text domain, char *ip, size_t size);
/* RFC 5321 and PARITY: characters that could be harmful in a recipient's local part. local_domain: of a domain of ours
 * (leading '.', '@ % ! / |'), else '@ % ! ` # & ?' and "/../". */
bool address_is_dangerous(const struct address *address, bool local_domain);
#endif
