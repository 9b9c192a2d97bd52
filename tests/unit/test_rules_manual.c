/* SPDX-License-Identifier: MIT
 * The manual page of the rules lists exactly the facts and actions of the tables, each with its type and when it is
 * known. With PARCELPOST_WRITE_MANUAL set it is rewritten instead. Run from the top of the checkout; skipped elsewhere.
 */
#include "base/buffer.h"
#include "base/file.h"
#include "mail/sql_action.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE "man/parcelpost-rules.5"

static void name_stages(unsigned stages, struct buffer *text) {
    bool first = true;
    for (size_t i = 0; i < RULE_FILES; i++)
        if ((stages & 1u << i) != 0) {
            (void)buffer_format(text, "%s%s", first ? " " : ", ", rule_stage_names[i]);
            first = false;
        }
}

/* Those at which it is known, or those few at which it is not. */
static void describe_stages(unsigned stages, struct buffer *text) {
    const unsigned all = (1u << RULE_STAGES) - 1; /* client_lookup is no moment of a session */
    bool most = __builtin_popcount(stages) > RULE_STAGES / 2;
    (void)buffer_append_string(text, most ? " at all" : " at");
    if (most && stages != all)
        (void)buffer_append_string(text, " but");
    if (stages != all)
        name_stages(most ? all & ~stages : stages, text);
}

static void describe_facts(struct buffer *text) {
    for (size_t i = 0; i < SQL_FACTS; i++) {
        const struct sql_fact_row *fact = &sql_facts[i];
        (void)buffer_format(text, ".It Ic :%s Pq %s,", fact->name, fact->number ? "number" : "text");
        describe_stages(fact->stages, text);
        (void)buffer_format(text, "\n%s\n", fact->help);
    }
}

static void describe_actions(struct buffer *text) {
    for (size_t i = 0; i < SQL_ACTIONS; i++) {
        const struct sql_action_row *action = &sql_actions[i];
        (void)buffer_format(text, ".It Ic %s Pq %s,", action->name, action->wants);
        describe_stages(action->stages, text);
        (void)buffer_format(text, "\n%s%s\n", action->help,
                            action->refused ? "\nDone also when a rule of the same verb objects." : "");
    }
}

static void rewrite(const char *page, const char *begin, const char *end, const char *list) {
    FILE *file = fopen(PAGE ".new", "w");
    assert_non_null(file);
    (void)fprintf(file, "%.*s%s%s", (int)(begin - page), page, list, end);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(PAGE ".new", PAGE), 0);
}

/* The part of the page between ".\" begin WHAT" and ".\" end WHAT" is what `describe` says. */
static void compare_list(const char *what, void (*describe)(struct buffer *text)) {
    struct buffer page, list;
    char first[40], last[40];
    int fd = open(PAGE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    buffer_init(&page, 1 << 20);
    buffer_init(&list, 1 << 20);
    assert_true(file_read_into(fd, &page));
    (void)close(fd);
    describe(&list);
    (void)snprintf(first, sizeof first, ".\\\" begin %s\n", what);
    (void)snprintf(last, sizeof last, ".\\\" end %s\n", what);
    const char *begin = strstr(buffer_string(&page), first), *end = strstr(buffer_string(&page), last);
    assert_true(begin != NULL && end != NULL && begin < end);
    begin += strlen(first);
    if (getenv("PARCELPOST_WRITE_MANUAL") != NULL)
        rewrite(page.data, begin, end, buffer_string(&list));
    else if (!text_equal((struct text){begin, (size_t)(end - begin)}, buffer_text(&list)))
        fail_msg("the %s have changed; run this test once with PARCELPOST_WRITE_MANUAL=1", what);
    buffer_free(&page);
    buffer_free(&list);
}

static void the_manual_lists_every_fact_with_type_and_when_it_is_known(void **state) {
    (void)state;
    compare_list("facts", describe_facts);
}

static void the_manual_lists_every_action_with_its_value_and_when_it_can_be_done(void **state) {
    (void)state;
    compare_list("actions", describe_actions);
}

/* A rule of a stage that the page does not speak of would be nobody's. */
static void the_manual_names_the_file_of_every_stage(void **state) {
    struct buffer page;
    int fd = open(PAGE, O_RDONLY | O_CLOEXEC);
    (void)state;
    if (fd < 0)
        skip();
    buffer_init(&page, 1 << 20);
    assert_true(file_read_into(fd, &page));
    (void)close(fd);
    for (size_t i = 0; i < RULE_FILES; i++) {
        char file[64];
        (void)snprintf(file, sizeof file, " %s.sql", rule_stage_names[i]);
        if (strstr(buffer_string(&page), file) == NULL)
            fail_msg("%s does not name%s", PAGE, file);
    }
    buffer_free(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_lists_every_fact_with_type_and_when_it_is_known),
        cmocka_unit_test(the_manual_lists_every_action_with_its_value_and_when_it_can_be_done),
        cmocka_unit_test(the_manual_names_the_file_of_every_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
