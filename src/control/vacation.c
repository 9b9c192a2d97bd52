/* SPDX-License-Identifier: MIT
 * `parcelpost vacation …`: who is away, and what people are told who write to him. Rows are read here and changed by
 * the ledger (change.h); the answers are the queue runner's. */
#include "base/file.h"
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include "mail/address.h"
#include "store/aliases.h"
#include "store/users.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAXIMUM (16u * 1024)
#define ROWS_ASKED 1000u
#define ROWS_MAXIMUM (1024u * 1024)

struct wishes {
    const char *days, *starts, *ends, *subject, *message;
};

/* days=, from=, until= in any place; the other words are subject and text. */
static bool take_words(int count, char **words, struct wishes *wishes) {
    const struct {
        const char *name;
        const char **value;
    } named[] = {{"days=", &wishes->days}, {"from=", &wishes->starts}, {"until=", &wishes->ends}};
    for (int i = 0; i < count; i++) {
        const char **place = wishes->subject == NULL ? &wishes->subject : &wishes->message;
        const char *value = words[i];
        for (size_t n = 0; n < sizeof(named) / sizeof(named[0]); n++) {
            if (strncmp(words[i], named[n].name, strlen(named[n].name)) == 0) {
                place = named[n].value;
                value = words[i] + strlen(named[n].name);
            }
        }
        if (place == &wishes->message && wishes->message != NULL) {
            return false;
        }
        *place = value;
    }
    return wishes->subject != NULL && strpbrk(wishes->subject, "\r\n") == NULL;
}

/* "2026-12-24" is its midnight. */
static bool add_time(struct buffer *detail, const char *time) {
    return buffer_format(detail, "%s%s\n", time, strlen(time) == strlen("YYYY-MM-DD") ? " 00:00:00" : "");
}

/* Mail for a row of aliases that says "=", or the address itself, goes to its own mailbox, too. */
static bool leads_to_itself(struct control *control, const char *address) {
    struct database *database = control_database(control);
    struct buffer rows;
    struct text rest, target;
    buffer_init(&rows, ROWS_MAXIMUM);
    if (database != NULL) {
        (void)aliases_targets(database, text_of(address), ROWS_ASKED, &rows);
    }
    bool itself = false;
    rest = buffer_text(&rows);
    while (text_split(&rest, '\n', &target)) {
        target = text_first(target, text_find(target, '\t'));
        itself = itself || text_equal(target, TEXT("=")) || text_equal_nocase(target, text_of(address));
    }
    database_close(database);
    buffer_free(&rows);
    return itself;
}

/* Where the users cannot be read (they are root's and lookup's) nothing is known. */
static void warn_of_nobody(struct control *control, const char *address) {
    char canonical[2 * ADDRESS_SIZE];
    struct buffer ignored;
    buffer_init(&ignored, 4096);
    struct database *users = database_open(control->config->users_database, DATABASE_USERS, DATABASE_READ, &ignored);
    if (users != NULL && users_find(users, text_of(address), canonical, sizeof canonical) == USERS_NO &&
        !leads_to_itself(control, address)) {
        control_fail(0, "warning: %s is no user: nobody is answered until there is one. Try: parcelpost user add %s",
                     address, address);
    }
    database_close(users);
    buffer_free(&ignored);
}

int control_vacation_set(struct control *control, int count, char **arguments) {
    struct wishes wishes = {.days = "7", .starts = "", .ends = ""};
    struct buffer detail, input;
    if (!take_words(count - 1, arguments + 1, &wishes)) {
        return control_fail(EXIT_STATUS_USAGE, "give an address, a subject of one line, and perhaps a text");
    }
    buffer_init(&input, MESSAGE_MAXIMUM);
    buffer_init(&detail, 2 * MESSAGE_MAXIMUM);
    int status = EXIT_STATUS_USAGE;
    bool read =
        wishes.message != NULL ? buffer_append_string(&input, wishes.message) : file_read_into(STDIN_FILENO, &input);
    if (read && buffer_format(&detail, "%s\n", wishes.days) && add_time(&detail, wishes.starts) &&
        add_time(&detail, wishes.ends) && buffer_format(&detail, "%s\n", wishes.subject) &&
        buffer_append_text(&detail, buffer_text(&input))) {
        status = change_ask(control, "vacation set", arguments[0], buffer_string(&detail));
    } else {
        control_fail(status, "the text has more than %u bytes, or cannot be read", MESSAGE_MAXIMUM);
    }
    uint64_t days = 0;
    if (status == EXIT_STATUS_OK && text_number(text_of(wishes.days), INT32_MAX, &days) &&
        days > (uint64_t)control->config->history_days) {
        control_fail(0, "warning: who was answered is forgotten after history_days (%ld)",
                     control->config->history_days);
    }
    if (status == EXIT_STATUS_OK) {
        warn_of_nobody(control, arguments[0]);
    }
    buffer_free(&detail);
    buffer_free(&input);
    return status;
}

int control_vacation_off(struct control *control, int count, char **arguments) {
    (void)count;
    return change_ask(control, "vacation off", arguments[0], "");
}

int control_vacation_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"AWAY", "FROM", "UNTIL", "DAYS", "SUBJECT", "SET", NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_VACATIONS, NULL, titles, "Nobody is away.");
}
