/* SPDX-License-Identifier: MIT
 * The journal: mail in motion. Segments are appended by the ledger alone, flushed once a batch, scanned at start,
 * reused oldest first. Runs in the ledger (or in `parcelpost` while no daemon runs); failures are returned.
 *
 * THE INSTANT OF COMMITMENT of a journal mail is the return of journal_finish() for its batch: one fdatasync(2). That
 * of a mail file is the flush of its directory after the rename (mail_file.h). States and what a start makes of them:
 */
// clang-format off
/*
 *   `mail` record | flushed | `gone` | file | rows     | the message is                   | a start does
 *   --------------|---------|--------|------|----------|----------------------------------|---------------------------------
 *   no            |         |        | no   | none     | not accepted (no 250)            | nothing
 *   yes           | no      |        | no   | none     | unanswered: it may be sent again | applies the record if it is whole
 *   yes           | failed  |        | no   | none     | refused (451), cut               | nothing: the cut says it never was
 *   yes           | yes     | no     | no   | none     | accepted, rows wait              | adds the rows
 *   yes           | yes     | no     | no   | queued   | accepted                         | nothing
 *   yes           | yes     | no     | yes  | any      | moved to rest                    | the file wins: place is 'file'
 *   any           | yes     | file   | yes  | deferred | at rest                          | nothing
 *   no            |         |        | yes  | none     | accepted (large), rows wait      | adds the rows from the file
 *   any           | yes     | ended  | yes  | ended    | ended, not yet unlinked          | unlinks the file
 *   any           | yes     | ended  | no   | ended    | ended                            | nothing
 */
// clang-format on
#ifndef SPOOL_JOURNAL_H
#define SPOOL_JOURNAL_H
#include "spool/segment.h"

struct journal;
struct journal_limits {
    uint64_t segment_size;
    uint64_t maximum_size; /* of journal and mail files together; 0: no limit */
    uint64_t minimum_free; /* bytes of the file system that stay free */
};
enum journal_result { JOURNAL_OK, JOURNAL_FULL /* 452 */, JOURNAL_FAILED /* 451 */ };
/* Who may use the last reserve: mail from outside may not; results, and notices with them, must always find room. */
enum journal_right { JOURNAL_ORDINARY, JOURNAL_RESERVE };

/* Opens queue/journal (made if missing). No segment is current until journal_start. NULL with a sentence in error. */
struct journal *journal_open(const char *directory, const struct journal_limits *limits, struct buffer *error);
/* Begins a segment, numbered after every other and after `last` (the database's); what journal_set_durable has told is
 * used again. False with a sentence in error. */
bool journal_start(struct journal *journal, uint64_t last, struct buffer *error);
void journal_close(struct journal *journal);
void journal_set_limits(struct journal *journal, const struct journal_limits *limits);
/* How many bytes lie in queue/mail and queue/tmp: they count against maximum_size. */
void journal_set_file_bytes(struct journal *journal, uint64_t bytes);
/* True when `bytes` more may be stored outside the journal. */
bool journal_has_space(const struct journal *journal, uint64_t bytes);
/* The same for bytes that lie in the file system already: only maximum_size counts. */
bool journal_within_maximum(const struct journal *journal, uint64_t bytes);
/* True when a record with this payload fits into a segment at all. */
bool journal_fits(const struct journal *journal, uint64_t payload_length);

/* Makes sure that records of together this record_room can follow in one segment: so that a group is taken whole or
 * not. */
enum journal_result journal_make_room(struct journal *journal, enum journal_right right, uint64_t room);
/* Appends a record; it is part of the batch that the next journal_finish ends. place may be NULL. */
enum journal_result journal_append(struct journal *journal, enum record_type type, enum journal_right right,
                                   struct text head, struct text body, struct journal_place *place);
/* Ends the batch: one flush. False: every record since the last journal_finish is abandoned and cut. */
bool journal_finish(struct journal *journal);
/* True when a write of this batch failed: journal_finish will abandon it. */
bool journal_has_failed(const struct journal *journal);
/* Where the journal ends: what journal_position gets with the rows of a finished batch. */
struct journal_place journal_end(const struct journal *journal);
/* The only flush of the commit path. Tests replace it. */
extern int (*journal_flush)(int fd);

/* Visits every record from `from` on that was not cut, in order. Before journal_start. */
void journal_scan(struct journal *journal, struct journal_place from, segment_visit *visit, void *context);
/* A mail's cargo, verified; owned by the caller. False when it is not there. */
bool journal_read_mail(const struct journal *journal, struct journal_place place, const char *mail_id,
                       struct cargo_lengths *lengths, char **cargo);
/* Counts mails whose only copy is in the segment: one more or one less. */
void journal_count_open(struct journal *journal, uint64_t segment, int change);
/* Everything before this place is reflected in the database, and would be after a power failure. */
void journal_set_durable(struct journal *journal, struct journal_place place);
/* The oldest segment when nothing but open mails keeps it from being reused while others pile up behind it; 0: none. */
uint64_t journal_pinned(const struct journal *journal);
unsigned journal_segments(const struct journal *journal);
/* A segment made ahead of need by the helper thread: true, once, when one would be good; then call segment_create for
 * journal_spare_path, and report with journal_spare_made. */
bool journal_wants_spare(struct journal *journal);
void journal_spare_path(const struct journal *journal, char path[PATH_MAX]);
uint64_t journal_segment_size(const struct journal *journal);
void journal_spare_made(struct journal *journal, bool good);
#endif
