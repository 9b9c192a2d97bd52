/* SPDX-License-Identifier: MIT
 * Dropping privileges: nothing of root is left. The rows that need root are skipped without it. */
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/privilege.h"
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* What a child found wrong, as its exit status. */
enum finding {
    FOUND_NOTHING,
    FOUND_IDS = 101,
    FOUND_GROUPS,
    FOUND_ROOT,
    FOUND_FILES,
    FOUND_FLAGS,
    FOUND_OPEN,
    FOUND_CLOSED
};

static int run(int (*act)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        _exit(act());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int drop_to_nobody(void) {
    static const gid_t groups[] = {4, 0, 27};
    struct privilege_user nobody;
    char directory[] = "/tmp/parcelpost-empty-XXXXXX";
    uid_t uids[3];
    if (!privilege_find("nobody", "", &nobody) || setgroups(COUNT_OF(groups), groups) != 0 ||
        mkdtemp(directory) == NULL) {
        return 1;
    }
    char inside[64];
    snprintf(inside, sizeof inside, "/proc/self/fd/%d", open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (rmdir(directory) != 0 || chdir("/") != 0) {
        return 2;
    }
    privilege_drop(&nobody, inside);
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || uids[0] != nobody.uid || uids[1] != nobody.uid ||
        uids[2] != nobody.uid || getgid() != nobody.gid || getegid() != nobody.gid) {
        return FOUND_IDS;
    }
    if (getgroups(0, NULL) != 0) {
        return FOUND_GROUPS;
    }
    if (setuid(0) == 0 || setgid(0) == 0 || setgroups(1, groups) == 0 || chroot("/") == 0) {
        return FOUND_ROOT;
    }
    if (access("/etc", F_OK) == 0 || access("/proc", F_OK) == 0 || access("etc", F_OK) == 0) {
        return FOUND_FILES;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return FOUND_FLAGS;
    }
    return FOUND_NOTHING;
}

/* The connector's user: what the operator has put him into stays, and nothing of root's. */
static int drop_to_one_with_groups(void) {
    static const gid_t former[] = {0, 4};
    struct privilege_user user;
    gid_t groups[8];
    if (!privilege_find("nobody", "", &user) || setgroups(COUNT_OF(former), former) != 0) {
        return 1;
    }
    user.groups[0] = 12;
    user.groups[1] = 27;
    user.group_count = 2;
    privilege_drop(&user, NULL);
    if (getgroups(COUNT_OF(groups), groups) != 2 || groups[0] != 12 || groups[1] != 27) {
        return FOUND_GROUPS;
    }
    return setgroups(1, former) == 0 ? FOUND_ROOT : FOUND_NOTHING;
}

static int drop_to_root(void) {
    struct privilege_user root = {.uid = 0, .gid = 0, .known = true};
    privilege_drop(&root, NULL);
    return FOUND_NOTHING;
}

static int drop_to_nobody_known(void) {
    struct privilege_user unknown = {.known = false};
    privilege_drop(&unknown, NULL);
    return FOUND_NOTHING;
}

/* With the listener's capabilities: files of others and the system's settings are out of reach, dropping still works.
 */
static int keep_what_the_listener_needs(void) {
    char path[] = "/tmp/parcelpost-file-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || fchown(file, 1, 1) != 0 || fchmod(file, 0600) != 0) {
        return 1;
    }
    privilege_keep_listener_capabilities();
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    int changed = fchown(file, 2, 2);
    unlink(path);
    if (opened >= 0 || changed == 0) {
        return FOUND_ROOT;
    }
    struct privilege_user nobody;
    if (!privilege_find("nobody", "", &nobody)) {
        return 2;
    }
    privilege_drop(&nobody, "/tmp");
    return setuid(0) == 0 ? FOUND_ROOT : FOUND_NOTHING;
}

static int close_all_but_some(void) {
    int keep[] = {40, 20, 20, -1, 2, 21};
    for (int fd = 20; fd <= 45; fd++) {
        dup2(1, fd);
    }
    log_set_descriptor(30);
    privilege_close_other_descriptors(keep, COUNT_OF(keep));
    for (int fd = 3; fd <= 60; fd++) {
        bool kept = fd == 20 || fd == 21 || fd == 40 || fd == 30;
        if ((fcntl(fd, F_GETFD) >= 0) != kept) {
            return kept ? FOUND_CLOSED : FOUND_OPEN;
        }
    }
    return fcntl(2, F_GETFD) >= 0 ? FOUND_NOTHING : FOUND_CLOSED;
}

static int drop_without_root(void) {
    struct privilege_user unknown = {.known = false};
    if (privilege_is_root() && setuid(65534) != 0) {
        return 1;
    }
    uid_t before = getuid();
    privilege_drop(&unknown, "/nowhere");
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && getuid() == before ? FOUND_NOTHING : FOUND_FLAGS;
}

static void nothing_of_root_is_left(void **state) {
    (void)state;
    if (!privilege_is_root()) {
        skip();
    }
    assert_int_equal(run(drop_to_nobody), FOUND_NOTHING);
}

static void a_users_own_groups_stay(void **state) {
    (void)state;
    if (!privilege_is_root()) {
        skip();
    }
    assert_int_equal(run(drop_to_one_with_groups), FOUND_NOTHING);
}

static void root_never_goes_on_as_root(void **state) {
    (void)state;
    if (!privilege_is_root()) {
        skip();
    }
    assert_int_equal(run(drop_to_root), EXIT_STATUS_NO_USER);
    assert_int_equal(run(drop_to_nobody_known), EXIT_STATUS_NO_USER);
}

static void the_listener_keeps_just_what_it_needs(void **state) {
    (void)state;
    if (!privilege_is_root()) {
        skip();
    }
    assert_int_equal(run(keep_what_the_listener_needs), FOUND_NOTHING);
}

static void without_root_the_process_goes_on_as_its_caller(void **state) {
    (void)state;
    assert_int_equal(run(drop_without_root), FOUND_NOTHING);
}

static void only_the_listed_descriptors_stay_and_the_logs(void **state) {
    (void)state;
    assert_int_equal(run(close_all_but_some), FOUND_NOTHING);
}

static void users_and_groups_are_looked_up(void **state) {
    struct privilege_user found;
    (void)state;
    assert_true(privilege_find("root", "", &found));
    assert_true(found.known);
    assert_int_equal(found.uid, 0);
    assert_true(privilege_find("root", "daemon", &found));
    assert_int_equal(found.gid, 1);
    assert_false(privilege_find("no-such-user", "", &found));
    assert_false(found.known);
    assert_false(privilege_find("root", "no-such-group", &found));
    assert_false(found.known);
    assert_true(privilege_find("nobody", "", &found));
    assert_true(privilege_find_groups("nobody", &found));
    assert_int_equal(found.groups[0], found.gid);
    assert_true(privilege_find("root", "", &found));
    assert_false(privilege_find_groups("root", &found)); /* root's group */
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_root_is_left),
        cmocka_unit_test(a_users_own_groups_stay),
        cmocka_unit_test(root_never_goes_on_as_root),
        cmocka_unit_test(the_listener_keeps_just_what_it_needs),
        cmocka_unit_test(without_root_the_process_goes_on_as_its_caller),
        cmocka_unit_test(only_the_listed_descriptors_stay_and_the_logs),
        cmocka_unit_test(users_and_groups_are_looked_up),
    };
    log_start(file_memory("log"), "tester", LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
