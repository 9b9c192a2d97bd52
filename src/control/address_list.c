/* SPDX-License-Identifier: MIT
 * Reading address lists (RFC 5322 3.4, 3.2.2 comments, 3.2.4 quoted strings; groups 3.4). A byte machine over one
 * mailbox at a time: what stands in angle brackets is the address, else everything that is not comment or blank. */
#include "control/address_list.h"
#include <string.h>

#define MAILBOX_SIZE 512

struct mailbox {
    char plain[MAILBOX_SIZE];   /* without comments and blanks */
    char bracket[MAILBOX_SIZE]; /* what stood in <…> */
    size_t plain_length, bracket_length;
    bool has_bracket, in_bracket, wrong; /* wrong: too long, or holds a NUL, which would cut it short */
    bool blank, apart;                   /* a blank or comment came last; the address is in two words */
};

/* Blanks are no part of an address, but may stand around its dots and its @ only (RFC 5322 4.4). */
static bool is_apart(const struct mailbox *mailbox, char before, char byte) {
    return mailbox->blank && (mailbox->in_bracket || !mailbox->has_bracket) && strchr(".@", before) == NULL &&
           strchr(".@", byte) == NULL;
}

static void put(struct mailbox *mailbox, char byte) {
    char *where = mailbox->in_bracket ? mailbox->bracket : mailbox->plain;
    size_t *length = mailbox->in_bracket ? &mailbox->bracket_length : &mailbox->plain_length;
    if (byte == '\0' || *length + 1 >= MAILBOX_SIZE) {
        mailbox->wrong = true;
        return;
    }
    mailbox->apart |= *length > 0 && is_apart(mailbox, where[*length - 1], byte);
    mailbox->blank = false;
    where[(*length)++] = byte;
    where[*length] = '\0';
}

/* Position after a comment that begins here, which may nest; the length of the text when it does not end. */
static size_t skip_comment(struct text value, size_t at) {
    unsigned depth = 0;
    for (; at < value.length; at++) {
        char byte = value.data[at];
        if (byte == '\\') {
            at++;
        } else if (byte == '(') {
            depth++;
        } else if (byte == ')' && --depth == 0) {
            return at + 1;
        }
    }
    return value.length + 1;
}

static bool is_line_end(char byte) {
    return byte == '\r' || byte == '\n';
}

/* Copies a quoted string with its quotes, unfolded (RFC 5322 3.2.4); the position after it. */
static size_t take_quoted(struct text value, size_t at, struct mailbox *mailbox) {
    put(mailbox, '"');
    for (at++; at < value.length; at++) {
        char byte = value.data[at];
        if (is_line_end(byte)) {
            continue;
        }
        put(mailbox, byte);
        if (byte == '\\' && at + 1 < value.length && !is_line_end(value.data[at + 1])) {
            put(mailbox, value.data[++at]);
        } else if (byte == '"') {
            return at + 1;
        }
    }
    return value.length + 1;
}

/* Obsolete routes "@a,@b:local@domain" (RFC 5322 4.4) are skipped. */
static const char *without_route(const char *address) {
    const char *after = address;
    if (address[0] != '@') {
        return address;
    }
    while (*after != '\0' && *after != ':') {
        after++;
    }
    return *after == ':' ? after + 1 : address;
}

static bool finish(struct mailbox *mailbox, address_list_visit *visit, void *context) {
    bool good = !mailbox->wrong && !mailbox->apart && !mailbox->in_bracket;
    const char *address = mailbox->has_bracket ? without_route(mailbox->bracket) : mailbox->plain;
    if (good && address[0] != '\0') {
        good = visit(context, address);
    }
    *mailbox = (struct mailbox){0};
    return good;
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t' || is_line_end(byte);
}

/* One byte outside comments and quoted strings; false when the list is malformed or the visit said stop. */
static bool take_byte(char byte, struct mailbox *mailbox, address_list_visit *visit, void *context) {
    switch (byte) {
    case '<':
        if (mailbox->has_bracket) {
            return false;
        }
        mailbox->has_bracket = mailbox->in_bracket = true;
        mailbox->apart = false; /* what came before is a name */
        return true;
    case '>':
        if (!mailbox->in_bracket) {
            return false;
        }
        mailbox->in_bracket = false;
        return true;
    case ',':
    case ';': /* the end of a group */
        if (mailbox->in_bracket) {
            put(mailbox, byte);
            return true;
        }
        return finish(mailbox, visit, context);
    case ':':
        if (mailbox->in_bracket || strstr(mailbox->plain, "@[") != NULL) { /* an IPv6 address */
            put(mailbox, byte);
            return true;
        }
        *mailbox = (struct mailbox){0}; /* what came before was a group's name */
        return true;
    default:
        put(mailbox, byte);
        return true;
    }
}

bool address_list_each(struct text value, address_list_visit *visit, void *context) {
    struct mailbox mailbox = {0};
    size_t at = 0;
    while (at < value.length) {
        char byte = value.data[at];
        if (byte == '(') {
            at = skip_comment(value, at);
            mailbox.blank = true;
        } else if (byte == '"') {
            at = take_quoted(value, at, &mailbox);
        } else if (is_blank(byte)) {
            mailbox.blank = true;
            at++;
        } else if (take_byte(byte, &mailbox, visit, context)) {
            at++;
        } else {
            return false;
        }
        if (at > value.length) {
            return false; /* a comment or quoted string without an end */
        }
    }
    return finish(&mailbox, visit, context);
}
