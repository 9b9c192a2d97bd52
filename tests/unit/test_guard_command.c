/* SPDX-License-Identifier: MIT
 * What lock_command and unlock_command become: words, and the contact among them or behind them. */
#include "base/command_words.h"
#include "base/log.h"
#include "listener/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/parcelpost-test-XXXXXX", script[64], output[64];

/* The command's arguments, a line each. */
static const char *arguments_of(const char *words) {
    static char text[8192];
    char command[4096];
    (void)unlink(output);
    assert_true(snprintf(command, sizeof command, "%s %s", script, words) < (int)sizeof command);
    guard_command(command, "192.0.2.1");
    FILE *file = fopen(output, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void the_contact_is_where_the_command_has_it_or_its_last_argument(void **state) {
    (void)state;
    assert_string_equal(arguments_of("-s  %i/32 b"), "-s\n192.0.2.1/32\nb\n");
    assert_string_equal(arguments_of("-s"), "-s\n192.0.2.1\n");
}

static void a_command_has_all_words_that_the_configuration_takes(void **state) {
    char words[COMMAND_WORDS_MAXIMUM * 2 + 1] = "", wanted[COMMAND_WORDS_MAXIMUM * 2 + 16];
    (void)state;
    size_t length = 0;
    for (size_t i = 1; i < COMMAND_WORDS_MAXIMUM; i++, length += 2) { /* the first is the program */
        memcpy(words + length, "x ", 3);
        memcpy(wanted + length, "x\n", 3);
    }
    (void)snprintf(wanted + length, sizeof wanted - length, "192.0.2.1\n");
    assert_string_equal(arguments_of(words), wanted);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contact_is_where_the_command_has_it_or_its_last_argument),
        cmocka_unit_test(a_command_has_all_words_that_the_configuration_takes),
    };
    log_start(STDERR_FILENO, "test", LOG_LEVEL_FATAL);
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    snprintf(script, sizeof script, "%s/command", directory);
    snprintf(output, sizeof output, "%s/output", directory);
    FILE *file = fopen(script, "w");
    if (file == NULL || fprintf(file, "#!/bin/sh\nprintf '%%s\\n' \"$@\" > %s\n", output) < 0 || fclose(file) != 0 ||
        chmod(script, 0700) != 0) {
        return 1;
    }
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(script);
    (void)unlink(output);
    (void)rmdir(directory);
    return result;
}
