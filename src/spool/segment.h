/* SPDX-License-Identifier: MIT
 * One segment of the journal: a zero-filled, flushed file queue/journal/NNNNNN that records are written into from the
 * front. Used by journal.c alone, in the ledger; failures are returned with errno. */
#ifndef SPOOL_SEGMENT_H
#define SPOOL_SEGMENT_H
#include "mail/place.h"
#include "spool/record.h"
#include <limits.h>

struct segment {
    uint64_t number; /* never used twice */
    int fd;
    uint64_t salt; /* of its records' checksums; from its first record */
    bool opened;   /* it has one: without it nothing in it counts */
    uint64_t size;
    uint64_t end;        /* where the next record goes; only meaningful for the current one */
    unsigned open_mails; /* mails whose only copy is here */
    bool abandoned;      /* a flush of it failed: deleted instead of reused */
};
/* Called for each valid record; false stops the scan. */
typedef bool segment_visit(void *context, const struct record_header *header, struct journal_place place,
                           struct text payload);

/* Writes a new file of zeros at path and flushes it; -1 with errno, then nothing is left behind. Safe in a thread. */
int segment_create(const char *path, uint64_t size);
/* "NNNNNN" for the number. */
void segment_name(uint64_t number, char name[NAME_MAX + 1]);
/* False when the name is not a segment's. */
bool segment_number(const char *name, uint64_t *number);
/* Reads the salt from the first record; false when there is none with this number: then the segment is empty. */
bool segment_learn(struct segment *segment);
/* Visits records from `offset` on, until the first one that is bad, bears another number or lies at or past limit.
 * Returns where the scan ended. */
uint64_t segment_scan(const struct segment *segment, uint64_t offset, uint64_t limit, segment_visit *visit,
                      void *context);
/* Reads the record at offset whole and verifies it; *payload is owned by the caller. False when there is none. */
bool segment_read(const struct segment *segment, uint64_t offset, struct record_header *header, char **payload);
#endif
