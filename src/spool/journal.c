/* SPDX-License-Identifier: MIT
 * The journal: append, one flush a batch, scan, and what happens after a failed flush. Called by spool*.c in the
 * ledger. After a failed flush nobody knows what the disk holds: the segment is abandoned, and a `cut` record in the
 * next one says from where on its records never happened. */
#include "spool/journal.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "spool/journal_private.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MILLISECONDS 1000
#define RESERVE_MAXIMUM (1024u * 1024)

int (*journal_flush)(int fd) = fdatasync;

/* ---- opening ---- */

static void add_segment(struct journal *journal, uint64_t number, int fd, uint64_t size, const char *path) {
    struct segment *segment = journal_space_add(journal, number, fd, size);
    if (!segment_learn(segment) && journal_damage_front(journal, segment, path)) {
        journal_space_forget(journal, segment);
    }
}

/* Remnants of segments under way are removed; a finished spare of the right size is kept. */
static bool take_file(struct journal *journal, const char *name, struct buffer *error) {
    char path[PATH_MAX];
    uint64_t number;
    journal_space_path(journal, name, path);
    bool is_spare = strcmp(name, "spare") == 0;
    if (!is_spare && !segment_number(name, &number)) {
        if (strcmp(name, "spare.new") == 0 || strcmp(name, "segment.new") == 0) {
            (void)unlink(path);
        }
        return true;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int64_t size = fd < 0 ? -1 : file_size(fd);
    if (size < 0) {
        buffer_format(error, "%s: cannot be opened: %s", path, strerror(errno));
        return false;
    }
    if (!is_spare) {
        add_segment(journal, number, fd, (uint64_t)size, path);
        return true;
    }
    (void)close(fd);
    journal->spare_ready = (uint64_t)size == journal->limits.segment_size;
    if (!journal->spare_ready) {
        (void)unlink(path);
    }
    return true;
}

static bool take_files(struct journal *journal, struct buffer *error) {
    DIR *directory = opendir(journal->directory);
    if (directory == NULL) {
        buffer_format(error, "%s: cannot be read: %s", journal->directory, strerror(errno));
        return false;
    }
    bool good = true;
    for (const struct dirent *entry; good && (entry = readdir(directory)) != NULL;) {
        good = entry->d_name[0] == '.' || take_file(journal, entry->d_name, error);
    }
    (void)closedir(directory);
    return good;
}

static void learn_cut(struct journal *journal, const struct record_cut *cut) {
    journal->cuts = memory_resize(journal->cuts, journal->cut_count + 1, sizeof *journal->cuts);
    journal->cuts[journal->cut_count++] = *cut;
}

static bool visit_cut(void *context, const struct record_header *header, struct journal_place place,
                      struct text payload) {
    struct record_cut cut;
    (void)place;
    if (header->type != RECORD_CUT || !record_cut_parse(payload, &cut)) {
        return false; /* cuts stand at the front of a segment */
    }
    learn_cut(context, &cut);
    return true;
}

struct journal *journal_open(const char *directory, const struct journal_limits *limits, struct buffer *error) {
    struct journal *journal = memory_new(1, sizeof *journal);
    journal->limits = *limits;
    journal->gathered = memory_new(1, JOURNAL_GATHER_SIZE);
    if (strlen(directory) + NAME_MAX + 2 > PATH_MAX ||
        !text_copy(journal->directory, sizeof journal->directory, text_of(directory))) {
        buffer_format(error, "%s: the path is too long", directory);
    } else if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        buffer_format(error, "%s: cannot be made: %s", directory, strerror(errno));
    } else if (take_files(journal, error)) {
        for (size_t i = 0; i < journal->count; i++) {
            segment_scan(journal->segments[i], 0, UINT64_MAX, visit_cut, journal);
        }
        return journal;
    }
    journal_close(journal);
    return NULL;
}

void journal_close(struct journal *journal) {
    if (journal == NULL) {
        return;
    }
    for (size_t i = 0; i < journal->count; i++) {
        (void)close(journal->segments[i]->fd);
        free(journal->segments[i]);
    }
    free(journal->segments);
    free(journal->cuts);
    free(journal->gathered);
    free(journal);
}

void journal_set_limits(struct journal *journal, const struct journal_limits *limits) {
    journal->limits = *limits;
}

void journal_set_file_bytes(struct journal *journal, uint64_t bytes) {
    journal->file_bytes = bytes;
}

/* ---- scanning and reading ---- */

