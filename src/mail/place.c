/* SPDX-License-Identifier: MIT
 * The text of mails.place. Called wherever rows and spool meet; bad text is refused. */
#include "mail/place.h"
#include <stdio.h>
#include <string.h>

void place_format(enum place_kind kind, struct journal_place place, char text[PLACE_SIZE]) {
    if (kind == PLACE_JOURNAL) {
        (void)snprintf(text, PLACE_SIZE, "journal %llu %llu", (unsigned long long)place.segment,
                       (unsigned long long)place.offset);
    } else {
        (void)snprintf(text, PLACE_SIZE, "%s", kind == PLACE_FILE ? "file" : "gone");
    }
}

bool place_parse(const char *text, enum place_kind *kind, struct journal_place *place) {
    struct text rest = text_of(text), word, number;
    *place = (struct journal_place){0, 0};
    if (strcmp(text, "file") == 0 || strcmp(text, "gone") == 0) {
        *kind = text[0] == 'f' ? PLACE_FILE : PLACE_GONE;
        return true;
    }
    *kind = PLACE_JOURNAL;
    return text_split(&rest, ' ', &word) && text_equal(word, TEXT("journal")) && text_split(&rest, ' ', &number) &&
           text_number(number, INT64_MAX, &place->segment) && text_number(rest, INT64_MAX, &place->offset);
}
