/* SPDX-License-Identifier: MIT
 * Reads srs_secret_file at lookup's start, as parcelpost-auth, whose file it is: one secret a line. One that cannot be
 * read is logged, and forwarding goes on without SRS. */
#include "lookup/srs_secret.h"
#include "base/file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define HASH_LENGTH 6
#define SHORTEST 8 /* bytes that a guesser would have to get right */
#define FILE_SIZE 4096u

static void take_lines(struct srs *srs, const char *file, struct text rest) {
    struct text line;
    while (srs->secret_count < SRS_SECRETS_MAXIMUM && text_split(&rest, '\n', &line)) {
        line = text_trim(line);
        if (line.length == 0) {
            continue;
        }
        if (line.length < SHORTEST || !text_copy(srs->secrets[srs->secret_count], SRS_SECRET_SIZE, line)) {
            log_error("%s: a secret has %d to %u bytes; this line is not used", file, SHORTEST, SRS_SECRET_SIZE - 1);
            continue;
        }
        srs->secret_count++;
    }
}

void srs_secret_read(struct srs *srs, const char *domain, const char *file) {
    struct buffer content;
    *srs = (struct srs){.hash_length = HASH_LENGTH, .domain = domain != NULL ? domain : ""};
    if (file == NULL || file[0] == '\0') {
        return;
    }
    buffer_init(&content, FILE_SIZE);
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || !file_read_into(fd, &content)) {
        log_error("srs_secret_file %s cannot be read: %s; mail is forwarded with its own sender", file,
                  strerror(errno));
    } else {
        take_lines(srs, file, buffer_text(&content));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (content.length > 0) {
        explicit_bzero(content.data, content.length);
    }
    buffer_free(&content);
}