static uint64_t valid_end(const struct journal *journal, const struct segment *segment) {
    uint64_t end = UINT64_MAX;
    for (size_t i = 0; i < journal->cut_count; i++) {
        if (journal->cuts[i].segment == segment->number && journal->cuts[i].position < end) {
            end = journal->cuts[i].position;
        }
    }
    return end;
}

static void scan_segment(const struct journal *journal, const struct segment *segment, uint64_t at,
                         segment_visit *visit, void *context) {
    uint64_t end = valid_end(journal, segment), stopped;
    do {
        stopped = segment_scan(segment, at, end, visit, context);
        at = journal_damage_pass(journal, segment, stopped, end);
    } while (at != stopped);
}

void journal_scan(struct journal *journal, struct journal_place from, segment_visit *visit, void *context) {
    for (size_t i = 0; i < journal->count; i++) {
        const struct segment *segment = journal->segments[i];
        if (segment->number >= from.segment) {
            uint64_t start = segment->number == from.segment ? from.offset : 0;
            scan_segment(journal, segment, start, visit, context);
        }
    }
}

static struct segment *find_segment(const struct journal *journal, uint64_t number) {
    for (size_t i = 0; i < journal->count; i++) {
        if (journal->segments[i]->number == number) {
            return journal->segments[i];
        }
    }
    return NULL;
}

bool journal_read_mail(const struct journal *journal, struct journal_place place, const char *mail_id,
                       struct cargo_lengths *lengths, char **cargo) {
    const struct segment *segment = find_segment(journal, place.segment);
    struct record_header header;
    struct record_mail mail;
    struct text body;
    char *payload;
    if (segment == NULL || place.offset >= valid_end(journal, segment) ||
        !segment_read(segment, place.offset, &header, &payload)) {
        return false;
    }
    if (header.type != RECORD_MAIL || !record_mail_parse((struct text){payload, header.length}, &mail, &body) ||
        strcmp(mail.mail_id, mail_id) != 0) {
        free(payload);
        return false;
    }
    memmove(payload, body.data, body.length);
    *lengths = mail.lengths;
    *cargo = payload;
    return true;
}

void journal_count_open(struct journal *journal, uint64_t number, int change) {
    struct segment *segment = find_segment(journal, number);
    if (segment != NULL && (change > 0 || segment->open_mails > 0)) {
        segment->open_mails = change > 0 ? segment->open_mails + 1 : segment->open_mails - 1;
    }
}

void journal_set_durable(struct journal *journal, struct journal_place place) {
    journal->durable = place;
}

unsigned journal_segments(const struct journal *journal) {
    return (unsigned)journal->count;
}

uint64_t journal_segment_size(const struct journal *journal) {
    return journal->limits.segment_size;
}

/* ---- appending ---- */

static uint64_t reserve_of(const struct segment *segment) {
    uint64_t reserve = segment->size / 8;
    return reserve < RESERVE_MAXIMUM ? reserve : RESERVE_MAXIMUM;
}

bool journal_fits(const struct journal *journal, uint64_t payload_length) {
    uint64_t size = journal->limits.segment_size;
    return payload_length < size - size / 4 - RECORD_HEADER_SIZE;
}

static bool has_room(const struct journal *journal, uint64_t room, enum journal_right right) {
    const struct segment *segment = journal->current;
    uint64_t left = segment->size - segment->end;
    if (room > left) {
        return false;
    }
    return right == JOURNAL_RESERVE || room + reserve_of(segment) <= left || journal_space_is_ready(journal);
}

/* What a fresh segment begins with: its salt, then the cuts, so that a start knows them before it applies anything. A
 * cut of a segment that is no more has done its work. */
static enum journal_result write_front(struct journal *journal) {
    struct segment *segment = journal->current;
    struct buffer payload;
    buffer_init(&payload, 64);
    random_fill(&segment->salt, sizeof segment->salt);
    segment->opened = true;
    enum journal_result result = JOURNAL_FAILED;
    if (record_open_format(segment->salt, &payload)) {
        result = journal_write_record(journal, RECORD_OPEN, TEXT_NONE, buffer_text(&payload), NULL);
    }
    for (size_t i = 0; result == JOURNAL_OK && i < journal->cut_count; i++) {
        buffer_clear(&payload);
        if (find_segment(journal, journal->cuts[i].segment) != NULL && record_cut_format(&journal->cuts[i], &payload)) {
            result = journal_write_record(journal, RECORD_CUT, TEXT_NONE, buffer_text(&payload), NULL);
        }
    }
    buffer_free(&payload);
    return result == JOURNAL_OK && !journal_write_out(journal) ? JOURNAL_FAILED : result;
}

