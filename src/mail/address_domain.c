/* SPDX-License-Identifier: MIT
 * The part after the '@': host names (RFC 5321 4.1.2, RFC 5890 with libidn2), address literals (4.1.3), and what is
 * dangerous before it. Called on untrusted text; no I/O; fails only by return value. */
#include "mail/address.h"
#include <arpa/inet.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAXIMUM 63 /* RFC 1035 2.3.4 */

static bool is_let_dig(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte >= 0x80;
}

/* sub-domain = Let-dig [Ldh-str]: no hyphen at either end. */
static bool is_label(struct text label) {
    if (label.length == 0 || label.data[0] == '-' || label.data[label.length - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.length; i++) {
        if (!is_let_dig((unsigned char)label.data[i]) && label.data[i] != '-') {
            return false;
        }
    }
    return label.length <= LABEL_MAXIMUM || text_has_eight_bit(label);
}

static bool has_valid_labels(struct text domain) {
    struct text rest = domain;
    struct text label;
    if (domain.length == 0 || domain.length > ADDRESS_DOMAIN_MAXIMUM || domain.data[domain.length - 1] == '.') {
        return false;
    }
    while (text_split(&rest, '.', &label)) {
        if (!is_label(label)) {
            return false;
        }
    }
    return true;
}

/* UTS 46 maps case and width too. */
bool address_domain_ascii(struct text domain, char ascii[ADDRESS_DOMAIN_MAXIMUM + 1]) {
    char string[ADDRESS_DOMAIN_MAXIMUM + 1];
    char *mapped = NULL;
    if (!text_copy(string, sizeof string, domain) || !text_is_utf8(domain)) {
        return false;
    }
    if (!text_has_eight_bit(domain)) {
        text_lower(string);
        return text_copy(ascii, ADDRESS_DOMAIN_MAXIMUM + 1, text_of(string));
    }
    if (idn2_to_ascii_8z(string, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK) {
        return false;
    }
    bool fits = text_copy(ascii, ADDRESS_DOMAIN_MAXIMUM + 1, text_of(mapped));
    idn2_free(mapped);
    text_lower(ascii);
    return fits;
}

bool address_domain_unicode(struct text domain, char *unicode, size_t size) {
    char string[ADDRESS_DOMAIN_MAXIMUM + 1];
    char *mapped = NULL;
    if (!text_copy(string, sizeof string, domain) || strstr(string, "xn--") == NULL ||
        idn2_to_unicode_8z8z(string, &mapped, IDN2_NONTRANSITIONAL) != IDN2_OK) {
        return false;
    }
    bool fits = text_has_eight_bit(text_of(mapped)) && text_copy(unicode, size, text_of(mapped));
    idn2_free(mapped);
    return fits;
}

/* A domain with U-labels: valid when it has an A-label form that DNS can carry. That form is checked again, as mapping
 * (UTS 46) can leave nothing of a label. */
static bool has_ascii_form(struct text domain) {
    char ascii[ADDRESS_DOMAIN_MAXIMUM + 1];
    return address_domain_ascii(domain, ascii) && has_valid_labels(text_of(ascii));
}

bool address_normal(struct text written, char *normal, size_t size) {
    char ascii[ADDRESS_DOMAIN_MAXIMUM + 1];
    size_t start = address_at(written) + 1;
    start += start < written.length && written.data[start] == '.';
    struct text domain = text_from(written, start);
    if (start > written.length || address_is_literal(domain) || !address_domain_is_valid(domain, true) ||
        !address_domain_ascii(domain, ascii)) {
        return text_copy(normal, size, written);
    }
    int length = snprintf(normal, size, "%.*s%s", TEXT_ARGS(text_first(written, start)), ascii);
    return length > 0 && (size_t)length < size;
}

bool address_domain_is_valid(struct text domain, bool allow_utf8) {
    bool eight_bit = text_has_eight_bit(domain);
    if (!has_valid_labels(domain) || (eight_bit && !allow_utf8)) {
        return false;
    }
    return !eight_bit || has_ascii_form(domain);
}

bool address_is_literal(struct text domain) {
    char ip[INET6_ADDRSTRLEN];
    return address_literal_ip(domain, ip, sizeof ip);
}

bool address_literal_ip(struct text domain, char *ip, size_t size) {
    unsigned char bytes[16];
    if (domain.length < 2 || domain.data[0] != '[' || domain.data[domain.length - 1] != ']') {
        return false;
    }
    struct text inside = text_from(text_first(domain, domain.length - 1), 1);
    bool v6 = text_starts_nocase(inside, TEXT("IPv6:"));
    if (v6) {
        inside = text_from(inside, 5);
    }
    if (memchr(inside.data, '\0', inside.length) != NULL || !text_copy(ip, size, inside)) {
        return false;
    }
    return inet_pton(v6 ? AF_INET6 : AF_INET, ip, bytes) == 1;
}

/* The local part as it is meant: without the quotes and backslashes of a quoted string. */
static void unquote(const char *local, char *plain) {
    bool quoted = local[0] == '"';
    size_t length = strlen(local);
    size_t end = quoted && length > 1 ? length - 1 : length;
    size_t used = 0;
    for (size_t i = quoted ? 1 : 0; i < end; i++) {
        i += quoted && local[i] == '\\' && i + 1 < end;
        plain[used++] = local[i];
    }
    plain[used] = '\0';
}

bool address_is_dangerous(const struct address *address, bool local_domain) {
    char plain[sizeof address->local];
    unquote(address->local, plain);
    if (local_domain) {
        return plain[0] == '.' || strpbrk(plain, "@%!/|") != NULL;
    }
    return strpbrk(plain, "@%!`#&?") != NULL || strstr(plain, "/../") != NULL;
}

size_t address_at(struct text address) {
    size_t at = address.length;
    while (at > 0 && address.data[at - 1] != '@') {
        at--;
    }
    return at > 0 ? at - 1 : address.length;
}

struct text address_domain_of(struct text address) {
    return text_from(address, address_at(address) + 1);
}
