/* SPDX-License-Identifier: MIT
 * Programs that read rows ask the ledger to write them first; one that hangs holds none of them up. */
#include "base/clock.h"
#include "control/operator.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "/tmp/test-control-operator-XXXXXX"

static char directory[sizeof NAME];
static int listening;

static int start(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    memcpy(directory, NAME, sizeof directory);
    assert_non_null(mkdtemp(directory));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/ledger.sock", directory);
    listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (const struct sockaddr *)&address, sizeof address), 0);
    return listen(listening, 0);
}

static int end(void **state) {
    char path[sizeof directory + 16];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/ledger.sock", directory);
    (void)close(listening);
    (void)unlink(path);
    return rmdir(directory);
}

static void a_ledger_that_hangs_holds_nobody_up_though_its_queue_is_full(void **state) {
    const struct config config = {.control_directory = directory};
    int64_t began = clock_now_ms();
    (void)state;
    alarm(30);
    for (int i = 0; i < 3; i++) { /* the first is let in, which nobody notices */
        operator_settle(&config);
    }
    alarm(0);
    assert_in_range(clock_now_ms() - began, 0, 20000);
}

/* Whoever may read the database need not be one whom the ledger takes orders from: it would warn of each attempt. */
static void who_is_not_let_in_does_not_knock(void **state) {
    const struct config config = {.control_directory = directory};
    char path[sizeof directory + 16];
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/ledger.sock", directory);
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(chmod(path, 0666), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        if (setuid(65534) == 0) {
            operator_settle(&config);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(fcntl(listening, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept(listening, NULL, NULL), -1);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_ledger_that_hangs_holds_nobody_up_though_its_queue_is_full, start, end),
        cmocka_unit_test_setup_teardown(who_is_not_let_in_does_not_knock, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
