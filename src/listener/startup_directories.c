/* SPDX-License-Identifier: MIT
 * The directories a running server needs. What is missing is made with its owner and mode; what exists is never given
 * to another owner (it may be anybody's), but for the spool's own three. Called by the listener's start. */
#include "base/file.h"
#include "base/log.h"
#include "config/guarded.h"
#include "listener/startup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

struct wanted_directory {
    const char *key, *path;
    mode_t mode;
    const struct privilege_user *owner; /* NULL: who starts us */
    bool takes_over;                    /* an existing one is given to the owner as well */
};

static bool belongs(const struct stat *status, const struct privilege_user *owner) {
    if (status->st_uid == owner->uid) {
        return (status->st_mode & S_IWUSR) != 0;
    }
    if (status->st_gid == owner->gid) {
        return (status->st_mode & S_IWGRP) != 0;
    }
    return (status->st_mode & S_IWOTH) != 0;
}

/* Makes the parents too, as plain 0755 directories of the caller. */
static bool make_path(const char *path, mode_t mode, bool *made) {
    char parent[PATH_SIZE];
    *made = mkdir(path, mode) == 0;
    if (*made || errno == EEXIST) {
        return true;
    }
    const char *slash = strrchr(path, '/');
    if (errno != ENOENT || slash == NULL || slash == path) {
        return false;
    }
    bool parent_made;
    text_copy(parent, sizeof(parent), text_first(text_of(path), (size_t)(slash - path)));
    if (!make_path(parent, 0755, &parent_made)) {
        return false;
    }
    *made = mkdir(path, mode) == 0;
    return *made || errno == EEXIST;
}

