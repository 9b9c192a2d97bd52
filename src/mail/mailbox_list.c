/* SPDX-License-Identifier: MIT
 * Reading lists of addresses, see mailbox_list.h. Called by receivers, confined, on headers from anybody; no
 * allocation; fails only by return value. */
#include "mail/mailbox_list.h"

struct scan {
    struct text rest;
    char *address; /* what may be the address: the bytes outside blanks and comments */
    size_t length;
    bool in_angle, had_angle, bad;
    bool blank;    /* since the last byte */
    bool too_long; /* for an address; it may have been a name */
};

static void forget(struct scan *scan) {
    scan->length = 0;
    scan->blank = scan->too_long = false;
}

static void append(struct scan *scan, char byte) {
    if (scan->length + 1 >= MAILBOX_SIZE)
        scan->too_long = true;
    else
        scan->address[scan->length++] = byte;
}

static bool is_joint(char byte) {
    return byte == '.' || byte == '@';
}

/* A blank may stand around dot and at sign; elsewhere it makes two words, which are no address. */
static void take_byte(struct scan *scan, char byte) {
    if (scan->blank && scan->length > 0 && !is_joint(byte) && !is_joint(scan->address[scan->length - 1]))
        append(scan, ' ');
    scan->blank = false;
    append(scan, byte);
}

static char next_byte(struct scan *scan) {
    char byte = scan->rest.data[0];

    scan->rest = text_from(scan->rest, 1);
    return byte;
}

/* comment = "(" *([FWS] ccontent) [FWS] ")", which may hold others */
static void skip_comment(struct scan *scan) {
    unsigned depth = 1;

    while (depth > 0 && scan->rest.length > 0) {
        char byte = next_byte(scan);
        if (byte == '\\' && scan->rest.length > 0)
            (void)next_byte(scan);
        depth += byte == '(' ? 1 : 0;
        depth -= byte == ')' ? 1 : 0;
    }
    scan->bad = scan->bad || depth > 0;
}

/* A local part keeps its quotes. */
static void take_quoted(struct scan *scan) {
    char byte = '"';

    take_byte(scan, byte);
    while (scan->rest.length > 0) {
        byte = next_byte(scan);
        append(scan, byte);
        if (byte == '\\' && scan->rest.length > 0)
            append(scan, next_byte(scan));
        else if (byte == '"')
            return;
    }
    scan->bad = true;
}

static void open_angle(struct scan *scan) {
    scan->bad = scan->bad || scan->had_angle;
    scan->in_angle = scan->had_angle = true;
    forget(scan); /* what came before was a name */
}

/* What a colon, or in brackets a comma, ends: in brackets a host of a route, else the name of a group. What other
 * readers may take for an address is neither. */
static bool is_passed_over(const struct scan *scan) {
    struct text word = {scan->address, scan->length};

    if (scan->in_angle)
        return word.length == 0 || word.data[0] == '@';
    return !scan->had_angle && (text_find(word, '@') == word.length || word.data[0] == '"');
}

/* True when the byte ends this address. */
static bool take(struct scan *scan, char byte) {
    if (byte == '(') {
        skip_comment(scan);
        scan->blank = true;
    } else if (byte == '"' && !(scan->had_angle && !scan->in_angle))
        take_quoted(scan);
    else if (byte == '<')
        open_angle(scan);
    else if (byte == '>') {
        scan->bad = scan->bad || !scan->in_angle;
        scan->in_angle = false;
    } else if (byte == ':' || (byte == ',' && scan->in_angle)) {
        scan->bad = scan->bad || !is_passed_over(scan);
        forget(scan);
    } else if (byte == ',' || byte == ';')
        return true;
    else if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
        scan->blank = true;
    else {
        scan->bad = scan->bad || (scan->had_angle && !scan->in_angle);
        take_byte(scan, byte);
    }
    return false;
}

static bool scan_one(struct scan *scan) {
    bool ended = false;

    forget(scan);
    scan->in_angle = scan->had_angle = false;
    while (!ended && !scan->bad && scan->rest.length > 0)
        ended = take(scan, next_byte(scan));
    scan->bad = scan->bad || scan->in_angle || scan->too_long;
    scan->address[scan->length] = '\0';
    return scan->length > 0 || scan->had_angle;
}

bool mailbox_list_next(struct text *rest, char address[MAILBOX_SIZE], bool *bad) {
    struct scan scan = {.rest = *rest, .address = address};
    bool found = false;

    while (!found && !scan.bad && scan.rest.length > 0)
        found = scan_one(&scan); /* empty ones, as in "a, , b", are passed over (RFC 5322 4.4) */
    *rest = scan.rest;
    *bad = scan.bad;
    return found && !scan.bad;
}

bool mailbox_list_author(struct text *rest, struct address *author, bool *bad) {
    char mailbox[MAILBOX_SIZE];

    while (mailbox_list_next(rest, mailbox, bad)) {
        struct text address = text_of(mailbox);
        if (address_at(address) == address.length)
            continue;
        *bad = address_parse(address, true, author) != ADDRESS_OK;
        return !*bad;
    }
    return false;
}
