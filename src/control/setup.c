/* SPDX-License-Identifier: MIT
 * Finding and reading the configuration, for every program. A wrong one is told line by line; nothing starts then. */
#include "control/setup.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKOUT_FILE "etc/parcelpost.conf"
#define INSTALLED_FILE "/etc/parcelpost/parcelpost.conf"
#define ERRORS_MAXIMUM (64u * 1024)

/* Nobody else can put anything in its place: no link, ours or root's, and not for everybody to write. */
static bool is_own(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && !S_ISLNK(status.st_mode) &&
           (status.st_uid == 0 || status.st_uid == geteuid()) && (status.st_mode & S_IWOTH) == 0;
}

/* In a directory of somebody else's the file may be his: root's sendmail, run there, would do what he wrote. */
static bool is_own_checkout(const char *program) {
    if (access(CHECKOUT_FILE, R_OK) != 0) {
        return false;
    }
    if (is_own(".") && is_own("etc") && is_own(CHECKOUT_FILE)) {
        return true;
    }
    fprintf(stderr, "%s: ./%s can be another user's: not used without -c ./%s\n", program, CHECKOUT_FILE,
            CHECKOUT_FILE);
    return false;
}

struct config *setup_configuration(const char *program, const char *file) {
    struct buffer errors;
    if (file == NULL) {
        file = is_own_checkout(program) ? CHECKOUT_FILE : INSTALLED_FILE;
    }
    buffer_init(&errors, ERRORS_MAXIMUM);
    struct config *config = config_read(file, NULL, &errors);
    struct text rest = buffer_text(&errors), line;
    while (text_split(&rest, '\n', &line)) {
        fprintf(stderr, "%s: %.*s\n", program, TEXT_ARGS(line));
    }
    buffer_free(&errors);
    return config;
}
