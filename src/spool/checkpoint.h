/* SPDX-License-Identifier: MIT
 * Checkpoints of the write-ahead log outside the commit loop, and journal segments made ahead of need: a helper thread
 * of the ledger with a database connection of its own. It tells the loop over a descriptor which journal_position is
 * durable. Without the thread nothing is lost: segments are just not reused. */
#ifndef SPOOL_CHECKPOINT_H
#define SPOOL_CHECKPOINT_H
#include "spool/journal.h"
#include "store/database.h"

/* One checkpoint, here and now. *durable: a journal_position that survives a power failure. False when unknown. */
bool checkpoint_run(struct database *database, const char *path, struct journal_place *durable);

struct checkpointer;
struct checkpoint_news {
    bool ran, good; /* a checkpoint */
    struct journal_place durable;
    int folded;             /* pages of the log, by this checkpoint or earlier */
    bool spare, spare_good; /* a segment was asked for; it was made */
};
/* The thread never reaches the end of a log that is written all the time, so that it would grow for ever. For the
 * writer, between two transactions, after news: folds back the little that the thread left, and begins the log anew. */
#define CHECKPOINT_RESTART_PAGES 4096 /* 16 MiB: when it is due */
enum checkpoint_restart {
    CHECKPOINT_NOT_DUE,
    CHECKPOINT_BEHIND, /* the thread left too much: have it go on first */
    CHECKPOINT_BUSY,   /* somebody reads: at the next news */
    CHECKPOINT_RESTARTED
};
enum checkpoint_restart checkpoint_restart(struct database *database, const struct checkpoint_news *news);
/* path: the main database. Dies when no thread can be started. */
struct checkpointer *checkpointer_start(const char *path);
/* Becomes readable when there is news. */
int checkpointer_descriptor(const struct checkpointer *checkpointer);
void checkpointer_ask(struct checkpointer *checkpointer);
/* Asks for a segment at path; one at a time. */
void checkpointer_ask_spare(struct checkpointer *checkpointer, const char *path, uint64_t size);
void checkpointer_collect(struct checkpointer *checkpointer, struct checkpoint_news *news);
/* Ends the thread after what it is doing. */
void checkpointer_stop(struct checkpointer *checkpointer);
#endif
