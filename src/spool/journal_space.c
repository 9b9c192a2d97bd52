/* SPDX-License-Identifier: MIT
 * Room for the journal: reuse of the oldest segment, the spare, a new one, within the queue's limits. Called by
 * journal.c in the ledger. A segment is reused only when no mail in it is open and the database reflects a place past
 * its end durably; its name changes, so its number is never used twice. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "spool/journal_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPARE_NAME "spare"
#define SPARE_UNDER_WAY "spare.new"
#define KEPT_SEGMENTS 4u /* what stays ready to be used again; a queue that was long leaves more */

void journal_space_path(const struct journal *journal, const char *name, char path[PATH_MAX]) {
    if (snprintf(path, PATH_MAX, "%s/%s", journal->directory, name) >= PATH_MAX) {
        die_panic("the path of the journal is too long"); /* journal_open left room for names */
    }
}

static bool has_free_bytes(const struct journal *journal, uint64_t bytes) {
    struct statvfs space;
    if (statvfs(journal->directory, &space) != 0) {
        return false;
    }
    uint64_t available = (uint64_t)space.f_bavail * space.f_frsize;
    return available >= bytes && available - bytes >= journal->limits.minimum_free;
}

static uint64_t total_size(const struct journal *journal) {
    uint64_t total = journal->file_bytes + (journal->spare_ready ? journal->limits.segment_size : 0);
    for (size_t i = 0; i < journal->count; i++) {
        total += journal->segments[i]->size;
    }
    return total;
}

bool journal_within_maximum(const struct journal *journal, uint64_t bytes) {
    uint64_t total = total_size(journal);
    if (journal->limits.maximum_size == 0) {
        return true;
    }
    return total <= journal->limits.maximum_size && bytes <= journal->limits.maximum_size - total;
}

bool journal_has_space(const struct journal *journal, uint64_t bytes) {
    return journal_within_maximum(journal, bytes) && has_free_bytes(journal, bytes);
}

static bool is_reusable(const struct journal *journal, const struct segment *segment) {
    return segment != journal->current && segment->open_mails == 0 && segment->number < journal->durable.segment &&
           segment->number < journal->batch_start.segment;
}

bool journal_space_is_ready(const struct journal *journal) {
    return journal->spare_ready || (journal->count > 0 && is_reusable(journal, journal->segments[0]));
}

struct segment *journal_space_add(struct journal *journal, uint64_t number, int fd, uint64_t size) {
    if (journal->count == journal->room) {
        journal->room = journal->room ? journal->room * 2 : 16;
        journal->segments = memory_resize(journal->segments, journal->room, sizeof *journal->segments);
    }
    struct segment *segment = memory_new(1, sizeof *segment);
    *segment = (struct segment){.number = number, .fd = fd, .size = size};
    size_t at = journal->count++;
    for (; at > 0 && journal->segments[at - 1]->number > number; at--) {
        journal->segments[at] = journal->segments[at - 1];
    }
    journal->segments[at] = segment;
    if (number > journal->last_number) {
        journal->last_number = number;
    }
    return segment;
}

void journal_space_forget(struct journal *journal, struct segment *segment) {
    size_t at = 0;
    while (journal->segments[at] != segment) {
        at++;
    }
    journal->count--;
    memmove(journal->segments + at, journal->segments + at + 1, (journal->count - at) * sizeof *journal->segments);
    (void)close(segment->fd);
    free(segment);
}

static struct segment *take_oldest(struct journal *journal) {
    struct segment *oldest = journal->segments[0];
    journal->count--;
    memmove(journal->segments, journal->segments + 1, journal->count * sizeof *journal->segments);
    return oldest;
}

/* Gives the file at `from` the next number, durably: a record in it counts only under that name. Else it is gone: who
 * tries again makes another, and nobody would ever remove this one before the next start. */
static bool name_next(struct journal *journal, const char *from, uint64_t *number) {
    char name[NAME_MAX + 1], path[PATH_MAX];
    *number = journal->last_number + 1;
    segment_name(*number, name);
    journal_space_path(journal, name, path);
    journal->last_number = *number; /* used up, also when what follows fails */
    if (rename(from, path) == 0 && file_sync_directory(journal->directory)) {
        return true;
    }
    int reason = errno;
    (void)unlink(from);
    (void)unlink(path);
    errno = reason;
    return false;
}

static void drop_segment(struct segment *segment, const char *path) {
    (void)unlink(path);
    (void)close(segment->fd);
    free(segment);
}

