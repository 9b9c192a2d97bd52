/* SPDX-License-Identifier: MIT
 * Moving bytes between a descriptor (or TLS over it) and two bounded buffers, with deadlines. Called by receivers and
 * agents without privileges, on untrusted peers; fails by return value. A write to a closed peer gives STREAM_BROKEN,
 * never SIGPIPE where the descriptor is a socket. */
#include "base/stream.h"
#include "base/clock.h"
#include "base/file.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SMALLEST 4095u /* 4 KiB with the buffer's NUL */

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

void stream_init(struct stream *stream, int fd, size_t input_maximum, size_t output_maximum) {
    *stream = (struct stream){.fd = fd, .stop_fd = -1};
    buffer_init(&stream->input, input_maximum);
    buffer_init_wiped(&stream->output, output_maximum); /* mail, or a password: nobody reads it here again */
    stream_expect(stream, 0);
    (void)file_set_nonblocking(fd, true); /* fails for a bad descriptor only, which the first read reports */
}

static void close_transport(struct stream *stream) {
    if (stream->transport.close != NULL) {
        stream->transport.close(stream->transport.context);
    }
    stream->transport = (struct stream_transport){.read = NULL};
}

void stream_close(struct stream *stream) {
    close_transport(stream);
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->fd = -1;
    buffer_free(&stream->input);
    buffer_free(&stream->output);
}

static ssize_t plain_result(ssize_t moved, short direction, short *wanted) {
    if (moved < 0) {
        *wanted = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? direction : 0;
    }
    return moved;
}

static ssize_t read_some(struct stream *stream, void *bytes, size_t length, short *wanted) {
    if (stream->transport.read != NULL) {
        return stream->transport.read(stream->transport.context, bytes, length, wanted);
    }
    return plain_result(read(stream->fd, bytes, length), POLLIN, wanted);
}

static ssize_t write_some(struct stream *stream, const void *bytes, size_t length, short *wanted) {
    if (stream->transport.write != NULL) {
        return stream->transport.write(stream->transport.context, bytes, length, wanted);
    }
    ssize_t sent = send(stream->fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == ENOTSOCK) {
        sent = write(stream->fd, bytes, length);
    }
    return plain_result(sent, POLLOUT, wanted);
}

/* Waits until the descriptor is ready for `wanted`. stop_fd: -1, or what interrupts the wait. */
static enum stream_result wait_for(struct stream *stream, short wanted, int stop_fd, int64_t deadline) {
    struct pollfd polled[2] = {{.fd = stream->fd, .events = wanted}, {.fd = stop_fd, .events = POLLIN}};
    for (;;) {
        int ready = poll(polled, stop_fd >= 0 ? 2 : 1, clock_remaining(deadline));
        if (ready < 0 && errno != EINTR) {
            return STREAM_BROKEN;
        }
        if (ready > 0) {
            return polled[0].revents != 0 ? STREAM_OK : STREAM_STOP;
        }
        if (ready == 0 && clock_remaining(deadline) == 0) {
            return STREAM_TIMEOUT;
        }
    }
}

/* An idle session holds little: what a burst made large is given back before the next wait. */
static void shrink_idle_input(struct stream *stream) {
    stream->read_size = stream->read_least;
    if (stream->input.length == 0 && stream->input.capacity > READ_SMALLEST + 1) {
        buffer_free(&stream->input);
    }
}

/* One attempt to read, *wanted tells what to wait for when nothing came. */
static enum stream_result fill_once(struct stream *stream, size_t room, short *wanted) {
    char *at = buffer_reserve(&stream->input, room);
    *wanted = 0;
    ssize_t got = read_some(stream, at, room, wanted);
    stream->drained = got > 0 && (size_t)got < room;
    if (got > 0) {
        buffer_advance(&stream->input, (size_t)got);
        if ((size_t)got == stream->read_size) {
            stream->read_size *= 2;
        }
        return STREAM_OK;
    }
    if (got == 0) {
        stream->ended = true;
        return STREAM_CLOSED;
    }
    return STREAM_BROKEN; /* final only when nothing is wanted */
}

enum stream_result stream_pause(struct stream *stream, int64_t deadline) {
    enum stream_result result = wait_for(stream, POLLRDHUP, stream->stop_fd, deadline);
    return result == STREAM_OK ? STREAM_CLOSED : result;
}

enum stream_result stream_fill(struct stream *stream, int64_t deadline) {
    if (stream->ended) {
        return STREAM_CLOSED;
    }
    for (;;) {
        short wanted = POLLIN;
        size_t room = smaller(stream->input.maximum - stream->input.length, stream->read_size);
        if (room == 0) {
            return STREAM_TOO_LONG;
        }
        bool waits =
            stream->drained && stream->transport.read == NULL; /* a transport may hold what it has read ahead */
        enum stream_result result = waits ? STREAM_BROKEN : fill_once(stream, room, &wanted);
        if (result != STREAM_BROKEN || wanted == 0) {
            return result;
        }
        shrink_idle_input(stream);
        result = wait_for(stream, wanted, stream->stop_fd, deadline);
        if (result != STREAM_OK) {
            return result;
        }
        stream->drained = false;
    }
}

void stream_linger(struct stream *stream, int64_t deadline) {
    close_transport(stream);
    stream->stop_fd = -1;
    if (shutdown(stream->fd, SHUT_WR) != 0) {
        return;
    }
    do {
        stream_consume(stream, stream->input.length);
    } while (stream_fill(stream, deadline) == STREAM_OK && clock_now_ms() < deadline);
}

void stream_expect(struct stream *stream, size_t length) {
    stream->read_least = length > READ_SMALLEST ? length : READ_SMALLEST;
    if (stream->read_size < stream->read_least) {
        stream->read_size = stream->read_least;
    }
}

bool stream_must_stop(const struct stream *stream) {
    struct pollfd polled = {.fd = stream->stop_fd, .events = POLLIN};
    return stream->stop_fd >= 0 && poll(&polled, 1, 0) > 0;
}

enum stream_result stream_flush(struct stream *stream, int64_t deadline) {
    while (stream->output.length > 0) {
        short wanted = 0;
        ssize_t sent = write_some(stream, stream->output.data, stream->output.length, &wanted);
        if (sent > 0) {
            buffer_consume(&stream->output, (size_t)sent);
            continue;
        }
        if (sent == 0 || wanted == 0) {
            return STREAM_BROKEN;
        }
        /* Not interrupted by stop_fd: what was begun is said to its end. */
        enum stream_result result = wait_for(stream, wanted, -1, deadline);
        if (result != STREAM_OK) {
            return result;
        }
    }
    return STREAM_OK;
}

enum stream_result stream_write(struct stream *stream, const void *bytes, size_t length, int64_t deadline) {
    const char *at = bytes;
    while (length > 0) {
        size_t room = smaller(stream->output.maximum - stream->output.length, length);
        if (room == 0) {
            enum stream_result result = stream_flush(stream, deadline);
            if (result != STREAM_OK) {
                return result;
            }
            continue;
        }
        (void)buffer_append(&stream->output, at, room); /* fits: room was measured */
        at += room;
        length -= room;
    }
    return STREAM_OK;
}

struct text stream_pending(const struct stream *stream) {
    return buffer_text(&stream->input);
}

void stream_consume(struct stream *stream, size_t length) {
    buffer_consume(&stream->input, length);
}
