/* SPDX-License-Identifier: MIT
 * Users, users.db, pid file, operator's sockets: see startup.h. Called by the listener's start, as root when the
 * program was started as root. */
#include "listener/startup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "store/database.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_delivery_user(const char *name, const char *key, const char *user, struct buffer *error) {
    struct privilege_user found;
    if (!privilege_find(user, "", &found)) {
        buffer_format(error, "%s%s: the system user \"%s\" does not exist; no mail could be delivered", name, key,
                      user);
        return false;
    }
    if (found.uid == 0) {
        buffer_format(error, "%s%s: \"%s\" is root; nothing is delivered with root's rights", name, key, user);
        return false;
    }
    return true;
}

/* Those who deliver into Maildir folders and programs: an agent that cannot become one defers its mail, again and
 * again. */
static bool has_delivery_users(const struct config *config, struct buffer *error) {
    char name[128];
    bool good = is_delivery_user("", "maildir_user", config->maildir_user, error);
    for (size_t i = 0; good && i < config->transport_count; i++) {
        const struct config_transport *block = &config->transports[i];
        bool local = strcmp(block->kind, "maildir") == 0 || strcmp(block->kind, "pipe") == 0;
        snprintf(name, sizeof name, "transport \"%s\": ", block->name);
        good = !local || block->user[0] == '\0' || is_delivery_user(name, "user", block->user, error);
    }
    return good;
}

enum exit_status startup_users(const struct config *config, struct system_users *users, struct buffer *error) {
    *users = (struct system_users){0};
    if (!privilege_is_root()) {
        return EXIT_STATUS_OK;
    }
    const struct {
        const char *key, *user, *group;
        struct privilege_user *found;
    } wanted[] = {
        {"user_name", config->user_name, config->group_name, &users->spool},
        {"network_user", config->network_user, "", &users->network},
        {"auth_user", config->auth_user, "", &users->lookup},
        {"key_user", config->key_user, "", &users->key},
        {"outside_user", config->outside_user, "", &users->outside}, /* last: not always */
    };
    size_t count = sizeof(wanted) / sizeof(wanted[0]) - (config_has_outside(config, false) ? 0 : 1);
    for (size_t i = 0; i < count; i++) {
        if (!privilege_find(wanted[i].user, wanted[i].group, wanted[i].found)) {
            buffer_format(
                error,
                "%s: the system user \"%s\"%s%s%s does not exist; as root the server runs only with its own "
                "users. Make them with: systemd-sysusers (as installed), tools/make-users (in the source), or: "
                "adduser --system --group --no-create-home %s",
                wanted[i].key, wanted[i].user, wanted[i].group[0] ? " or the group \"" : "", wanted[i].group,
                wanted[i].group[0] ? "\"" : "", wanted[i].user);
            return EXIT_STATUS_NO_USER;
        }
        if (wanted[i].found->uid == 0) {
            buffer_format(error, "%s: \"%s\" is root; a process that reads what strangers send must not be",
                          wanted[i].key, wanted[i].user);
            return EXIT_STATUS_NO_USER;
        }
    }
    users->lookup.gid = users->spool.gid; /* it reads parcelpost.db */
    if (users->outside.known && !privilege_find_groups(config->outside_user, &users->outside)) {
        buffer_format(error, "outside_user: \"%s\" is in more than %d groups, or in that of root", config->outside_user,
                      PRIVILEGE_GROUPS_MAXIMUM);
        return EXIT_STATUS_NO_USER;
    }
    return has_delivery_users(config, error) ? EXIT_STATUS_OK : EXIT_STATUS_NO_USER;
}

