/* SPDX-License-Identifier: MIT
 * A buffered two-way byte stream over a non-blocking descriptor, with deadlines; TLS plugs in its own read and write.
 * Used by receivers and agents, one peer a process: waiting here blocks only this process. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H
#include "base/buffer.h"
#include <stdint.h>
#include <sys/uio.h>

enum stream_result {
    STREAM_OK,
    STREAM_TIMEOUT,  /* the deadline passed */
    STREAM_CLOSED,   /* end of file, orderly */
    STREAM_BROKEN,   /* reset or any other error */
    STREAM_TOO_LONG, /* a line passed its limit; its rest is still unread */
    STREAM_BARE_CR,  /* a CR without LF, or */
    STREAM_BARE_LF,  /* a LF without CR in a line */
    STREAM_STOP      /* the stop descriptor became readable while waiting */
};
/* What TLS replaces. Each returns bytes moved, 0 for an orderly end, or -1 with *wanted set to POLLIN or POLLOUT when
 * it must wait for that, or 0 on error. */
struct stream_transport {
    ssize_t (*read)(void *context, void *bytes, size_t length, short *wanted);
    ssize_t (*write)(void *context, const void *bytes, size_t length, short *wanted);
    void (*close)(void *context); /* sends close_notify if it can; frees the context */
    void *context;
};
struct stream {
    int fd;
    int stop_fd; /* -1, or a descriptor whose readability interrupts a wait for input */
    struct buffer input, output;
    struct stream_transport transport; /* read == NULL: plain */
    bool ended, drained; /* drained: the last read took all there was, so the next one would find nothing yet */
    size_t read_size;    /* how much the next read asks for: grows while reads come back full, falls when idle */
    size_t read_least;   /* to this */
};
/* fd is owned from now on and made non-blocking. input_maximum bounds what is read ahead, output_maximum what is held
 * back; of what was sent nothing is left in memory. */
void stream_init(struct stream *stream, int fd, size_t input_maximum, size_t output_maximum);
void stream_close(struct stream *stream);
/* Before stream_close, of a socket: says that nothing more is sent (within TLS that, too), and throws away what still
 * comes, until the peer ends or the deadline: closed with bytes unread, a connection is reset. */
void stream_linger(struct stream *stream, int64_t deadline);
/* Reads at least one more byte into input (up to its free room). */
enum stream_result stream_fill(struct stream *stream, int64_t deadline);
/* What comes next comes in pieces of about this many bytes (at most), which one read shall take; 0: lines. Costs no
 * memory before something comes. */
void stream_expect(struct stream *stream, size_t length);
/* Waits until the deadline, and reads nothing. STREAM_TIMEOUT: it has passed; STREAM_CLOSED: the peer sends no more. */
enum stream_result stream_pause(struct stream *stream, int64_t deadline);
/* The stop descriptor is readable: for those whose peer never lets them wait. */
bool stream_must_stop(const struct stream *stream);
/* Next line without its CRLF, borrowed until the next call. Lines end in CRLF only; maximum counts the CRLF (at least
 * 2). After STREAM_BARE_CR and STREAM_BARE_LF everything up to and with the next LF is consumed and *line shows it;
 * after STREAM_TOO_LONG the first `maximum` bytes are. After STREAM_TIMEOUT and STREAM_STOP what came so far stays
 * unread. */
enum stream_result stream_read_line(struct stream *stream, size_t maximum, int64_t deadline, struct text *line);
/* As above, but a lone LF ends a line as well (replies of sloppy servers; never for what clients send). */
enum stream_result stream_read_line_lenient(struct stream *stream, size_t maximum, int64_t deadline, struct text *line);
/* What has been read and not consumed; stream_consume takes it away. */
struct text stream_pending(const struct stream *stream);
void stream_consume(struct stream *stream, size_t length);
/* Appends to output; flushes by itself when output is full (then may wait until the deadline). */
enum stream_result stream_write(struct stream *stream, const void *bytes, size_t length, int64_t deadline);
enum stream_result stream_flush(struct stream *stream, int64_t deadline);
#endif
