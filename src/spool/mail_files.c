/* SPDX-License-Identifier: MIT
 * The directories queue/mail and queue/tmp: making, listing, removing. Called by spool*.c in the ledger; failures are
 * returned. Left-overs in queue/tmp never got a 250: they are removed at start. */
#include "base/memory.h"
#include "spool/mail_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make_directory(const char *queue, const char *name, char *path, size_t size, struct buffer *error) {
    if (snprintf(path, size, "%s/%s", queue, name) >= (int)size) {
        buffer_format(error, "%s: the path is too long", queue);
        return false;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        buffer_format(error, "%s: cannot be made: %s", path, strerror(errno));
        return false;
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        buffer_format(error, "%s: cannot be written: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static bool list(const char *path, mail_file_visit *visit, void *context) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return false;
    }
    struct stat status;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (mail_id_is_valid(text_of(entry->d_name)) &&
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)) {
            visit(context, entry->d_name, (uint64_t)status.st_size);
        }
    }
    (void)closedir(directory);
    return true;
}

static void drop_left_over(void *context, const char *mail_id, uint64_t bytes) {
    (void)bytes;
    mail_file_drop_new(context, mail_id);
}

bool mail_files_open(struct mail_files *files, const char *queue, struct buffer *error) {
    return make_directory(queue, "mail", files->mail, sizeof files->mail, error) &&
           make_directory(queue, "tmp", files->temporary, sizeof files->temporary, error) &&
           list(files->temporary, drop_left_over, files);
}

bool mail_files_list(const struct mail_files *files, mail_file_visit *visit, void *context) {
    return list(files->mail, visit, context);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

bool mail_files_names(const struct mail_files *files, char (**names)[MAIL_ID_SIZE], size_t *count) {
    DIR *directory = opendir(files->mail);
    size_t room = 0;
    *names = NULL;
    *count = 0;
    if (directory == NULL) {
        return false;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!mail_id_is_valid(text_of(entry->d_name)) || (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)) {
            continue;
        }
        if (*count == room) {
            room = room ? room * 2 : 256;
            *names = memory_resize(*names, room, sizeof **names);
        }
        memcpy((*names)[(*count)++], entry->d_name, MAIL_ID_SIZE);
    }
    (void)closedir(directory);
    if (*count > 0) {
        qsort(*names, *count, sizeof **names, compare_names);
    }
    return true;
}

bool mail_file_remove(const struct mail_files *files, const char *mail_id, uint64_t *bytes) {
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/%s", files->mail, mail_id);
    *bytes = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
    return unlink(path) == 0 || errno == ENOENT;
}
