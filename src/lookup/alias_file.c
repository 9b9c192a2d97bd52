/* SPDX-License-Identifier: MIT
 * Reading a list's file. Called by alias.c in lookup, as parcelpost-auth, which must be able to read it. A file that is
 * missing, too large or none fails the address for now, and is logged. */
#include "lookup/alias_file.h"
#include "base/file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool alias_file_read(const char *path, struct buffer *content) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool good = fd >= 0 && fstat(fd, &status) == 0;
    const char *reason = good ? NULL : strerror(errno);
    if (good && !S_ISREG(status.st_mode)) {
        reason = "not a file";
    } else if (good && !file_read_into(fd, content)) {
        reason = errno == EFBIG ? "too large" : strerror(errno);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (reason != NULL) {
        log_error("the addresses in %s cannot be read: %s%s", path, reason,
                  fd < 0 && errno == EACCES ? "; auth_user must be able to, and it must lie in alias_directories" : "");
    }
    return reason == NULL;
}

bool alias_file_next(struct text *content, struct text *address) {
    while (text_split(content, '\n', address)) {
        if (address->length > 0 && address->data[address->length - 1] == '\r') {
            address->length--;
        }
        *address = text_trim(*address);
        if (address->length > 0 && address->data[0] != '#') {
            return true;
        }
    }
    return false;
}