enum exit_status startup_pid_file(const struct config *config, struct buffer *error) {
    if (config->pid_path[0] == '\0') {
        return EXIT_STATUS_OK;
    }
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    mode_t former = umask(0022);
    int fd = open(config->pid_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    umask(former);
    if (fd < 0 || !file_write_all(fd, text, (size_t)length) || close(fd) != 0) {
        buffer_format(error, "pid_path \"%s\" cannot be written: %s", config->pid_path, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    return EXIT_STATUS_OK;
}

enum exit_status startup_control_socket(const struct config *config, const struct system_users *users, const char *name,
                                        int *socket_fd, struct buffer *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", config->control_directory, name);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        buffer_format(error, "control_directory \"%s\" is too long a path for a socket in it",
                      config->control_directory);
        return EXIT_STATUS_CONFIG;
    }
    /* The lock is ours, so nobody listens there: what lies in the way was left behind. */
    unlink(address.sun_path);
    *socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t former = umask(0117);
    bool bound = *socket_fd >= 0 && bind(*socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    umask(former);
    if (bound && users->spool.known) {
        bound = chown(address.sun_path, users->spool.uid, users->spool.gid) == 0;
    }
    if (!bound || listen(*socket_fd, SOMAXCONN) != 0) {
        buffer_format(error, "the operator's socket %s cannot be made: %s", address.sun_path, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    return EXIT_STATUS_OK;
}

/* One of no bytes is as good as none. */
static bool is_missing(const char *path) {
    struct stat status;
    return stat(path, &status) != 0 ? errno == ENOENT : S_ISREG(status.st_mode) && status.st_size == 0;
}

/* What lies in the queue shows that a server was here, and with it users, as far as anybody knows: without them all
 * mail for them would be refused for good. The folders themselves are made before this, at the first start, too. */
static bool has_run_before(const struct config *config) {
    char journal[PATH_MAX];
    bool any = false;
    const struct dirent *entry;
    DIR *folder =
        snprintf(journal, sizeof journal, "%s/journal", config->queue) < (int)sizeof journal ? opendir(journal) : NULL;
    while (folder != NULL && !any && (entry = readdir(folder)) != NULL) {
        any = entry->d_name[0] != '.';
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return any || access(config->database, F_OK) == 0;
}

enum exit_status startup_users_database(const struct config *config, const struct system_users *users,
                                        struct buffer *error) {
    if (!file_is_private("users_database", config->users_database, error)) {
        return EXIT_STATUS_CONFIG;
    }
    bool is_new = is_missing(config->users_database);
    if (is_new && has_run_before(config)) {
        buffer_format(error,
                      "users_database \"%s\" is gone, and this server has run with one: put it back; or make it anew, "
                      "and with it each of its users: parcelpost user add ADDRESS",
                      config->users_database);
        return EXIT_STATUS_CANT_CREATE;
    }
    mode_t former = umask(0027);
    struct database *database = database_open(config->users_database, DATABASE_USERS, DATABASE_WRITE, error);
    umask(former);
    if (database == NULL) {
        return EXIT_STATUS_CANT_CREATE;
    }
    database_close(database);
    if (is_new) {
        log_warn("%s was not there and is made: no users yet; try: parcelpost user add ADDRESS",
                 config->users_database);
    }
    if (is_new && users->lookup.known && chown(config->users_database, users->lookup.uid, users->lookup.gid) != 0) {
        buffer_format(error, "users_database \"%s\" cannot be given to %s: %s", config->users_database,
                      config->auth_user, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    return EXIT_STATUS_OK;
}

enum exit_status startup_srs_secret(const struct config *config, const struct system_users *users,
                                    struct buffer *error) {
    static const char digits[] = "0123456789abcdef";
    unsigned char random[24];
    char line[2 * sizeof random + 1];
    if (!file_is_private("srs_secret_file", config->srs_secret_file, error)) {
        return EXIT_STATUS_CONFIG;
    }
    if (!is_missing(config->srs_secret_file)) {
        return EXIT_STATUS_OK;
    }
    random_fill(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        line[2 * i] = digits[random[i] >> 4];
        line[2 * i + 1] = digits[random[i] & 15];
    }
    line[sizeof line - 1] = '\n';
    /* One of no bytes is a start's that was cut short. */
    int fd = open(config->srs_secret_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool made = fd >= 0 && file_write_all(fd, line, sizeof line) && fsync(fd) == 0 &&
                (!users->lookup.known || fchown(fd, users->lookup.uid, users->lookup.gid) == 0);
    if (!made) {
        buffer_format(error, "srs_secret_file \"%s\" cannot be made: %s", config->srs_secret_file, strerror(errno));
        (void)(fd >= 0 && unlink(config->srs_secret_file) == 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return made ? EXIT_STATUS_OK : EXIT_STATUS_CANT_CREATE;
}

void startup_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_warn("the limit of open descriptors stays as it is: %s", strerror(errno));
    }
}
