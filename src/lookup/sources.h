/* SPDX-License-Identifier: MIT
 * The two databases as lookup sees them: opened when they appear, opened anew when another file takes their name.
 * Private to this folder. */
#ifndef LOOKUP_SOURCES_H
#define LOOKUP_SOURCES_H
#include "store/database.h"
#include <sys/types.h>
#include <time.h>
struct source { /* one database file */
    const char *path;
    enum database_kind kind;
    struct database *database; /* NULL: not open */
    dev_t device;
    ino_t inode;
    struct timespec written; /* of users.db, as it was opened */
    bool complained;         /* the reason is in the log already */
    bool reading;            /* between source_begin and source_end */
    bool begun;              /* and it was asked for in there: the file is the right one */
};
/* Opens nothing yet. path stays the caller's. */
void source_init(struct source *source, const char *path, enum database_kind kind);
/* Makes sure that what is open is what has the path now. False: nothing is, and the log says why. */
bool source_refresh(struct source *source);
/* One question about addresses: the file is looked at once, and read as database_read_begin says. */
void source_begin(struct source *source);
void source_end(struct source *source);
void source_close(struct source *source);
#endif
