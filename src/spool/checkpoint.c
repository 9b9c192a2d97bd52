/* SPDX-License-Identifier: MIT
 * The ledger's helper thread. It shares nothing with the loop but the struct below, under its mutex. A reader that
 * keeps the log from being folded back is warned of; what the log holds is flushed all the same, so that segments go on
 * being reused. */
#include "spool/checkpoint.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/parcels.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WARN_PAGES 16384 /* 64 MiB of a log that should be 4 */
#define LEFT_PAGES 1024  /* at most so much is folded back by the loop itself */

struct checkpointer {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    char database[PATH_MAX], spare_path[PATH_MAX];
    uint64_t spare_size;
    int descriptor;
    bool want_checkpoint, want_spare, want_end;
    struct checkpoint_news news;
};

static bool fold(struct database *database, const char *path, struct journal_place *durable, int *folded) {
    int pages = 0;
    *folded = 0;
    if (!position_read(database, durable)) {
        return false;
    }
    if (database_fold_wal(database, &pages, folded) && pages == *folded) {
        return true;
    }
    if (pages - *folded > WARN_PAGES) {
        log_warn("a reader of %s keeps its write-ahead log growing: %d pages; look for an open sqlite3 session", path,
                 pages - *folded);
    }
    return database_flush(database); /* what was committed before survives then, though it is not folded back yet */
}

bool checkpoint_run(struct database *database, const char *path, struct journal_place *durable) {
    int folded;
    return fold(database, path, durable, &folded);
}

enum checkpoint_restart checkpoint_restart(struct database *database, const struct checkpoint_news *news) {
    int pages = database_wal_pages(database);
    if (!news->ran || !news->good || pages < CHECKPOINT_RESTART_PAGES) {
        return CHECKPOINT_NOT_DUE;
    }
    if (pages - news->folded > LEFT_PAGES) {
        return CHECKPOINT_BEHIND;
    }
    return database_restart_wal(database) ? CHECKPOINT_RESTARTED : CHECKPOINT_BUSY;
}

static void make_spare(struct checkpointer *checkpointer, struct checkpoint_news *news) {
    int fd = segment_create(checkpointer->spare_path, checkpointer->spare_size);
    news->spare = true;
    news->spare_good = fd >= 0;
    if (fd < 0) {
        log_warn("no spare journal segment: %s", strerror(errno));
        return;
    }
    (void)close(fd);
}

static void work(struct checkpointer *checkpointer, struct database *database) {
    const uint64_t one = 1;
    bool checkpoint = checkpointer->want_checkpoint, spare = checkpointer->want_spare;
    struct checkpoint_news news = {0};
    checkpointer->want_checkpoint = checkpointer->want_spare = false;
    pthread_mutex_unlock(&checkpointer->mutex);
    if (checkpoint) {
        news.ran = true;
        news.good = fold(database, checkpointer->database, &news.durable, &news.folded);
    }
    if (spare) {
        make_spare(checkpointer, &news);
    }
    pthread_mutex_lock(&checkpointer->mutex);
    if (news.ran) {
        checkpointer->news.ran = true;
        checkpointer->news.good = news.good;
        checkpointer->news.durable = news.durable;
        checkpointer->news.folded = news.folded;
    }
    if (news.spare) {
        checkpointer->news.spare = true;
        checkpointer->news.spare_good = news.spare_good;
    }
    if (write(checkpointer->descriptor, &one, sizeof one) != (ssize_t)sizeof one) {
        log_warn("the checkpoint thread cannot tell: %s", strerror(errno));
    }
}

static void *run(void *context) {
    struct checkpointer *checkpointer = context;
    struct buffer error;
    buffer_init(&error, 1024);
    struct database *database = database_open(checkpointer->database, DATABASE_MAIN, DATABASE_WRITE, &error);
    if (database == NULL) { /* without checkpoints no segment is ever reused; a new ledger may fare better */
        die_fatal(EXIT_STATUS_CANT_CREATE, "checkpoints: %s", buffer_string(&error));
    }
    pthread_mutex_lock(&checkpointer->mutex);
    while (!checkpointer->want_end) {
        if (checkpointer->want_checkpoint || checkpointer->want_spare) {
            work(checkpointer, database);
        } else {
            pthread_cond_wait(&checkpointer->wanted, &checkpointer->mutex);
        }
    }
    pthread_mutex_unlock(&checkpointer->mutex);
    database_close(database);
    buffer_free(&error);
    return NULL;
}

struct checkpointer *checkpointer_start(const char *path) {
    struct checkpointer *checkpointer = memory_new(1, sizeof *checkpointer);
    sigset_t all, former;
    (void)text_copy(checkpointer->database, sizeof checkpointer->database, text_of(path));
    pthread_mutex_init(&checkpointer->mutex, NULL);
    pthread_cond_init(&checkpointer->wanted, NULL);
    checkpointer->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int result = checkpointer->descriptor < 0 ? errno : pthread_create(&checkpointer->thread, NULL, run, checkpointer);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (result != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "the checkpoint thread cannot be started: %s", strerror(result));
    }
    return checkpointer;
}

int checkpointer_descriptor(const struct checkpointer *checkpointer) {
    return checkpointer->descriptor;
}

void checkpointer_ask(struct checkpointer *checkpointer) {
    pthread_mutex_lock(&checkpointer->mutex);
    checkpointer->want_checkpoint = true;
    pthread_cond_signal(&checkpointer->wanted);
    pthread_mutex_unlock(&checkpointer->mutex);
}

void checkpointer_ask_spare(struct checkpointer *checkpointer, const char *path, uint64_t size) {
    pthread_mutex_lock(&checkpointer->mutex);
    (void)text_copy(checkpointer->spare_path, sizeof checkpointer->spare_path, text_of(path));
    checkpointer->spare_size = size;
    checkpointer->want_spare = true;
    pthread_cond_signal(&checkpointer->wanted);
    pthread_mutex_unlock(&checkpointer->mutex);
}

void checkpointer_collect(struct checkpointer *checkpointer, struct checkpoint_news *news) {
    uint64_t count;
    pthread_mutex_lock(&checkpointer->mutex);
    if (read(checkpointer->descriptor, &count, sizeof count) < 0) {
        count = 0; /* no news since */
    }
    *news = checkpointer->news;
    checkpointer->news = (struct checkpoint_news){0};
    pthread_mutex_unlock(&checkpointer->mutex);
}

void checkpointer_stop(struct checkpointer *checkpointer) {
    pthread_mutex_lock(&checkpointer->mutex);
    checkpointer->want_end = true;
    pthread_cond_signal(&checkpointer->wanted);
    pthread_mutex_unlock(&checkpointer->mutex);
    pthread_join(checkpointer->thread, NULL);
    (void)close(checkpointer->descriptor);
    pthread_cond_destroy(&checkpointer->wanted);
    pthread_mutex_destroy(&checkpointer->mutex);
    free(checkpointer);
}
