/* SPDX-License-Identifier: MIT
 * CRLF to LF; see line_ends.h. Runs in delivery agents; fails as write(2) does. */
#include "agent/line_ends.h"
#include "base/file.h"

bool line_ends_write(int fd, struct line_ends *ends, struct text piece) {
    size_t length = 0;
    if (ends->kept) {
        return file_write_all(fd, piece.data, piece.length);
    }
    for (size_t i = 0; i < piece.length; i++) {
        if (ends->after_cr && piece.data[i] != '\n') {
            ends->out[length++] = '\r';
        }
        ends->after_cr = piece.data[i] == '\r';
        if (!ends->after_cr) {
            ends->out[length++] = piece.data[i];
        }
        if (length >= DELIVERY_PIECE - 1) {
            if (!file_write_all(fd, ends->out, length)) {
                return false;
            }
            length = 0;
        }
    }
    return file_write_all(fd, ends->out, length);
}

bool line_ends_finish(int fd, struct line_ends *ends) {
    bool open = ends->after_cr;
    ends->after_cr = false;
    return !open || file_write_all(fd, "\r", 1);
}
