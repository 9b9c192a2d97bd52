/* SPDX-License-Identifier: MIT
 * Fields that say the most in their first word, behind comments: whose verdict an Authentication-Results field claims
 * to be (RFC 8601 2.2: CFWS authserv-id ...), whether a person wrote what has Auto-Submitted. Called by receivers and
 * the runner on untrusted messages; no I/O; cannot fail. */
#include "mail/header.h"
#include <string.h>

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Skips a comment with those nested in it (RFC 5322 3.2.2); at its '('. One that never ends takes everything. */
static size_t skip_comment(struct text text, size_t at) {
    unsigned depth = 0;
    while (at < text.length) {
        char byte = text.data[at++];
        if (byte == '\\' && at < text.length) {
            at++;
        } else if (byte == '(') {
            depth++;
        } else if (byte == ')' && --depth == 0) {
            break;
        }
    }
    return at;
}

static struct text skip_comments_and_white(struct text text) {
    size_t at = 0;
    while (at < text.length && (is_white(text.data[at]) || text.data[at] == '(')) {
        at = text.data[at] == '(' ? skip_comment(text, at) : at + 1;
    }
    return text_from(text, at);
}

/* The first token or quoted string, unquoted into id. False when it is longer than any that means something to us. */
static bool first_word(const struct header_field *field, char *id, size_t size) {
    struct text text = skip_comments_and_white(field->value);
    bool quoted = text.length > 0 && text.data[0] == '"';
    size_t used = 0;
    for (size_t at = quoted ? 1 : 0; at < text.length; at++) {
        char byte = text.data[at];
        if (quoted ? byte == '"' : is_white(byte) || byte == ';' || byte == '(') {
            break;
        }
        if (quoted && byte == '\\' && at + 1 < text.length) {
            byte = text.data[++at];
        }
        if (used + 1 >= size) {
            return false;
        }
        id[used++] = byte;
    }
    id[used] = '\0';
    return true;
}

bool header_claims_our_results(const struct header_field *field, const char *name) {
    char id[512];
    if (!text_equal_nocase(field->name, TEXT("Authentication-Results"))) {
        return false;
    }
    if (!first_word(field, id, sizeof id)) {
        return false;
    }
    struct text claimed = text_of(id);
    if (claimed.length > 0 && claimed.data[claimed.length - 1] == '.') {
        claimed.length--; /* a reader may take the name with its root dot for ours */
    }
    return text_equal_nocase(claimed, text_of(name));
}

bool header_is_automatic(struct text section) {
    struct header_field field;
    char keyword[8];
    while (header_next(&section, &field)) {
        if (text_equal_nocase(field.name, TEXT("Auto-Submitted")) &&
            !(first_word(&field, keyword, sizeof keyword) && text_equal_nocase(text_of(keyword), TEXT("no")))) {
            return true;
        }
    }
    return false;
}
