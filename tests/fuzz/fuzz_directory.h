/* SPDX-License-Identifier: MIT
 * A directory for targets whose code reads and writes files: in memory where there is such a file system, so that
 * flushes cost nothing, and gone when the run ends. */
#ifndef TESTS_FUZZ_DIRECTORY_H
#define TESTS_FUZZ_DIRECTORY_H
#include "fuzz.h"
#include "store/database.h"
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char fuzz_directory[64];

static void fuzz_remove_tree(const char *path) {
    char inner[PATH_MAX];
    DIR *directory = opendir(path);

    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner && unlink(inner) != 0)
            fuzz_remove_tree(inner);
    if (directory != NULL)
        (void)closedir(directory);
    (void)rmdir(path);
}

static void fuzz_remove_directory(void) {
    fuzz_remove_tree(fuzz_directory);
}

/* Makes it; once, in fuzz_start. */
static void fuzz_make_directory(void) {
    (void)snprintf(fuzz_directory, sizeof fuzz_directory, "%s/parcelpost-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(fuzz_directory) != NULL);
    (void)atexit(fuzz_remove_directory);
}

/* Writes a whole file, in place of one of that name. */
__attribute__((unused)) static void fuzz_write_file(const char *path, struct text bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    FUZZ_CHECK(fd >= 0 && write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length);
    (void)close(fd);
}

/* A new database; to be closed by the caller. */
__attribute__((unused)) static struct database *fuzz_open_database(const char *path, enum database_kind kind) {
    struct buffer error;

    buffer_init(&error, 1024);
    struct database *database = database_open(path, kind, DATABASE_WRITE, &error);
    FUZZ_CHECK(database != NULL);
    buffer_free(&error);
    return database;
}
#endif