static bool flush_current(struct journal *journal) {
    const struct segment *segment = journal->current;
    if (journal_write_out(journal) && journal_flush(segment->fd) == 0) {
        return true;
    }
    if (!journal->failed) {
        log_error("journal segment %llu: flush: %s", (unsigned long long)segment->number, strerror(errno));
    }
    journal->failed = true;
    return false;
}

/* Makes the next segment current, after a flush of what this batch wrote into the former. */
static enum journal_result open_next(struct journal *journal, enum journal_right right) {
    struct segment *former = journal->current;
    if (former != NULL && journal->dirty && !flush_current(journal)) {
        return JOURNAL_FAILED;
    }
    journal->dirty = false;
    enum journal_result result = journal_space_advance(journal, right);
    if (result == JOURNAL_OK) {
        result = write_front(journal);
        if (result != JOURNAL_OK) {
            journal_space_drop_last(journal);
        }
    }
    if (result != JOURNAL_OK) {
        journal->current = former;
    }
    return result;
}

static bool open_after_failure(struct journal *journal) {
    if (clock_now_ms() < journal->next_try) {
        return false;
    }
    journal->next_try = clock_deadline(RETRY_MILLISECONDS);
    if (open_next(journal, JOURNAL_RESERVE) != JOURNAL_OK) {
        journal->failed = false; /* there is no batch yet that could be abandoned */
        return false;
    }
    if (journal_flush(journal->current->fd) != 0) {
        log_error("journal segment %llu: flush: %s", (unsigned long long)journal->current->number, strerror(errno));
        journal_space_drop_last(journal);
        journal->current = NULL;
        return false;
    }
    journal->dirty = false;
    journal->batch_start = journal_end(journal);
    return true;
}

enum journal_result journal_make_room(struct journal *journal, enum journal_right right, uint64_t room) {
    if (journal->failed || (journal->current == NULL && !open_after_failure(journal))) {
        return JOURNAL_FAILED;
    }
    if (has_room(journal, room, right)) {
        return JOURNAL_OK;
    }
    enum journal_result result = open_next(journal, right);
    return result == JOURNAL_OK && !has_room(journal, room, JOURNAL_RESERVE) ? JOURNAL_FULL : result;
}

enum journal_result journal_append(struct journal *journal, enum record_type type, enum journal_right right,
                                   struct text head, struct text body, struct journal_place *place) {
    enum journal_result result = journal_make_room(journal, right, record_room(head.length + body.length));
    return result == JOURNAL_OK ? journal_write_record(journal, type, head, body, place) : result;
}

/* ---- the end of a batch ---- */

/* Everything since batch_start never happened. Truncating is a second line of defence, in case no cut can be written.
 */
static void abandon_batch(struct journal *journal) {
    journal->gathered_length = 0;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = journal->segments[i];
        uint64_t start = segment->number == journal->batch_start.segment ? journal->batch_start.offset : 0;
        if (segment->number < journal->batch_start.segment || segment->abandoned) {
            continue;
        }
        segment->abandoned = true;
        segment->end = start;
        learn_cut(journal, &(struct record_cut){segment->number, start});
        if (ftruncate(segment->fd, (off_t)start) == 0) {
            segment->size = start;
            (void)fsync(segment->fd);
        }
    }
    journal->current = NULL;
    journal->next_try = 0;
    journal->failed = false;
    journal->dirty = false;
    if (!open_after_failure(journal)) {
        log_error("no journal segment can be written: new mail is answered 451 until one can");
    }
}

bool journal_finish(struct journal *journal) {
    if (journal->current == NULL) {
        return false;
    }
    if (journal->failed || (journal->dirty && !flush_current(journal))) {
        abandon_batch(journal);
        return false;
    }
    journal->dirty = false;
    journal->batch_start = journal_end(journal);
    return true;
}

bool journal_has_failed(const struct journal *journal) {
    return journal->failed;
}

struct journal_place journal_end(const struct journal *journal) {
    if (journal->current == NULL) {
        return journal->batch_start;
    }
    return (struct journal_place){journal->current->number, journal->current->end};
}

bool journal_start(struct journal *journal, uint64_t last, struct buffer *error) {
    if (journal->last_number < last) {
        journal->last_number = last;
    }
    journal->batch_start = journal->durable; /* no batch is open: what lies before may be used again */
    if (!open_after_failure(journal)) {
        buffer_format(error, "%s: no journal segment can be written: %s", journal->directory, strerror(errno));
        return false;
    }
    return true;
}
