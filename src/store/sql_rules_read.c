/* SPDX-License-Identifier: MIT
 * Reading the rules' files. Called by the listener with the rights it was started with, and by `parcelpost rules`; a
 * file that nobody would ever ask is an error, so that a misspelt name is no rule that silently never holds. */
#include "base/file.h"
#include "base/memory.h"
#include "store/sql_rules.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RULES_MAXIMUM (256u * 1024) /* bytes of one file */

static bool read_file(const char *path, struct sql_rule_file *file, struct buffer *error) {
    struct buffer content;
    if (!file_is_regular("rules", path, error)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    buffer_init(&content, RULES_MAXIMUM);
    bool good = fd >= 0 && file_read_into(fd, &content);
    if (!good) {
        (void)buffer_format(error, "%s: cannot be read: %s", path, strerror(errno));
    } else if (text_find(buffer_text(&content), '\0') < content.length) {
        (void)buffer_format(error, "%s: holds a NUL byte; accepted: SELECT statements", path);
        good = false;
    } else {
        file->path = memory_string(text_of(path));
        file->text = memory_string(buffer_text(&content));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    buffer_free(&content);
    return good;
}

static void name_stages(struct buffer *error) {
    for (size_t i = 0; i < RULE_FILES; i++) {
        (void)buffer_format(error, "%s%s.sql", i > 0 ? ", " : "", rule_stage_names[i]);
    }
}

static bool take_entry(const char *directory, const char *name, struct sql_rules *rules, struct buffer *error) {
    char path[4096];
    struct text stem = text_of(name);
    if (!text_ends_nocase(stem, TEXT(".sql")) || name[0] == '.') {
        return true; /* examples/, an editor's copy */
    }
    enum rule_stage stage = rule_file_find(text_first(stem, stem.length - strlen(".sql")));
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        (void)buffer_format(error, "%s: the path is too long", directory);
        return false;
    }
    if (stage == RULE_FILES) {
        (void)buffer_format(error, "%s: no rule of this name is ever asked; accepted: ", path);
        name_stages(error);
        return false;
    }
    return read_file(path, &rules->files[stage], error);
}

bool sql_rules_read(const char *directory, struct sql_rules *rules, struct buffer *error) {
    *rules = (struct sql_rules){0};
    DIR *folder = directory[0] != '\0' ? opendir(directory) : NULL;
    if (folder == NULL && directory[0] != '\0' && errno != ENOENT) {
        (void)buffer_format(error, "rules_directory \"%s\" cannot be read: %s", directory, strerror(errno));
        return false;
    }
    bool good = true;
    const struct dirent *entry;
    while (good && folder != NULL && (entry = readdir(folder)) != NULL) {
        good = take_entry(directory, entry->d_name, rules, error);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    if (!good) {
        sql_rules_free(rules);
    }
    return good;
}