static enum exit_status prepare(const struct wanted_directory *wanted, struct buffer *error) {
    bool made;
    struct stat status;
    if (wanted->path[0] == '\0') {
        return EXIT_STATUS_OK; /* a file that is not wanted */
    }
    if (!make_path(wanted->path, wanted->mode, &made) || stat(wanted->path, &status) != 0) {
        buffer_format(error, "%s: the directory %s cannot be made: %s", wanted->key, wanted->path, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    if (!S_ISDIR(status.st_mode)) {
        buffer_format(error, "%s: %s is no directory", wanted->key, wanted->path);
        return EXIT_STATUS_CANT_CREATE;
    }
    if (wanted->owner == NULL || !wanted->owner->known) {
        if (access(wanted->path, W_OK | X_OK) == 0) {
            return EXIT_STATUS_OK;
        }
        buffer_format(error, "%s: the directory %s cannot be written: %s", wanted->key, wanted->path, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    if ((made || wanted->takes_over) && chown(wanted->path, wanted->owner->uid, wanted->owner->gid) == 0 &&
        chmod(wanted->path, wanted->mode) == 0) {
        return EXIT_STATUS_OK;
    }
    if (stat(wanted->path, &status) != 0 || !belongs(&status, wanted->owner)) {
        buffer_format(error, "%s: the directory %s cannot be written by the user who needs it; try: chown %u:%u %s",
                      wanted->key, wanted->path, wanted->owner->uid, wanted->owner->gid, wanted->path);
        return EXIT_STATUS_CANT_CREATE;
    }
    return EXIT_STATUS_OK;
}

/* The directory a file lies in, "." when the path has none, "" for "". */
static const char *parent_of(const char *path, char parent[PATH_SIZE]) {
    const char *slash = strrchr(path, '/');
    struct text head = path[0] == '\0' ? TEXT_NONE
                       : slash == NULL ? TEXT(".")
                       : slash == path ? TEXT("/")
                                       : text_first(text_of(path), (size_t)(slash - path));
    text_copy(parent, PATH_SIZE, head);
    return parent;
}

static enum exit_status prepare_spool(const struct config *config, const struct system_users *users,
                                      struct buffer *error) {
    static const char *const parts[] = {"journal", "mail", "tmp"};
    char path[PATH_SIZE];
    struct wanted_directory wanted = {"queue", config->queue, 0750, NULL, false};
    enum exit_status result = prepare(&wanted, error);
    for (size_t i = 0; result == EXIT_STATUS_OK && i < sizeof(parts) / sizeof(parts[0]); i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", config->queue, parts[i]);
        if (length < 0 || (size_t)length >= sizeof(path)) {
            buffer_format(error, "queue: the path \"%s\" is too long", config->queue);
            return EXIT_STATUS_CONFIG;
        }
        result = prepare(&(struct wanted_directory){"queue", path, 0700, &users->spool, true}, error);
    }
    if (result == EXIT_STATUS_OK && users->spool.known) {
        /* The spool's user must reach its three directories. */
        struct stat status;
        if (stat(config->queue, &status) == 0 && status.st_uid == 0 && status.st_gid != users->spool.gid &&
            (status.st_mode & S_IXOTH) == 0 && chown(config->queue, 0, users->spool.gid) != 0) {
            log_warn("%s cannot be given to the group of %s: %s", config->queue, config->user_name, strerror(errno));
        }
    }
    return result;
}

enum exit_status startup_maildir(const struct config *config, struct buffer *error) {
    struct privilege_user owner = {0};
    char path[PATH_SIZE], base[PATH_SIZE];
    struct text fixed = text_first(text_of(config->maildir), text_find(text_of(config->maildir), '%'));
    if (strcmp(config->local_transport, "maildir") != 0 || fixed.length == 0 || !text_copy(path, sizeof(path), fixed)) {
        return EXIT_STATUS_OK;
    }
    if (privilege_is_root()) {
        (void)privilege_find(config->maildir_user, "", &owner); /* startup_users has */
    }
    const struct wanted_directory wanted = {"maildir", parent_of(path, base), 0755, &owner, false};
    return prepare(&wanted, error);
}

enum exit_status startup_guarded(const struct config *config, struct buffer *error) {
    struct config_guarded paths[CONFIG_GUARDED];
    config_guarded(config, paths);
    for (size_t i = 0; i < CONFIG_GUARDED; i++) {
        if (!file_is_guarded(paths[i].key, paths[i].path, error)) {
            return EXIT_STATUS_CONFIG;
        }
    }
    return EXIT_STATUS_OK;
}

enum exit_status startup_chroot(const struct config *config, struct buffer *error) {
    const struct wanted_directory wanted = {"chroot_directory", config->chroot_directory, 0755, NULL, false};
    struct stat status;
    if (!privilege_is_root() || config->chroot_directory[0] == '\0' ||
        (stat(config->chroot_directory, &status) == 0 && S_ISDIR(status.st_mode))) {
        return EXIT_STATUS_OK; /* nobody writes into it: whose it is does not matter */
    }
    mode_t former = umask(0022);
    enum exit_status result = prepare(&wanted, error);
    umask(former);
    return result;
}

enum exit_status startup_directories(const struct config *config, const struct system_users *users,
                                     struct buffer *error) {
    char database[PATH_SIZE], users_database[PATH_SIZE], pid[PATH_SIZE], lock[PATH_SIZE];
    const struct wanted_directory wanted[] = {
        {"database", parent_of(config->database, database), 0750, &users->spool, false},
        {"users_database", parent_of(config->users_database, users_database), 0750, NULL, false},
        {"control_directory", config->control_directory, 0755, NULL, false},
        {"pid_path", parent_of(config->pid_path, pid), 0755, NULL, false},
        {"lock_file_path", parent_of(config->lock_file_path, lock), 0755, NULL, false},
    };
    mode_t former = umask(0022); /* the modes above are meant: any user's sendmail looks for its socket here */
    enum exit_status result = prepare_spool(config, users, error);
    for (size_t i = 0; result == EXIT_STATUS_OK && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        result = prepare(&wanted[i], error);
    }
    result = result == EXIT_STATUS_OK ? startup_chroot(config, error) : result;
    result = result == EXIT_STATUS_OK ? startup_maildir(config, error) : result;
    umask(former);
    return result;
}
