/* SPDX-License-Identifier: MIT
 * Opens the databases for reading and notices when a file appears or is replaced. Called before each request in lookup,
 * as parcelpost-auth. A database that cannot be opened is logged once and gives SOURCE_BROKEN, a temporary failure. */
#include "lookup/sources.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define ERROR_MAXIMUM 1024u

void source_init(struct source *source, const char *path, enum database_kind kind) {
    *source = (struct source){.path = path, .kind = kind};
}

void source_close(struct source *source) {
    database_close(source->database);
    source->database = NULL;
}

static enum source_state complain(struct source *source, const char *reason) {
    if (!source->complained) {
        log_error("%s", reason);
    }
    source->complained = true;
    return SOURCE_BROKEN;
}

static enum source_state open_source(struct source *source, const struct stat *status) {
    struct buffer error;
    enum source_state state = SOURCE_OPEN;
    buffer_init(&error, ERROR_MAXIMUM);
    source->database = database_open(source->path, source->kind, DATABASE_READ, &error);
    if (source->database == NULL) {
        state = complain(source, buffer_string(&error));
    } else {
        source->device = status->st_dev;
        source->inode = status->st_ino;
        source->complained = false;
    }
    buffer_free(&error);
    return state;
}

static enum source_state not_there(struct source *source, int reason) {
    struct buffer text;
    if (reason == ENOENT) {
        source_close(source);
        return SOURCE_ABSENT;
    }
    buffer_init(&text, ERROR_MAXIMUM);
    buffer_format(&text, "%s cannot be reached: %s", source->path, strerror(reason));
    enum source_state state = complain(source, buffer_string(&text));
    buffer_free(&text);
    return state;
}

enum source_state source_refresh(struct source *source) {
    struct stat status;
    if (stat(source->path, &status) != 0) {
        return not_there(source, errno);
    }
    if (source->database != NULL && status.st_dev == source->device && status.st_ino == source->inode) {
        return SOURCE_OPEN;
    }
    source_close(source);
    return open_source(source, &status);
}
