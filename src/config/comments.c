/* SPDX-License-Identifier: MIT
 * Comments become blanks before libconfuse sees the text: release 3.3 counts their lines twice, so that every error
 * after a comment would name a wrong line, and it takes a comment or a block that is never closed for the end of the
 * file. Called by the parser; reports what is not closed. */
#include "config/comments.h"
#include <stdbool.h>
#include <string.h>

enum place { PLACE_PLAIN, PLACE_DOUBLE_QUOTED, PLACE_SINGLE_QUOTED, PLACE_LINE_COMMENT, PLACE_BLOCK_COMMENT };

struct scan {
    char *at;
    enum place place;
    bool token_start; /* two slashes begin a comment here, not within http://x */
    unsigned line, began;
    unsigned depth, brace; /* open braces; the line of the outermost */
};

static void blank(char *at, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (at[i] != '\n')
            at[i] = ' ';
}

/* Each of these handles what is at scan->at and returns how many bytes that was. */
static unsigned scan_plain(struct scan *scan) {
    char byte = scan->at[0];
    bool slashes = scan->token_start && byte == '/';

    scan->token_start = strchr(" \t\n\r={}(),+\"'", byte) != NULL;
    scan->began = scan->line;
    if (byte == '{' && scan->depth++ == 0)
        scan->brace = scan->line;
    else if (byte == '}' && scan->depth > 0)
        scan->depth--;
    if (byte == '"')
        scan->place = PLACE_DOUBLE_QUOTED;
    else if (byte == '\'')
        scan->place = PLACE_SINGLE_QUOTED;
    else if (byte == '#' || (slashes && scan->at[1] == '/'))
        scan->place = PLACE_LINE_COMMENT;
    else if (slashes && scan->at[1] == '*')
        scan->place = PLACE_BLOCK_COMMENT;
    else
        return 1;
    if (scan->place == PLACE_LINE_COMMENT || scan->place == PLACE_BLOCK_COMMENT) {
        unsigned length = byte == '#' ? 1 : 2;
        blank(scan->at, length);
        return length;
    }
    return 1;
}

static unsigned scan_quoted(struct scan *scan, char quote) {
    if (scan->at[0] == '\\' && scan->at[1] != '\0' && scan->at[1] != '\n')
        return 2;
    if (scan->at[0] == quote)
        scan->place = PLACE_PLAIN;
    return 1;
}

static unsigned scan_comment(struct scan *scan) {
    bool ends = scan->place == PLACE_LINE_COMMENT ? scan->at[0] == '\n' : scan->at[0] == '*' && scan->at[1] == '/';
    unsigned length = ends && scan->place == PLACE_BLOCK_COMMENT ? 2 : 1;

    if (ends) {
        scan->place = PLACE_PLAIN;
        scan->token_start = true;
    }
    blank(scan->at, length);
    return length;
}

static unsigned scan_one(struct scan *scan) {
    switch (scan->place) {
    case PLACE_PLAIN:
        return scan_plain(scan);
    case PLACE_DOUBLE_QUOTED:
        return scan_quoted(scan, '"');
    case PLACE_SINGLE_QUOTED:
        return scan_quoted(scan, '\'');
    case PLACE_LINE_COMMENT:
    case PLACE_BLOCK_COMMENT:
        return scan_comment(scan);
    }
    return 1;
}

unsigned comments_blank(char *text) {
    struct scan scan = {.at = text, .token_start = true, .line = 1};

    while (*scan.at != '\0') {
        bool line_ends = scan.at[0] == '\n';
        scan.at += scan_one(&scan);
        scan.line += line_ends;
    }
    if (scan.place != PLACE_PLAIN && scan.place != PLACE_LINE_COMMENT)
        return scan.began;
    return scan.depth > 0 ? scan.brace : 0;
}
