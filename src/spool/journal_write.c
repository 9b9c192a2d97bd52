/* SPDX-License-Identifier: MIT
 * Records on their way into the current segment: those of a round are gathered and written together, before the flush.
 * Called by journal.c in the ledger. A failed write fails the whole batch, as nobody knows what of it a scan would
 * find.
 */
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "spool/journal_private.h"
#include <errno.h>
#include <string.h>

#define COPY_MAXIMUM (16u * 1024) /* a longer body goes into the file from where it lies */

static bool cannot_write(struct journal *journal) {
    log_error("journal segment %llu: write: %s", (unsigned long long)journal->current->number, strerror(errno));
    journal->gathered_length = 0;
    journal->failed = true;
    return false;
}

bool journal_write_out(struct journal *journal) {
    const struct segment *segment = journal->current;
    size_t length = journal->gathered_length;
    if (length == 0 || file_pwrite_all(segment->fd, journal->gathered, length, (off_t)(segment->end - length))) {
        journal->gathered_length = 0;
        return true;
    }
    return cannot_write(journal);
}

/* segment->end stays where the gathered bytes end. */
static bool gather(struct journal *journal, const void *bytes, size_t length) {
    if (journal->gathered_length + length > JOURNAL_GATHER_SIZE && !journal_write_out(journal)) {
        return false;
    }
    if (length > 0) {
        memcpy(journal->gathered + journal->gathered_length, bytes, length);
    }
    journal->gathered_length += length;
    journal->current->end += length;
    return true;
}

static bool add_body(struct journal *journal, struct text body) {
    struct segment *segment = journal->current;
    if (body.length <= COPY_MAXIMUM) {
        return gather(journal, body.data, body.length);
    }
    if (!journal_write_out(journal)) {
        return false;
    }
    if (!file_pwrite_all(segment->fd, body.data, body.length, (off_t)segment->end)) {
        return cannot_write(journal);
    }
    segment->end += body.length;
    return true;
}

enum journal_result journal_write_record(struct journal *journal, enum record_type type, struct text head,
                                         struct text body, struct journal_place *place) {
    static const char zeros[RECORD_ALIGNMENT];
    struct segment *segment = journal->current;
    struct record_header header = {.type = type, .segment = segment->number, .begins_batch = !journal->dirty};
    struct journal_place here = {segment->number, segment->end};
    unsigned char bytes[RECORD_HEADER_SIZE + RECORD_MAIL_HEAD_SIZE];
    if (head.length > RECORD_MAIL_HEAD_SIZE) {
        die_panic("a journal record's head of %zu bytes", head.length);
    }
    record_header_format(&header, type == RECORD_OPEN ? 0 : segment->salt, head, body, bytes);
    memcpy(bytes + RECORD_HEADER_SIZE, head.data, head.length);
    journal->dirty = true;
    uint64_t next = here.offset + record_room(header.length);
    if (!gather(journal, bytes, RECORD_HEADER_SIZE + head.length) || !add_body(journal, body) ||
        !gather(journal, zeros, next - segment->end)) {
        return JOURNAL_FAILED;
    }
    if (place != NULL) {
        *place = here;
    }
    return JOURNAL_OK;
}
