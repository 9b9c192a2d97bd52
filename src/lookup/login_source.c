/* SPDX-License-Identifier: MIT
 * Opens the operator's database of logins, and anew when another file takes its name. Called by login.c, as
 * parcelpost-auth, with names of strangers. What cannot be asked is a temporary failure, with the reason in the log. */
#include "lookup/login_source.h"
#include "base/log.h"
#include <sys/stat.h>

#define ERROR_MAXIMUM 1024u

bool login_source_is_used(const struct login_source *source) {
    return source->sql != NULL && source->sql[0] != '\0';
}

void login_source_close(struct login_source *source) {
    login_query_close(source->query);
    source->query = NULL;
}

static bool is_open(struct login_source *source, struct buffer *error) {
    struct stat status = {.st_ino = 0};
    bool there = stat(source->database, &status) == 0;
    if (source->query != NULL && there && status.st_dev == source->device && status.st_ino == source->inode) {
        return true;
    }
    login_source_close(source);
    source->query = login_query_open(source->database, source->sql, error);
    source->device = status.st_dev;
    source->inode = status.st_ino;
    return source->query != NULL;
}

enum users_found login_source_find(struct login_source *source, struct text user, char *account, size_t size,
                                   struct users_proofs *proofs) {
    struct buffer error;
    enum users_found found = USERS_ERROR;
    buffer_init(&error, ERROR_MAXIMUM);
    if (is_open(source, &error)) {
        found = login_query_ask(source->query, user, source->milliseconds, account, size, proofs, &error);
    }
    if (found == USERS_ERROR) {
        log_error("logins cannot be looked up in %s: %s", source->database, buffer_string(&error));
        login_source_close(source);
    } else if (found == USERS_YES) {
        source->seen = *proofs;
    }
    buffer_free(&error);
    return found;
}
