/* SPDX-License-Identifier: MIT
 * What the journal's files share: journal.c appends, flushes, scans; journal_space.c finds room; journal_damage.c
 * keeps aside what the disk has damaged. */
#ifndef SPOOL_JOURNAL_PRIVATE_H
#define SPOOL_JOURNAL_PRIVATE_H
#include "spool/journal.h"

struct journal {
    char directory[PATH_MAX];
    struct journal_limits limits;
    struct segment **segments; /* by number */
    size_t count, room;
    struct segment *current; /* NULL: none could be had */
    uint64_t last_number;
    struct journal_place batch_start;
    struct journal_place durable;
    char *gathered; /* the end of the current segment that is not written yet */
    size_t gathered_length;
    bool dirty;              /* written since the last flush */
    bool failed;             /* a flush inside this batch failed already */
    struct record_cut *cuts; /* known, to be written into the next segment */
    size_t cut_count;
    int64_t next_try; /* clock_now_ms: when a new segment is tried again after a failure */
    uint64_t file_bytes;
    bool spare_ready, spare_asked;
};
#define JOURNAL_GATHER_SIZE (128u * 1024)
/* journal_write.c: adds a record to the current segment, where there is room for it. */
enum journal_result journal_write_record(struct journal *journal, enum record_type type, struct text head,
                                         struct text body, struct journal_place *place);
/* Writes what was gathered. False: it is logged, and the batch has failed. */
bool journal_write_out(struct journal *journal);
/* Makes a fresh segment current: a reused one, the spare, or a new one. */
enum journal_result journal_space_advance(struct journal *journal, enum journal_right right);
/* Deletes the newest segment, which nothing has been committed to; its number stays used up. */
void journal_space_drop_last(struct journal *journal);
/* True when a segment can be had without writing one. */
bool journal_space_is_ready(const struct journal *journal);
/* The path of a file in the journal's directory. */
void journal_space_path(const struct journal *journal, const char *name, char path[PATH_MAX]);
struct segment *journal_space_add(struct journal *journal, uint64_t number, int fd, uint64_t size);
/* Closes a segment and forgets it; its file stays. */
void journal_space_forget(struct journal *journal, struct segment *segment);

/* ---- journal_damage.c ---- */
/* Where a scan that has stopped at a record goes on: `at` when it has come to its end. What lies between is kept. */
uint64_t journal_damage_pass(const struct journal *journal, const struct segment *segment, uint64_t at, uint64_t end);
/* True when a segment without a first record is neither fresh nor one of a former life: its file has another name now.
 */
bool journal_damage_front(const struct journal *journal, const struct segment *segment, const char *path);
#endif
