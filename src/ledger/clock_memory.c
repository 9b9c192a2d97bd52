/* SPDX-License-Identifier: MIT
 * By which clock the rows were last right, kept in queue/journal/clock: the machine's start, the name space of its
 * clocks, and clock_offset. So a clock that was set while no ledger ran is noticed by the next one. After another start
 * of the machine nothing is known. Called by the ledger; a file that cannot be read or written is as none. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "ledger/ledger_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAXIMUM 256u

static bool read_file(const char *path, struct buffer *content) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool good = fd >= 0 && file_read_into(fd, content);
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

void clock_memory_learn(struct ledger *ledger) {
    struct buffer id;
    char name_space[64] = "";
    buffer_init(&id, FILE_MAXIMUM);
    ssize_t length = readlink("/proc/self/ns/time", name_space, sizeof name_space - 1);
    name_space[length > 0 ? length : 0] = '\0';
    ledger->boot[0] = '\0';
    if (read_file("/proc/sys/kernel/random/boot_id", &id)) {
        struct text line = text_first(buffer_text(&id), text_find(buffer_text(&id), '\n'));
        (void)snprintf(ledger->boot, sizeof ledger->boot, "%.*s %s ", TEXT_ARGS(line), name_space);
    }
    buffer_free(&id);
}

static bool path_of(const struct ledger *ledger, const char *end, char path[PATH_MAX]) {
    return snprintf(path, PATH_MAX, "%s/journal/clock%s", ledger->config->queue, end) < PATH_MAX;
}

int64_t clock_memory_read(struct ledger *ledger) {
    char path[PATH_MAX];
    struct buffer content;
    uint64_t offset;
    int64_t known = clock_offset();
    buffer_init(&content, FILE_MAXIMUM);
    if (ledger->boot[0] != '\0' && path_of(ledger, "", path) && read_file(path, &content)) {
        struct text line = text_first(buffer_text(&content), text_find(buffer_text(&content), '\n'));
        size_t length = strlen(ledger->boot);
        if (text_equal(text_first(line, length), text_of(ledger->boot)) &&
            text_number(text_from(line, length), INT64_MAX, &offset)) {
            known = (int64_t)offset;
        }
    }
    buffer_free(&content);
    ledger->clock_written = known;
    return known;
}

void clock_memory_write(struct ledger *ledger) {
    char path[PATH_MAX], under_way[PATH_MAX], line[FILE_MAXIMUM];
    ledger->clock_written = ledger->clock_offset; /* where it fails, too: it is told once */
    if (ledger->boot[0] == '\0' || ledger->clock_offset < 0 || !path_of(ledger, "", path) ||
        !path_of(ledger, ".new", under_way)) {
        return;
    }
    int length = snprintf(line, sizeof line, "%s%lld\n", ledger->boot, (long long)ledger->clock_offset);
    int fd = open(under_way, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && file_write_all(fd, line, (size_t)length);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!good || rename(under_way, path) != 0) {
        log_warn("%s cannot be written: %s; a clock that is set while no server runs goes unnoticed", path,
                 strerror(errno));
    }
}
