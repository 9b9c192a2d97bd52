/* SPDX-License-Identifier: MIT
 * The kernel's Landlock calls. Called by each process of ours that gives up what it does not need, after it has dropped
 * its privileges, and by the child that becomes a program. A rule that the kernel refuses ends the process. Debian 12's
 * header knows the first version alone, so what came later is written down here. */
#include "base/landlock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- of linux/landlock.h, as of version 7 ---- */

#define ACCESS_FS_VERSION_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* every right of the first version */
#define ACCESS_FS_TRUNCATE (1ULL << 14)                              /* version 3 */
#define ACCESS_FS_IOCTL_DEVICE (1ULL << 15)                          /* version 5 */
#define ACCESS_NET_BIND_TCP (1ULL << 0)                              /* version 4 */
#define ACCESS_NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* version 6 */
#define SCOPE_SIGNAL (1ULL << 1)
#define RULE_NET_PORT ((enum landlock_rule_type)2)

struct ruleset { /* struct landlock_ruleset_attr; a kernel that knows less of it takes zeros for the rest */
    uint64_t handled_access_fs, handled_access_net, scoped;
};
struct port_rule { /* struct landlock_net_port_attr */
    uint64_t allowed_access, port;
};

/* ---- rights ---- */

#define OF_FILES                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_FS_TRUNCATE |  \
     ACCESS_FS_IOCTL_DEVICE)
#define FILL                                                                                                           \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                       \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER)

static const uint64_t rights[] = {
    [LANDLOCK_READ] = LANDLOCK_ACCESS_FS_READ_FILE,
    [LANDLOCK_WRITE] = FILL | LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_FS_TRUNCATE,
    [LANDLOCK_FILL] = FILL,
};

static uint64_t known_rights(int version) {
    return ACCESS_FS_VERSION_1 | LANDLOCK_ACCESS_FS_REFER | (version >= 3 ? ACCESS_FS_TRUNCATE : 0) |
           (version >= 5 ? ACCESS_FS_IOCTL_DEVICE : 0);
}

int landlock_version(void) {
    static int version = -1;
    if (version < 0) {
        long known = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        /* The first one lets nobody move a file from one folder into another. */
        version = known >= LANDLOCK_FILES ? (int)known : 0;
    }
    return version;
}

static _Noreturn void die_refused(const char *what) {
    die_fatal(EXIT_STATUS_SYSTEM, "cannot enter Landlock: %s: %s", what, strerror(errno));
}

/* What this process cannot reach as it is needs no rule. */
static void add_path(int ruleset, const struct landlock_path *path, uint64_t known) {
    struct stat status;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights[path->access] & known,
                                              .parent_fd = open(path->path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0) {
        log_debug("%s is left out of what this process may reach: %s", path->path, strerror(errno));
        return;
    }
    if (fstat(rule.parent_fd, &status) == 0 && !S_ISDIR(status.st_mode)) {
        rule.allowed_access &= OF_FILES;
    }
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
        die_refused(path->path);
    }
    close(rule.parent_fd);
}

static void add_port(int ruleset, uint64_t access, uint16_t port) {
    const struct port_rule rule = {.allowed_access = access, .port = port};
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0) {
        die_refused("a port");
    }
}

static struct ruleset handled_by(const struct landlock_rules *rules, int version) {
    return (struct ruleset){
        .handled_access_fs = rules->files ? known_rights(version) : 0,
        .handled_access_net =
            rules->ports && version >= LANDLOCK_PORTS ? ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP : 0,
        .scoped = version >= LANDLOCK_SIGNALS ? SCOPE_SIGNAL | (rules->ports ? SCOPE_ABSTRACT_UNIX_SOCKET : 0) : 0,
    };
}

void landlock_enter(const struct landlock_rules *rules) {
    int version = landlock_version();
    const struct ruleset handled = handled_by(rules, version);
    if (version == 0 || (handled.handled_access_fs | handled.handled_access_net | handled.scoped) == 0) {
        return;
    }
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0) {
        die_refused("no rules can be made");
    }
    for (size_t i = 0; rules->files && i < rules->path_count; i++) {
        add_path(ruleset, &rules->paths[i], handled.handled_access_fs);
    }
    if (handled.handled_access_net != 0 && rules->connect_count > 0) {
        add_port(ruleset, ACCESS_NET_BIND_TCP, 0); /* a source address, without a port */
    }
    for (size_t i = 0; handled.handled_access_net != 0 && i < rules->connect_count; i++) {
        add_port(ruleset, ACCESS_NET_CONNECT_TCP, rules->connect[i]);
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        die_refused("the rules");
    }
    close(ruleset);
}
