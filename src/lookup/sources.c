/* SPDX-License-Identifier: MIT
 * Opens the databases for reading and notices when a file appears, is replaced or written over. Called before each
 * request in lookup, as parcelpost-auth. A database that is gone or cannot be opened is logged once; false is a
 * temporary failure. */
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
    source->begun = false;
}

static bool complain(struct source *source, const char *reason) {
    if (!source->complained) {
        log_error("%s", reason);
    }
    source->complained = true;
    return false;
}

static bool open_source(struct source *source, const struct stat *status) {
    struct buffer error;
    buffer_init(&error, ERROR_MAXIMUM);
    source->database = database_open(source->path, source->kind, DATABASE_READ, &error);
    if (source->database == NULL) {
        (void)complain(source, buffer_string(&error));
    } else {
        source->device = status->st_dev;
        source->inode = status->st_ino;
        source->written = status->st_mtim;
        source->complained = false;
    }
    buffer_free(&error);
    return source->database != NULL;
}

/* The start makes what is missing: a file that is gone since then does not mean that there are no users. */
static bool not_there(struct source *source, int reason) {
    struct buffer text;
    if (reason == ENOENT) {
        source_close(source);
    }
    buffer_init(&text, ERROR_MAXIMUM);
    buffer_format(&text, "%s cannot be reached: %s", source->path, strerror(reason));
    (void)complain(source, buffer_string(&text));
    buffer_free(&text);
    return false;
}

/* SQLite, and so what is kept (store/known.c), goes by a count of changes in the file. A backup of users.db that was
 * written over it counts on from where it stood, and comes to a count again with other users: what was written to is
 * opened anew. parcelpost.db is written by the ledger alone. */
static bool is_open_still(const struct source *source, const struct stat *status) {
    return source->database != NULL && status->st_dev == source->device && status->st_ino == source->inode &&
           (source->kind != DATABASE_USERS ||
            (status->st_mtim.tv_sec == source->written.tv_sec && status->st_mtim.tv_nsec == source->written.tv_nsec));
}

static bool refresh(struct source *source) {
    struct stat status;
    if (stat(source->path, &status) != 0) {
        return not_there(source, errno);
    }
    if (is_open_still(source, &status)) {
        return true;
    }
    source_close(source);
    return open_source(source, &status);
}

bool source_refresh(struct source *source) {
    if (source->begun) {
        return true;
    }
    bool open = refresh(source);
    if (open && source->reading) {
        database_read_begin(source->database);
        source->begun = true;
    }
    return open;
}

void source_begin(struct source *source) {
    source->reading = true;
}

void source_end(struct source *source) {
    if (source->begun) {
        database_read_end(source->database);
    }
    source->reading = source->begun = false;
}
