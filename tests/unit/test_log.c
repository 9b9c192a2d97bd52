/* SPDX-License-Identifier: MIT
 * Log lines: their form, severities, what is hidden, how processes end. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int fd;
static struct buffer seen;

static int begin(void **state) {
    (void)state;
    fd = file_memory("log");
    buffer_init(&seen, 1u << 20);
    log_start(fd, "tester", LOG_LEVEL_INFO);
    log_set_tag("");
    return 0;
}

static int end(void **state) {
    (void)state;
    log_set_descriptor(2);
    close(fd);
    buffer_free(&seen);
    return 0;
}

static const char *read_log(void) {
    buffer_clear(&seen);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(file_read_into(fd, &seen));
    return buffer_string(&seen);
}

static void a_line_has_time_severity_process_tag_and_text(void **state) {
    char expected[100], date[CLOCK_TEXT_SIZE];
    time_t seconds;
    (void)state;
    log_set_tag("1vMcGX-3kTz9Q-a7");
    log_warn("hello %d", 7);
    const char *line = read_log();
    snprintf(expected, sizeof expected, " warn  tester[%d] 1vMcGX-3kTz9Q-a7: hello 7\n", (int)getpid());
    assert_string_equal(line + 23, expected);
    assert_int_equal(line[19], '.');
    assert_true(text_copy(date, sizeof date, text_first(text_of(line), 19)));
    assert_true(clock_parse(date, &seconds));
    assert_true(seconds <= time(NULL) && seconds > time(NULL) - 60);
}

static void lines_below_the_lowest_severity_are_left_out(void **state) {
    (void)state;
    assert_false(log_wants(LOG_LEVEL_DEBUG));
    log_debug("hidden");
    assert_string_equal(read_log(), "");
    log_set_level(LOG_LEVEL_ERROR);
    log_info("hidden");
    log_warn("hidden");
    log_error("shown");
    assert_non_null(strstr(read_log(), "error tester["));
    assert_null(strstr(read_log(), "hidden"));
}

static void foreign_bytes_cannot_forge_a_line(void **state) {
    (void)state;
    log_info("%s", "a\r\n2026-11-22 fatal \x1b[31m\xc3\xa4");
    const char *line = read_log();
    assert_non_null(strstr(line, ": a\\x0d\\x0a2026-11-22 fatal \\x1b[31m\\xc3\\xa4\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void a_long_text_is_cut_and_still_one_line(void **state) {
    char text[9000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    const char *line = read_log();
    size_t length = strlen(line);
    assert_true(length < 4500 && length > 3000);
    assert_string_equal(line + length - 5, "x...\n");
}

static void logging_keeps_errno_and_survives_a_closed_descriptor(void **state) {
    (void)state;
    errno = ENOENT;
    log_info("text");
    assert_int_equal(errno, ENOENT);
    int former = log_set_descriptor(9999);
    assert_int_equal(former, fd);
    log_info("lost");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(log_set_descriptor(fd), 9999);
    assert_int_equal(log_descriptor(), fd);
}

static void a_fatal_line_ends_the_process_with_its_status(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        log_set_program("child");
        die_fatal(EXIT_STATUS_CONFIG, "wrong %s", "key");
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_STATUS_CONFIG);
    assert_non_null(strstr(read_log(), "fatal child["));
    assert_non_null(strstr(read_log(), ": wrong key\n"));
}

static void a_panic_aborts_with_a_backtrace(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        die_panic("impossible");
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(read_log(), " panic tester["));
    assert_non_null(strstr(read_log(), "die_panic"));
}

static void exit_statuses_have_names(void **state) {
    (void)state;
    assert_string_equal(exit_status_name(EXIT_STATUS_OK), "ok");
    assert_string_equal(exit_status_name(EXIT_STATUS_OUT_OF_MEMORY), "out of memory");
    assert_string_equal(exit_status_name(2), "unknown");
    assert_string_equal(exit_status_name(-1), "unknown");
    assert_string_equal(exit_status_name(255), "unknown");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_severity_process_tag_and_text, begin, end),
        cmocka_unit_test_setup_teardown(lines_below_the_lowest_severity_are_left_out, begin, end),
        cmocka_unit_test_setup_teardown(foreign_bytes_cannot_forge_a_line, begin, end),
        cmocka_unit_test_setup_teardown(a_long_text_is_cut_and_still_one_line, begin, end),
        cmocka_unit_test_setup_teardown(logging_keeps_errno_and_survives_a_closed_descriptor, begin, end),
        cmocka_unit_test_setup_teardown(a_fatal_line_ends_the_process_with_its_status, begin, end),
        cmocka_unit_test_setup_teardown(a_panic_aborts_with_a_backtrace, begin, end),
        cmocka_unit_test(exit_statuses_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
