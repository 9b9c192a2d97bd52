/* SPDX-License-Identifier: MIT
 * Filters of the queue's subcommands, see filter.h: one row a filter. Under the caller's privileges; a wrong word is
 * told with what is accepted. */
#include "control/filter.h"
#include "mail/mail_id.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const all_states[] = {"queued", "deferred", "held",    "delivered",
                                         "failed", "expired",  "refused", "removed"};

bool filter_duration(const char *word, int64_t *seconds) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    struct text digits = text_of(word);
    int64_t factor = 1;
    uint64_t number;
    for (size_t i = 0; digits.length > 1 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (digits.data[digits.length - 1] == units[i].unit) {
            factor = units[i].seconds;
            digits.length--;
            break;
        }
    }
    bool good = text_number(digits, INT32_MAX, &number);
    *seconds = good ? (int64_t)number * factor : 0;
    return good;
}

static bool take_sender(struct filter *filter, const char *value) {
    filter->report.sender = strcmp(value, "<>") == 0 ? "" : value;
    return true;
}

static bool take_recipient(struct filter *filter, const char *value) {
    filter->report.recipient = value;
    return true;
}

static bool take_domain(struct filter *filter, const char *value) {
    filter->report.domain = value;
    return value[0] != '\0';
}

static bool take_reason(struct filter *filter, const char *value) {
    filter->report.reason = value;
    return value[0] != '\0';
}

static bool take_older(struct filter *filter, const char *value) {
    int64_t seconds;
    bool good = filter_duration(value, &seconds);
    filter->report.before = (int64_t)time(NULL) - seconds;
    return good;
}

static bool take_younger(struct filter *filter, const char *value) {
    int64_t seconds;
    bool good = filter_duration(value, &seconds);
    filter->report.after = (int64_t)time(NULL) - seconds;
    return good;
}

static bool is_state(struct text word) {
    for (size_t i = 0; i < sizeof(all_states) / sizeof(all_states[0]); i++) {
        if (text_equal(word, text_of(all_states[i]))) {
            return true;
        }
    }
    return false;
}

static bool take_state(struct filter *filter, const char *value) {
    struct text rest = text_of(value), word;
    size_t used = 1;
    if (strcmp(value, "all") == 0) {
        rest = TEXT("queued,deferred,held,delivered,failed,expired,refused,removed");
    }
    snprintf(filter->states, sizeof(filter->states), ",");
    while (text_split(&rest, ',', &word)) {
        if (!is_state(word) || used + word.length + 2 > sizeof(filter->states)) {
            return false;
        }
        used += (size_t)snprintf(filter->states + used, sizeof(filter->states) - used, "%.*s,", TEXT_ARGS(word));
    }
    filter->report.states = filter->states;
    return used > 1;
}

static bool take_limit(struct filter *filter, const char *value) {
    uint64_t number;
    bool good = text_number(text_of(value), INT32_MAX, &number);
    filter->report.limit = good ? (int64_t)number : 0;
    filter->limited = true;
    return good;
}

static const struct {
    const char *name;
    bool (*take)(struct filter *filter, const char *value);
    const char *accepted;
} rows[] = {
    {"sender=", take_sender, "an address, with * for anything, or <>"},
    {"recipient=", take_recipient, "an address, with * for anything"},
    {"domain=", take_domain, "a recipients' domain, with * for anything"},
    {"older=", take_older, "a time such as 90s, 15m, 2h, 3d or 1w"},
    {"younger=", take_younger, "a time such as 90s, 15m, 2h, 3d or 1w"},
    {"reason=", take_reason, "a part of the last answer"},
    {"state=", take_state, "all, or one or more of queued,deferred,held,delivered,failed,expired,refused,removed"},
    {"limit=", take_limit, "a number; 0 is no limit"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void note(struct filter *filter, const char *word) {
    size_t used = strlen(filter->words);
    snprintf(filter->words + used, sizeof(filter->words) - used, "%s%s", used > 0 ? " " : "", word);
}

static bool take_filter(struct filter *filter, const char *word) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strncmp(word, rows[i].name, strlen(rows[i].name)) != 0) {
            continue;
        }
        note(filter, word);
        if (!rows[i].take(filter, word + strlen(rows[i].name))) {
            control_fail(0, "\"%s\": %s takes %s", word, rows[i].name, rows[i].accepted);
            return false;
        }
        return true;
    }
    control_fail(0, "\"%s\" is neither a message's id nor a filter; filters are", word);
    for (size_t i = 0; i < ROWS; i++) {
        fprintf(stderr, "  %-12s%s\n", rows[i].name, rows[i].accepted);
    }
    return false;
}

bool filter_parse(struct filter *filter, int count, char **arguments) {
    *filter = (struct filter){.mail_ids = arguments};
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            filter->json = true;
        } else if (strcmp(arguments[i], "--message") == 0 && i + 1 < count) {
            filter->text = arguments[++i];
        } else if (strcmp(arguments[i], "all") == 0) {
            filter->all = true;
            note(filter, "all");
        } else if (mail_id_is_valid(text_of(arguments[i]))) {
            arguments[filter->mail_id_count++] = arguments[i];
        } else if (!take_filter(filter, arguments[i])) {
            return false;
        }
    }
    if (filter->mail_id_count > 0 && filter->words[0] != '\0') {
        control_fail(0, "give messages' ids, or filters, or \"all\", but not together");
        return false;
    }
    return true;
}

bool filter_names_something(const struct filter *filter) {
    return filter->mail_id_count > 0 || filter->words[0] != '\0';
}
