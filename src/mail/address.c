/* SPDX-License-Identifier: MIT
 * Mailboxes and paths of RFC 5321 4.1.2 (with UTF-8: RFC 6531 3.3), strictly parsed. Called by receivers, lookup and
 * programs on untrusted text; no I/O, no allocation of its own; fails only by return value. */
#include "mail/address.h"
#include <string.h>

/* RFC 5322 3.2.3 atext besides letters and digits. */
static const char atext_signs[] = "!#$%&'*+-/=?^_`{|}~";

static bool is_alphanumeric(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_atext(unsigned char byte, bool allow_utf8) {
    if (byte >= 0x80) {
        return allow_utf8; /* the whole was checked to be UTF-8 */
    }
    return is_alphanumeric(byte) || (byte != '\0' && strchr(atext_signs, byte) != NULL);
}

/* Dot-string = Atom *("." Atom) */
static enum address_problem check_dot_string(struct text local, bool allow_utf8) {
    bool after_dot = true;
    bool bad_dots = false;
    for (size_t i = 0; i < local.length; i++) {
        bool dot = local.data[i] == '.';
        if (!dot && !is_atext((unsigned char)local.data[i], allow_utf8)) {
            return ADDRESS_BAD_CHARACTERS;
        }
        bad_dots = bad_dots || (dot && after_dot);
        after_dot = dot;
    }
    return bad_dots || after_dot ? ADDRESS_BAD_DOTS : ADDRESS_OK;
}

/* Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE, whose end quoted_length has found. */
static enum address_problem check_quoted_string(struct text local, bool allow_utf8) {
    for (size_t i = 1; i + 1 < local.length; i++) {
        unsigned char byte = (unsigned char)local.data[i];
        if (byte == '\\') {
            byte = (unsigned char)local.data[++i];
            if (byte < 0x20 || byte > 0x7e) {
                return ADDRESS_BAD_CHARACTERS;
            }
        } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !allow_utf8)) {
            return ADDRESS_BAD_CHARACTERS;
        }
    }
    return ADDRESS_OK;
}

/* Length of the quoted string at the start with both quotes; 0 when it does not end. */
static size_t quoted_length(struct text text) {
    for (size_t i = 1; i < text.length; i++) {
        if (text.data[i] == '"') {
            return i + 1;
        }
        i += text.data[i] == '\\';
    }
    return 0;
}

/* RFC 5321 4.1.2: "all quoted forms MUST be treated as equivalent", and the form with the least quoting is sent on. So
 * there is one form of each: without quotes where it can be. */
static void quote_least(struct text local, bool allow_utf8, char out[ADDRESS_LOCAL_MAXIMUM * 2 + 1]) {
    char plain[ADDRESS_LOCAL_MAXIMUM];
    size_t length = 0, used = 0;
    for (size_t i = 1; i + 1 < local.length && length < sizeof plain; i++) {
        i += local.data[i] == '\\';
        plain[length++] = local.data[i];
    }
    struct text content = {plain, length};
    if (check_dot_string(content, allow_utf8) == ADDRESS_OK) {
        text_copy(out, ADDRESS_LOCAL_MAXIMUM * 2 + 1, content);
        return;
    }
    out[used++] = '"';
    for (size_t i = 0; i < length; i++) {
        if (plain[i] == '"' || plain[i] == '\\') {
            out[used++] = '\\';
        }
        out[used++] = plain[i];
    }
    out[used++] = '"';
    out[used] = '\0';
}

static bool is_postmaster(struct text local) {
    return text_equal_nocase(local, TEXT("postmaster"));
}

static enum address_problem set_local(struct text local, bool allow_utf8, struct address *address) {
    bool quoted = local.length > 0 && local.data[0] == '"';
    if (local.length == 0) {
        return ADDRESS_UNPARSABLE;
    }
    text_copy(address->local, sizeof address->local, local); /* shown in the reply when it is refused */
    enum address_problem problem =
        quoted ? check_quoted_string(local, allow_utf8) : check_dot_string(local, allow_utf8);
    if (problem != ADDRESS_OK) {
        return problem;
    }
    if (local.length > ADDRESS_LOCAL_MAXIMUM) {
        return ADDRESS_TOO_LONG;
    }
    if (quoted) {
        quote_least(local, allow_utf8, address->local);
    }
    return ADDRESS_OK;
}

static enum address_problem set_domain(struct text domain, bool allow_utf8, struct address *address) {
    if (domain.length > ADDRESS_DOMAIN_MAXIMUM) {
        return ADDRESS_TOO_LONG;
    }
    if (!address_is_literal(domain) && !address_domain_is_valid(domain, allow_utf8)) {
        return ADDRESS_UNPARSABLE;
    }
    if (!address_domain_ascii(domain, address->domain)) {
        return ADDRESS_UNPARSABLE;
    }
    if (text_starts_nocase(domain, TEXT("[IPv6:"))) {
        memcpy(address->domain, "[IPv6:", 6);
    }
    return ADDRESS_OK;
}

