/* SPDX-License-Identifier: MIT
 * Typed messages between processes over SOCK_SEQPACKET socket pairs. A message is a head (kind, serial) and the packed
 * values of a struct that a field table describes; one table packs, unpacks and bounds it. A descriptor may travel
 * with a message. Anything malformed, unknown or not in the receiver's whitelist ends the asker's channel. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H
#include "base/buffer.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_MESSAGE_MAXIMUM (160u * 1024) /* fits the default socket buffer */
#define CARGO_INLINE_MAXIMUM (64u * 1024)     /* larger cargo travels as a descriptor */
#define COMMIT_INLINE_MAXIMUM (96u * 1024)    /* and a receiver's, which travels alone */

enum channel_field_type { FIELD_U32, FIELD_I64, FIELD_TEXT };
struct channel_field {
    enum channel_field_type type;
    uint16_t offset;
    uint32_t maximum; /* bytes for text, largest value for numbers (0: any) */
};
struct channel_type { /* one kind of message */
    const char *name;
    const struct channel_field *fields;
    uint16_t field_count;
    uint16_t size; /* of the struct */
};
enum channel_result {
    CHANNEL_OK,
    CHANNEL_AGAIN, /* nothing there (non-blocking) or no room */
    CHANNEL_TIMEOUT,
    CHANNEL_GONE, /* the other side closed or died */
    CHANNEL_BAD   /* malformed: end the peer */
};
struct channel_message {
    uint32_t kind;                /* index into the channel_types table */
    uint32_t serial;              /* repeated in the answer */
    int fd;                       /* -1, or a received descriptor, now owned by the receiver */
    union channel_values *values; /* points into the caller's storage */
};
/* A connected pair, both close-on-exec; false with errno. ends[] */
bool channel_pair(int ends[2]);
/* Packs and sends one message of this kind. pass_fd: -1 or a descriptor to pass (stays the caller's). Blocks until
 * sent when the socket is blocking; CHANNEL_AGAIN when it is not and the buffer is full. */
enum channel_result channel_send(int fd, uint32_t kind, uint32_t serial, const void *values, int pass_fd);
/* Receives one message. storage (CHANNEL_MESSAGE_MAXIMUM bytes, shared scratch of the process) holds the bytes that
 * text fields point to; values (at least the largest struct: sizeof(union channel_values)) gets the struct. deadline:
 * clock_now_ms scale, or 0 not to wait. A descriptor that this process has no room for is lost: fd is -1, as if none
 * had been sent. */
enum channel_result channel_receive(int fd, int64_t deadline, char *storage, void *values,
                                    struct channel_message *message);
/* Asks and waits for the answer of exactly this kind and serial: CHANNEL_BAD on another. Text fields of the answer
 * point into a per-process scratch that lasts until the next call. answer_fd may be NULL (a descriptor is closed). */
enum channel_result channel_ask(int fd, uint32_t kind, const void *values, int pass_fd, uint32_t answer_kind,
                                void *answer, int *answer_fd, int64_t deadline);
#endif
