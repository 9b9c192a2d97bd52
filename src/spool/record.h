/* SPDX-License-Identifier: MIT
 * Records of the journal as bytes: values, no I/O. Numbers are little-endian (queue/README.md has the layout). Used by
 * journal.c and spool_recover.c, under the ledger's privileges; anything malformed gives false. */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H
#include "base/buffer.h"
#include "mail/mail_id.h"
#include <stdbool.h>
#include <stdint.h>

#define RECORD_HEADER_SIZE 32u
#define RECORD_MAIL_HEAD_SIZE (MAIL_ID_SIZE - 1 + 24u) /* mail id, three lengths; the cargo follows */
#define RECORD_OPEN_LENGTH 8u                          /* payload */
#define RECORD_ALIGNMENT 8u
#define RECORD_SMALL_MAXIMUM (4u * 1024) /* payload of any record but `mail` */

enum record_type { RECORD_OPEN = 1, RECORD_MAIL, RECORD_DONE, RECORD_GONE, RECORD_CUT };
enum gone_reason { GONE_ENDED = 'E', GONE_TO_FILE = 'F' };

struct record_header {
    enum record_type type;
    uint64_t segment; /* a record of another segment is a remnant of the file's former life */
    uint64_t length;  /* of the payload */
    uint64_t checksum;
    bool begins_batch; /* all before it in this segment was flushed when it was written */
};
struct cargo_lengths { /* message, added headers and envelope lie one behind the other */
    uint64_t message, headers, envelope;
};
struct record_mail {
    char mail_id[MAIL_ID_SIZE];
    struct cargo_lengths lengths;
};
struct record_done {
    char mail_id[MAIL_ID_SIZE];
    uint32_t recipient;
    uint32_t status; /* enum recipient_status */
    int64_t at;      /* seconds since 1970 */
    struct text reply;
};
struct record_gone {
    char mail_id[MAIL_ID_SIZE];
    enum gone_reason reason;
};
struct record_cut {
    uint64_t segment, position;
}; /* segment's records from position on never happened */

uint64_t cargo_total(const struct cargo_lengths *lengths);
/* Room that a record with this payload takes, padding included. */
uint64_t record_room(uint64_t payload_length);
/* The header's bytes, with the checksum over them and the payload, which is given in two parts. salt: random, chosen
 * when the segment was opened and unknown to anybody who sends mail. Without it a message could hold bytes that look
 * like a record, and be taken for one where a scan comes upon remnants of the file's former life. */
void record_header_format(struct record_header *header, uint64_t salt, struct text head, struct text body,
                          unsigned char bytes[RECORD_HEADER_SIZE]);
/* False unless magic and version are ours and the type is known. */
bool record_header_parse(const unsigned char bytes[RECORD_HEADER_SIZE], struct record_header *header);
bool record_checksum_matches(const unsigned char bytes[RECORD_HEADER_SIZE], const struct record_header *header,
                             uint64_t salt, struct text payload);
void record_mail_head(const struct record_mail *mail, unsigned char bytes[RECORD_MAIL_HEAD_SIZE]);
bool record_mail_parse(struct text payload, struct record_mail *mail, struct text *cargo);
/* Payloads; false past the buffer's maximum. A reply is cut so that the record stays small. */
bool record_done_format(const struct record_done *done, struct buffer *payload);
bool record_done_parse(struct text payload, struct record_done *done);
bool record_gone_format(const struct record_gone *gone, struct buffer *payload);
bool record_gone_parse(struct text payload, struct record_gone *gone);
/* `open`, the first record of a segment, under salt 0: the salt of all others. */
bool record_open_format(uint64_t salt, struct buffer *payload);
bool record_open_parse(struct text payload, uint64_t *salt);
bool record_cut_format(const struct record_cut *cut, struct buffer *payload);
bool record_cut_parse(struct text payload, struct record_cut *cut);
#endif