/* Where the local part ends: at its closing quote, or before the '@'. False when a quoted string never ends. */
static bool find_local_end(struct text mailbox, size_t *end) {
    if (mailbox.length == 0 || mailbox.data[0] != '"') {
        *end = text_find(mailbox, '@');
        return true;
    }
    *end = quoted_length(mailbox);
    return *end > 0;
}

enum address_problem address_parse(struct text mailbox, bool allow_utf8, struct address *address) {
    size_t end;
    *address = (struct address){.local = ""};
    if (!find_local_end(mailbox, &end) || (allow_utf8 && !text_is_utf8(mailbox))) {
        return ADDRESS_UNPARSABLE;
    }
    struct text local = text_first(mailbox, end);
    struct text domain = text_from(mailbox, end + 1);
    if (end == mailbox.length) { /* no domain: RFC 5321 2.3.5 and 4.1.1.3 */
        enum address_problem problem = set_local(local, allow_utf8, address);
        return problem == ADDRESS_OK && !is_postmaster(text_of(address->local)) ? ADDRESS_UNPARSABLE : problem;
    }
    if (mailbox.data[end] != '@' || domain.length == 0 || text_find(domain, '@') < domain.length) {
        return ADDRESS_UNPARSABLE;
    }
    enum address_problem problem = set_local(local, allow_utf8, address);
    return problem == ADDRESS_OK ? set_domain(domain, allow_utf8, address) : problem;
}

/* RFC 5321 4.1.2: A-d-l = At-domain *( "," At-domain ), then ":". Takes it off; false when it is malformed. */
static bool skip_source_route(struct text *path, bool allow_utf8) {
    if (path->length == 0 || path->data[0] != '@') {
        return true;
    }
    /* A literal in the route holds colons of its own. */
    while (path->length > 0 && path->data[0] == '@') {
        size_t end = 1;
        bool literal = path->length > 1 && path->data[1] == '[';
        while (end < path->length && (literal ? path->data[end - 1] != ']' : strchr(",:", path->data[end]) == NULL)) {
            end++;
        }
        struct text domain = text_from(text_first(*path, end), 1);
        if (end >= path->length || (!address_is_literal(domain) && !address_domain_is_valid(domain, allow_utf8))) {
            return false;
        }
        char after = path->data[end];
        *path = text_from(*path, end + 1);
        if (after == ':') {
            return true;
        }
        if (after != ',') {
            return false;
        }
    }
    return false;
}

/* The position of the '>' that closes a path begun before `path`; quoted strings may hold one. */
static size_t find_closing(struct text path) {
    bool quoted = false;
    for (size_t i = 0; i < path.length; i++) {
        if (quoted && path.data[i] == '\\') {
            i++;
        } else if (path.data[i] == '"') {
            quoted = !quoted;
        } else if (path.data[i] == '>' && !quoted) {
            return i;
        }
    }
    return path.length;
}

enum address_problem address_parse_path(struct text argument, bool allow_utf8, struct address *address,
                                        struct text *rest) {
    *address = (struct address){.local = ""};
    *rest = TEXT_NONE;
    if (argument.length == 0 || argument.data[0] != '<') {
        return ADDRESS_UNPARSABLE;
    }
    struct text path = text_from(argument, 1);
    size_t end = find_closing(path);
    if (end == path.length) {
        return ADDRESS_UNPARSABLE;
    }
    *rest = text_from(path, end + 1);
    path = text_first(path, end);
    if (path.length == 0) {
        return ADDRESS_OK;
    }
    if (!skip_source_route(&path, allow_utf8)) {
        return ADDRESS_UNPARSABLE;
    }
    return address_parse(path, allow_utf8, address);
}

bool address_is_null(const struct address *address) {
    return address->local[0] == '\0' && address->domain[0] == '\0';
}

const char *address_text(const struct address *address, char *text, size_t size) {
    (void)text_copy(text, size, text_of(address->local)); /* the caller's room is enough by contract */
    size_t length = strlen(text);
    if (address->domain[0] != '\0' && length + 1 < size) {
        text[length] = '@';
        (void)text_copy(text + length + 1, size - length - 1, text_of(address->domain));
    }
    return text;
}

bool address_equal(const struct address *a, const struct address *b) {
    struct text first = text_of(a->local), second = text_of(b->local);
    bool same_local = text_equal(first, second) || (is_postmaster(first) && is_postmaster(second));
    return same_local && text_equal_nocase(text_of(a->domain), text_of(b->domain));
}
