/* SPDX-License-Identifier: MIT
 * `parcelpost top`: the server at work, drawn anew every few seconds: processes, sessions, messages a second, the queue
 * and what the queue runner has in hand. Plain escape codes; without a terminal, or with --once, one frame. */
#include "base/clock.h"
#include "base/memory.h"
#include "control/control.h"
#include "control/operator.h"
#include "control/processes.h"
#include "control/report_show.h"
#include "control/story.h"
#include "control/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_USUAL 2
#define SECONDS_LONGEST 3600
#define CLEAR "\x1b[H\x1b[2J"
#define STATUS_FIELDS 6

struct top {
    struct control *control;
    struct database *database;
    struct processes before; /* of the last frame */
    int64_t before_ms;
};

/* CPU time that the group used since the last frame, in percent of one processor; since its start in the first. */
static double cpu_percent(const struct top *top, const struct process_group *group, int64_t up_seconds) {
    double seconds = group->seconds, period = (double)(up_seconds > 0 ? up_seconds : 1);
    for (size_t i = 0; i < top->before.group_count; i++) {
        const struct process_group *was = &top->before.groups[i];
        if (strcmp(was->name, group->name) == 0 && strcmp(was->user, group->user) == 0) {
            seconds -= was->seconds;
        }
    }
    if (top->before_ms > 0) {
        period = (double)(clock_now_ms() - top->before_ms) / 1000;
    }
    return seconds > 0 && period > 0 ? 100 * seconds / period : 0;
}

static void show_processes(struct top *top) {
    static const char *const titles[] = {"PROCESS", "USER", "NUMBER", "MEMORY MIB", "CPU %", NULL};
    struct processes now;
    struct table *table = table_new(titles);
    char server_time[CLOCK_TEXT_SIZE];
    processes_read(top->control->config, &now);
    clock_text(time(NULL), server_time);
    if (now.server == 0) {
        printf("%s UTC, %s: the server does not run\n", server_time, top->control->config->server_name);
    } else {
        printf("%s UTC, %s: up %s, %u processes, %u sessions\n", server_time, top->control->config->server_name,
               story_span(now.up_seconds), now.count, processes_sessions(top->control->config));
    }
    for (size_t i = 0; i < now.group_count; i++) {
        const struct process_group *group = &now.groups[i];
        char number[16], memory[24], cpu[24];
        snprintf(number, sizeof(number), "%u", group->count);
        snprintf(memory, sizeof(memory), "%.1f", (double)group->kib / 1024);
        snprintf(cpu, sizeof(cpu), "%.1f", cpu_percent(top, group, now.up_seconds));
        const char *values[] = {group->name, group->user, number, memory, cpu};
        table_add(table, values);
    }
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
    processes_free(&top->before);
    top->before = now;
    top->before_ms = clock_now_ms();
}

static bool show_rate(void *context, const struct report_row *row) {
    double number = strtod(story_raw(row, "number"), NULL);
    (void)context;
    printf("%s %s %.1f", strcmp(story_raw(row, "what"), "accepted") == 0 ? "" : ",", story_value(row, "what"),
           number / 60);
    return true;
}

static bool show_state(void *context, const struct report_row *row) {
    unsigned *shown = context;
    printf("%s%s %s", (*shown)++ == 0 ? " " : ", ", story_value(row, "state"), story_raw(row, "parcels"));
    return true;
}

/* The runner's own words; nothing while there is none (runner = cron starts one for whoever asks). */
static void show_in_hand(const struct top *top) {
    static const char *const titles[] = {"TRANSPORT", "DESTINATION", "NOW", "IN MEMORY", "JOBS", "AGENTS", NULL};
    struct buffer answer;
    int status = EXIT_STATUS_ERROR;
    bool runs = false;
    for (size_t i = 0; i < top->before.group_count; i++) {
        runs = runs || strcmp(top->before.groups[i].name, "runner") == 0;
    }
    if (!runs) {
        return;
    }
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    if (operator_ask(top->control->config, "runner.sock", "status", "", "", &answer, &status) == OPERATOR_ANSWERED &&
        status == EXIT_STATUS_OK) {
        struct table *table = table_new(titles);
        struct text rest = buffer_text(&answer), line, field;
        while (text_split(&rest, '\n', &line)) {
            char *values[STATUS_FIELDS] = {0};
            for (size_t i = 0; i < STATUS_FIELDS; i++) {
                values[i] = memory_string(text_split(&line, '\t', &field) ? field : TEXT_NONE);
            }
            table_add(table, (const char *const *)values);
            for (size_t i = 0; i < STATUS_FIELDS; i++) {
                free(values[i]);
            }
        }
        printf(table_count(table) > 0 ? "\nThe queue runner has in hand\n"
                                      : "\nThe queue runner has nothing in hand.\n");
        table_print(table, stdout);
        table_free(table);
    }
    buffer_free(&answer);
}

static bool frame(struct top *top) {
    static const char *const domains[] = {"DOMAIN", "PARCELS", "NEXT TRY", NULL};
    unsigned shown = 0;
    show_processes(top);
    printf("\nA second, over the last minute:");
    bool good = report_run(top->database, REPORT_MINUTE, NULL, show_rate, NULL);
    printf("\nWaiting:");
    good = good && report_run(top->database, REPORT_WAITING_NOW, NULL, show_state, &shown);
    putchar('\n');
    show_in_hand(top);
    good = good && report_show_part(top->database, REPORT_DOMAINS, NULL, "Where most wait", domains);
    fflush(stdout);
    return good;
}

static bool take_words(int count, char **arguments, bool *once, uint64_t *seconds) {
    *once = !isatty(STDOUT_FILENO);
    *seconds = SECONDS_USUAL;
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--once") == 0) {
            *once = true;
        } else if (!text_number(text_of(arguments[i]), SECONDS_LONGEST, seconds) || *seconds == 0) {
            control_fail(0, "\"%s\" is neither a number of seconds, 1 to %d, nor --once", arguments[i],
                         SECONDS_LONGEST);
            return false;
        }
    }
    return true;
}

int control_top(struct control *control, int count, char **arguments) {
    struct top top = {.control = control};
    bool once, good = true;
    uint64_t seconds;
    if (!take_words(count, arguments, &once, &seconds)) {
        return EXIT_STATUS_USAGE;
    }
    top.database = control_database(control);
    if (top.database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    do { /* until interrupted */
        fputs(once ? "" : CLEAR, stdout);
        good = frame(&top);
    } while (good && !once && sleep((unsigned)seconds) == 0);
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(top.database));
    processes_free(&top.before);
    database_close(top.database);
    return status;
}