void journal_space_drop_last(struct journal *journal) {
    char name[NAME_MAX + 1], path[PATH_MAX];
    struct segment *last = journal->segments[--journal->count];
    segment_name(last->number, name);
    journal_space_path(journal, name, path);
    drop_segment(last, path);
}

static bool has_surplus(const struct journal *journal) {
    size_t ready = 0;
    while (ready <= KEPT_SEGMENTS && ready < journal->count && is_reusable(journal, journal->segments[ready])) {
        ready++;
    }
    return ready > KEPT_SEGMENTS;
}

static struct segment *reuse_oldest(struct journal *journal) {
    while (journal->count > 0 && is_reusable(journal, journal->segments[0])) {
        char name[NAME_MAX + 1], path[PATH_MAX];
        uint64_t number;
        bool wanted = !has_surplus(journal);
        struct segment *oldest = take_oldest(journal);
        segment_name(oldest->number, name);
        journal_space_path(journal, name, path);
        wanted = wanted && !oldest->abandoned && oldest->size == journal->limits.segment_size;
        if (!wanted || !name_next(journal, path, &number)) {
            drop_segment(oldest, path); /* or what is left of it */
            continue;
        }
        struct segment *segment = journal_space_add(journal, number, oldest->fd, oldest->size);
        free(oldest);
        return segment;
    }
    return NULL;
}

static struct segment *make_new(struct journal *journal, bool *full) {
    char path[PATH_MAX], under_way[PATH_MAX];
    uint64_t number;
    int fd;
    journal_space_path(journal, SPARE_NAME, path);
    if (journal->spare_ready) {
        journal->spare_ready = false;
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    } else {
        journal_space_path(journal, "segment.new", under_way); /* not the helper thread's name */
        fd = segment_create(under_way, journal->limits.segment_size);
        memcpy(path, under_way, sizeof path);
    }
    *full = fd < 0 && (errno == ENOSPC || errno == EDQUOT);
    if (fd < 0) {
        log_error("no new journal segment: %s", strerror(errno));
        return NULL;
    }
    if (!name_next(journal, path, &number)) {
        log_error("no new journal segment: rename: %s", strerror(errno));
        (void)close(fd);
        return NULL;
    }
    return journal_space_add(journal, number, fd, journal->limits.segment_size);
}

/* One that was asked for before journal_segment_size changed is of no use, as reuse_oldest has it. */
static void drop_odd_spare(struct journal *journal) {
    char path[PATH_MAX];
    struct stat status;
    journal_space_path(journal, SPARE_NAME, path);
    if (journal->spare_ready &&
        (stat(path, &status) != 0 || (uint64_t)status.st_size != journal->limits.segment_size)) {
        (void)unlink(path);
        journal->spare_ready = false;
    }
}

enum journal_result journal_space_advance(struct journal *journal, enum journal_right right) {
    bool full = false;
    struct segment *next = reuse_oldest(journal);
    if (next == NULL) {
        drop_odd_spare(journal);
        if (right == JOURNAL_ORDINARY && !journal->spare_ready &&
            !journal_has_space(journal, journal->limits.segment_size)) {
            return JOURNAL_FULL;
        }
        next = make_new(journal, &full);
    }
    if (next == NULL) {
        return full ? JOURNAL_FULL : JOURNAL_FAILED;
    }
    next->end = 0;
    journal->current = next;
    return JOURNAL_OK;
}

uint64_t journal_pinned(const struct journal *journal) {
    if (journal->count < 3 || journal->segments[0]->open_mails == 0) {
        return 0;
    }
    /* worth it only when what lies behind would be free */
    const struct segment *next = journal->segments[1];
    return next->open_mails == 0 && next != journal->current ? journal->segments[0]->number : 0;
}

bool journal_wants_spare(struct journal *journal) {
    if (journal->spare_asked || journal->current == NULL || journal->current->end <= journal->current->size / 2 ||
        journal_space_is_ready(journal) || !journal_has_space(journal, journal->limits.segment_size)) {
        return false;
    }
    journal->spare_asked = true;
    return true;
}

void journal_spare_path(const struct journal *journal, char path[PATH_MAX]) {
    journal_space_path(journal, SPARE_UNDER_WAY, path);
}

void journal_spare_made(struct journal *journal, bool good) {
    char from[PATH_MAX], to[PATH_MAX];
    journal_space_path(journal, SPARE_UNDER_WAY, from);
    journal_space_path(journal, SPARE_NAME, to);
    journal->spare_asked = false;
    journal->spare_ready = good && rename(from, to) == 0;
}
