/* SPDX-License-Identifier: MIT
 * Giving up privileges for good. Called at the start of each process, as root, before it reads its first byte from
 * anywhere; whatever does not work ends the process. Without root nothing is dropped but no_new_privs is set. */
#include "base/privilege.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void die_refused(const char *what) {
    die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: %s: %s", what, strerror(errno));
}

bool privilege_find(const char *user, const char *group, struct privilege_user *found) {
    *found = (struct privilege_user){.known = false};
    const struct passwd *account = getpwnam(user);
    if (account == NULL) {
        return false;
    }
    found->uid = account->pw_uid;
    found->gid = account->pw_gid;
    if (group[0] != '\0') {
        const struct group *entry = getgrnam(group);
        if (entry == NULL) {
            return false;
        }
        found->gid = entry->gr_gid;
    }
    found->known = true;
    return true;
}

static int compare_groups(const void *a, const void *b) {
    const gid_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

bool privilege_find_groups(const char *user, struct privilege_user *found) {
    int count = PRIVILEGE_GROUPS_MAXIMUM;
    if (getgrouplist(user, found->gid, found->groups, &count) < 0) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (found->groups[i] == 0) {
            return false;
        }
    }
    qsort(found->groups, (size_t)count, sizeof found->groups[0], compare_groups); /* as the kernel keeps them */
    found->group_count = (size_t)count;
    return true;
}

bool privilege_is_root(void) {
    return geteuid() == 0;
}

static void enter_root_directory(const char *directory) {
    if (chroot(directory) != 0) {
        die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot chroot to %s: %s", directory, strerror(errno));
    }
    if (chdir("/") != 0) {
        die_refused("chdir");
    }
}

/* By hand and not with libcap-ng, which reads /proc on its first use: after a chroot there is none. */
static void clear_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
        die_refused("clearing ambient capabilities");
    }
    if (syscall(SYS_capset, &header, none) != 0) {
        die_refused("capset");
    }
}

static void verify_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, held) != 0) {
        die_refused("capget");
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        if (held[i].effective != 0 || held[i].permitted != 0 || held[i].inheritable != 0) {
            die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: capabilities are left");
        }
    }
}

/* Trusts nothing: asks what is held, and tries to get root back. */
static void verify_ids(const struct privilege_user *user) {
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || getresgid(&gids[0], &gids[1], &gids[2]) != 0) {
        die_refused("reading ids");
    }
    for (int i = 0; i < 3; i++) {
        if (uids[i] != user->uid || gids[i] != user->gid) {
            die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: an id is still the old one");
        }
    }
    gid_t groups[PRIVILEGE_GROUPS_MAXIMUM];
    int count = getgroups(PRIVILEGE_GROUPS_MAXIMUM, groups);
    if (count < 0 || (size_t)count != user->group_count ||
        (count > 0 && memcmp(groups, user->groups, (size_t)count * sizeof groups[0]) != 0)) {
        die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: supplementary groups are left");
    }
    if (setuid(0) == 0 || seteuid(0) == 0 || setreuid((uid_t)-1, 0) == 0) {
        die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: root came back");
    }
    if (user->gid != 0 && (setgid(0) == 0 || setegid(0) == 0)) {
        die_fatal(EXIT_STATUS_NO_PERMISSION, "cannot drop privileges: group root came back");
    }
}

static void forbid_new_privileges(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        die_refused("no_new_privs");
    }
}

void privilege_drop(const struct privilege_user *user, const char *directory) {
    if (!privilege_is_root()) {
        forbid_new_privileges();
        return;
    }
    if (!user->known || user->uid == 0) {
        die_fatal(EXIT_STATUS_NO_USER, "will not go on as root: no unprivileged user is configured for this process");
    }
    if (directory != NULL) {
        enter_root_directory(directory);
    }
    if (setgroups(user->group_count, user->groups) != 0) {
        die_refused("setgroups");
    }
    if (setresgid(user->gid, user->gid, user->gid) != 0) {
        die_refused("setresgid");
    }
    if (setresuid(user->uid, user->uid, user->uid) != 0) {
        die_refused("setresuid");
    }
    clear_capabilities();
    forbid_new_privileges();
    /* Nobody of the same uid may look into this memory, nor may a core file show it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        die_refused("undumpable");
    }
    verify_ids(user);
    verify_capabilities();
}

void privilege_forbid_core_files(void) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        die_refused("no core files");
    }
    /* A program that takes core files from a pipe does not ask for the limit. Without root it stays readable for its
     * user, whose keys these are. */
    if (privilege_is_root() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        die_refused("undumpable");
    }
}

void privilege_keep_listener_capabilities(void) {
    if (!privilege_is_root()) {
        return;
    }
    capng_clear(CAPNG_SELECT_BOTH);
    int added = capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_SETUID, CAP_SETGID,
                              CAP_SYS_CHROOT, CAP_KILL, CAP_NET_BIND_SERVICE, -1);
    /* Without SETPCAP, in some containers, the bounding set stays as it is; what is held matters more. */
    if (added != 0 || (capng_apply(CAPNG_SELECT_BOTH) != 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)) {
        die_refused("the listener's capabilities");
    }
}

void privilege_use_file_rights(bool use) {
    if (!privilege_is_root() || capng_get_caps_process() != 0) {
        return;
    }
    static const unsigned rights[] = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH};
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        if (capng_have_capability(CAPNG_PERMITTED, rights[i])) {
            (void)capng_update(use ? CAPNG_ADD : CAPNG_DROP, CAPNG_EFFECTIVE, rights[i]);
        }
    }
    (void)capng_apply(CAPNG_SELECT_CAPS);
}

static int compare_numbers(const void *a, const void *b) {
    const int *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

void privilege_close_other_descriptors(const int *keep, size_t count) {
    int *sorted = memory_new(count + 1, sizeof *sorted);
    if (count > 0) {
        memcpy(sorted, keep, count * sizeof *sorted);
    }
    sorted[count] = log_descriptor(); /* without it nobody would learn what goes wrong later */
    qsort(sorted, count + 1, sizeof *sorted, compare_numbers);
    unsigned from = 3;
    for (size_t i = 0; i <= count; i++) {
        if (sorted[i] < 0 || (unsigned)sorted[i] < from) {
            continue;
        }
        unsigned kept = (unsigned)sorted[i];
        if (kept > from && close_range(from, kept - 1, 0) != 0) {
            die_refused("close_range");
        }
        from = kept + 1;
    }
    free(sorted);
    if (close_range(from, ~0u, 0) != 0) {
        die_refused("close_range");
    }
}
