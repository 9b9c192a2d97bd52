/* SPDX-License-Identifier: MIT
 * Words and values for `parcelpost why`, see story.h. */
#include "control/story.h"
#include "base/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SHOWN_SIZE 1200

static char *room(void) {
    static char rooms[STORY_SHOWN][SHOWN_SIZE];
    static unsigned next;
    return rooms[next++ % STORY_SHOWN];
}

const char *story_shown(const char *value) {
    return text_printable(room(), SHOWN_SIZE, text_of(value));
}

const char *story_span(int64_t seconds) {
    static const struct {
        int64_t least, unit;
        const char *name;
    } units[] = {{2 * 86400, 86400, "days"}, {2 * 3600, 3600, "h"}, {120, 60, "min"}, {0, 1, "s"}};
    char *words = room();
    size_t i = 0;
    while (i < 3 && seconds < units[i].least) {
        i++;
    }
    snprintf(words, SHOWN_SIZE, "%lld %s", (long long)(seconds / units[i].unit), units[i].name);
    return words;
}

const char *story_time(const char *utc) {
    time_t at, now = time(NULL);
    char *words = room();
    if (!clock_parse(utc, &at)) {
        return utc[0] == '\0' ? "never" : story_shown(utc);
    }
    snprintf(words, SHOWN_SIZE, "%s UTC (%s%s%s)", utc, at > now ? "in " : "",
             story_span(at > now ? at - now : now - at), at > now ? "" : " ago");
    return words;
}

bool story_is_ahead(const char *utc) {
    time_t at;
    return clock_parse(utc, &at) && at > time(NULL);
}

const char *story_raw(const struct report_row *row, const char *column) {
    for (size_t i = 0; i < row->count; i++) {
        if (strcmp(row->names[i], column) == 0) {
            return row->values[i];
        }
    }
    return "";
}

const char *story_value(const struct report_row *row, const char *column) {
    return story_shown(story_raw(row, column));
}
