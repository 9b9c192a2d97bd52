/* SPDX-License-Identifier: MIT
 * Lines of a stream, strictly ended by CRLF (RFC 5321 2.3.8), or leniently for the replies of sloppy servers. Called by
 * receivers and agents without privileges, on untrusted peers; fails by return value. */
#include "base/stream.h"
#include <string.h>

/* A line that passed its limit: gives its first `maximum` bytes. A CR at the end is left with what follows, lest the
 * next read takes its LF for a bare one. */
static enum stream_result take_too_long(struct stream *stream, size_t maximum, struct text *line) {
    struct text pending = stream_pending(stream);
    size_t taken = maximum < pending.length ? maximum : pending.length;
    if (taken > 1 && pending.data[taken - 1] == '\r') {
        taken--;
    }
    *line = text_first(pending, taken);
    stream_consume(stream, taken);
    return STREAM_TOO_LONG;
}

/* The whole line is there, its LF at `end`. */
static enum stream_result take_line(struct stream *stream, size_t end, bool lenient, struct text *line) {
    struct text whole = text_first(stream_pending(stream), end);
    bool has_cr = end > 0 && whole.data[end - 1] == '\r';
    *line = text_first(whole, has_cr ? end - 1 : end);
    stream_consume(stream, end + 1); /* the bytes stay where they are until the next read */
    if (lenient) {
        return STREAM_OK;
    }
    if (text_find(*line, '\r') < line->length) {
        return STREAM_BARE_CR;
    }
    return has_cr ? STREAM_OK : STREAM_BARE_LF;
}

static enum stream_result read_line(struct stream *stream, size_t maximum, int64_t deadline, bool lenient,
                                    struct text *line) {
    size_t searched = 0;
    *line = TEXT_NONE;
    for (;;) {
        struct text pending = text_first(stream_pending(stream), maximum);
        size_t end = searched + text_find(text_from(pending, searched), '\n');
        if (end < pending.length) {
            return take_line(stream, end, lenient, line);
        }
        searched = pending.length;
        if (pending.length == maximum) {
            return take_too_long(stream, maximum, line);
        }
        enum stream_result result = stream_fill(stream, deadline);
        if (result == STREAM_TOO_LONG) { /* the buffer is smaller than the limit */
            return take_too_long(stream, maximum, line);
        }
        if (result != STREAM_OK) {
            return result;
        }
    }
}

enum stream_result stream_read_line(struct stream *stream, size_t maximum, int64_t deadline, struct text *line) {
    return read_line(stream, maximum, deadline, false, line);
}

enum stream_result stream_read_line_lenient(struct stream *stream, size_t maximum, int64_t deadline,
                                            struct text *line) {
    return read_line(stream, maximum, deadline, true, line);
}
