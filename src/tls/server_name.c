/* SPDX-License-Identifier: MIT
 * Which certificate a server name gets (SNI, RFC 6066 3). Called within handshakes, confined, on a name from anybody,
 * and by `parcelpost`. A name that nothing fits gets the first certificate: a mail client that cannot verify goes on.
 */
#include "mail/address.h"
#include "tls/tls.h"

bool tls_name_is_valid(struct text name) {
    if (text_starts_nocase(name, TEXT("*.")))
        name = text_from(name, 2);
    return address_domain_is_valid(name, false);
}

/* RFC 6125 6.4.3: the star is one whole label, the leftmost. */
static bool fits_wildcard(struct text pattern, struct text name) {
    size_t dot = text_find(name, '.');

    return text_starts_nocase(pattern, TEXT("*.")) && dot > 0 &&
           text_equal_nocase(text_from(pattern, 1), text_from(name, dot));
}

size_t tls_name_find(const char *const *names, size_t count, struct text name) {
    if (name.length > 0 && name.data[name.length - 1] == '.')
        name = text_first(name, name.length - 1);
    for (size_t i = 1; i < count; i++)
        if (text_equal_nocase(text_of(names[i]), name))
            return i;
    for (size_t i = 1; i < count; i++)
        if (fits_wildcard(text_of(names[i]), name))
            return i;
    return 0;
}
