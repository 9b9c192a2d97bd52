/* SPDX-License-Identifier: MIT
 * One message while it is received: up to 96 KiB in memory, then a memfd, above journal_max_message a spool file that
 * the ledger opened. Its header section always stays in memory as well. Results fields with our own name are cut out
 * before anything is stored; every other byte stays what it was, but for what change.h is asked to change. */
#ifndef RECEIVER_MESSAGE_H
#define RECEIVER_MESSAGE_H
#include "base/buffer.h"
#include "ipc/messages.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_HEADER_MAXIMUM (256u * 1024)

enum message_problem {
    MESSAGE_OK,
    MESSAGE_TOO_LARGE,        /* above message_maximum */
    MESSAGE_HEADER_TOO_LARGE, /* its header section is above MESSAGE_HEADER_MAXIMUM */
    MESSAGE_NOT_SAVED,        /* a write failed */
    MESSAGE_FULL,             /* there is no room */
    MESSAGE_DROPPED           /* nobody wants it */
};
struct message_limits {
    uint64_t maximum;     /* message_maximum */
    uint64_t journal;     /* journal_max_message */
    const char *own_name; /* server_name */
};
struct message {
    struct message_limits limits;
    int ledger;                   /* channel: asked for a spool file */
    const char *mail_id;          /* borrowed */
    enum message_problem problem; /* the first one; afterwards nothing more is kept */
    enum cargo_place place;
    int fd;                 /* -1: all in memory */
    struct buffer memory;   /* header section, and the rest while fd is -1 */
    struct buffer original; /* header section as it came, when something was cut; else empty */
    bool header_done;
    size_t scanned;       /* of memory, for the end of the header section */
    size_t header_length; /* without the empty line; valid when header_done */
    bool author_hidden;   /* a From field stands, or may stand, behind a line that is no field */
    size_t body_offset;   /* behind the empty line, when there is one */
    bool header_moved;    /* it was changed, and the file still has the former one, */
    uint64_t stored_body; /* with the body here */
    uint64_t received;    /* bytes as they came */
    uint64_t length;      /* bytes to be stored */
};
void message_init(struct message *message, int ledger, const char *mail_id, const struct message_limits *limits);
void message_free(struct message *message);
/* Takes the next piece; problems are remembered. expected: SIZE= of the client, 0 when unknown. */
void message_write(struct message *message, struct text piece, uint64_t expected);
/* What has come is forgotten, and nothing more of it is kept. */
void message_drop(struct message *message);
/* The data has ended. */
void message_finish(struct message *message);
/* The header section as it will be stored, and as it came. */
struct text message_header(const struct message *message);
struct text message_original_header(const struct message *message);
/* Where the body begins: behind the empty line. In a file it may still lie elsewhere, at stored_body. */
uint64_t message_body_offset(const struct message *message);
/* The whole message when it is in memory. */
struct text message_content(const struct message *message);
/* Puts `tail` behind the message (replacing a former tail) in its file, moving it to one when message and tail do not
 * fit into an inline cargo, or into the journal. False: problem says why. Afterwards place and fd are what to pass on;
 * for CARGO_INLINE *cargo is both, borrowed until the message changes or gets another tail. */
bool message_append_tail(struct message *message, struct text tail, struct text *cargo);
/* Copies bytes of the body, from `offset` within it, at most `size`; 0 at its end, -1 when they cannot be read. */
ssize_t message_read_body(const struct message *message, uint64_t offset, char *bytes, size_t size);

/* ---- message_change.c: when all of it has come, and its signature was checked ---- */
/* Another header section in place of the present one, without an empty line; a body in a file moves when the message is
 * stored. False, and nothing is changed: it is above MESSAGE_HEADER_MAXIMUM. */
bool message_set_header(struct message *message, struct text section);
/* Forgets the body; message_write then brings another one. */
void message_drop_body(struct message *message);
/* Private to message*.c: the file holds the changed header and the body behind it. False: problem says why. */
bool message_settle(struct message *message);
void message_fail(struct message *message, enum message_problem problem);
bool message_write_at(struct message *message, struct text bytes, uint64_t offset);
#endif
