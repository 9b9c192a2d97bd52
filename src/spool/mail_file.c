/* SPDX-License-Identifier: MIT
 * Mail files: written once, renamed into place, read, status bytes overwritten. Called by spool*.c in the ledger. A
 * file that is not whole is reported by a false result and never trusted; nothing here ends the process. */
#include "spool/mail_file.h"
#include "base/file.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL /* no library to map in every process; XXH3_state_t on the stack */
#include <xxhash.h>

#define TRAILER_FORMAT "parcelpost-mail-1 message=%012llu headers=%012llu envelope=%012llu sums=%016llx %016llx\n"
#define TRAILER_LENGTH 121u
#define TRAILER_SIZE 160 /* with numbers longer than any that fits */
#define READ_CHUNK (256u * 1024)

struct trailer {
    struct cargo_lengths lengths;
    uint64_t content_sum, envelope_sum; /* of message and headers; of the envelope with 'Q' for each status byte */
};

static void file_path(const char *directory, const char *mail_id, char path[PATH_MAX]) {
    (void)snprintf(path, PATH_MAX, "%s/%s", directory, mail_id);
}

uint64_t mail_file_size(const struct cargo_lengths *lengths) {
    return cargo_total(lengths) + TRAILER_LENGTH;
}

/* ---- checksums and the last line ---- */

static uint64_t envelope_sum(struct text text, const struct envelope *envelope) {
    char *masked = memory_new(1, text.length + 1);
    memcpy(masked, text.data, text.length);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        if (envelope->recipients[i].status_offset < text.length) {
            masked[envelope->recipients[i].status_offset] = RECIPIENT_QUEUED;
        }
    }
    uint64_t sum = XXH3_64bits(masked, text.length);
    free(masked);
    return sum;
}

static bool content_sum(int fd, uint64_t length, uint64_t *sum) {
    XXH3_state_t state;
    char *bytes = memory_new(1, READ_CHUNK);
    bool good = true;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    for (uint64_t at = 0; good && at < length;) {
        size_t part = length - at < READ_CHUNK ? (size_t)(length - at) : READ_CHUNK;
        good = file_pread_all(fd, bytes, part, (off_t)at);
        XXH3_64bits_update(&state, bytes, part);
        at += part;
    }
    free(bytes);
    *sum = XXH3_64bits_digest(&state);
    return good;
}

static void trailer_format(const struct trailer *trailer, char line[TRAILER_SIZE]) {
    const struct cargo_lengths *lengths = &trailer->lengths;
    (void)snprintf(line, TRAILER_SIZE, TRAILER_FORMAT, (unsigned long long)lengths->message,
                   (unsigned long long)lengths->headers, (unsigned long long)lengths->envelope,
                   (unsigned long long)trailer->content_sum, (unsigned long long)trailer->envelope_sum);
}

static bool trailer_read(int fd, struct trailer *trailer) {
    char line[TRAILER_SIZE] = "", again[TRAILER_SIZE];
    unsigned long long message, headers, envelope, content, summary;
    int64_t size = file_size(fd);
    if (size < (int64_t)TRAILER_LENGTH ||
        !file_pread_all(fd, line, TRAILER_LENGTH, (off_t)(size - (int64_t)TRAILER_LENGTH)) ||
        sscanf(line, TRAILER_FORMAT, &message, &headers, &envelope, &content, &summary) != 5) {
        return false;
    }
    *trailer = (struct trailer){{message, headers, envelope}, content, summary};
    trailer_format(trailer, again);
    return strcmp(line, again) == 0 && mail_file_size(&trailer->lengths) == (uint64_t)size;
}

/* ---- reading ---- */

int mail_file_open(const struct mail_files *files, const char *mail_id, int flags, struct cargo_lengths *lengths) {
    char path[PATH_MAX];
    struct trailer trailer;
    file_path(files->mail, mail_id, path);
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && !trailer_read(fd, &trailer)) {
        (void)close(fd);
        errno = EBADMSG;
        return -1;
    }
    if (fd >= 0) {
        *lengths = trailer.lengths;
    }
    return fd;
}

bool mail_file_envelope(int fd, const struct cargo_lengths *lengths, struct envelope *envelope) {
    struct trailer trailer;
    if (lengths->envelope > ENVELOPE_TEXT_MAXIMUM || !trailer_read(fd, &trailer)) {
        envelope_init(envelope);
        return false;
    }
    char *bytes = memory_new(1, lengths->envelope + 1);
    struct text text = {bytes, lengths->envelope};
    bool read = file_pread_all(fd, bytes, text.length, (off_t)(lengths->message + lengths->headers));
    bool good = envelope_parse(text, envelope) && read && envelope_sum(text, envelope) == trailer.envelope_sum;
    free(bytes);
    if (!good) {
        envelope_free(envelope);
        envelope_init(envelope);
    }
    return good;
}

bool mail_file_verify(int fd, const struct cargo_lengths *lengths) {
    struct trailer trailer;
    uint64_t sum;
    return trailer_read(fd, &trailer) && content_sum(fd, lengths->message + lengths->headers, &sum) &&
           sum == trailer.content_sum;
}

/* ---- writing ---- */

int mail_file_new(const struct mail_files *files, const char *mail_id) {
    char path[PATH_MAX];
    file_path(files->temporary, mail_id, path);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void mail_file_drop_new(const struct mail_files *files, const char *mail_id) {
    char path[PATH_MAX];
    file_path(files->temporary, mail_id, path);
    (void)unlink(path);
}

static bool read_text(int fd, uint64_t offset, uint64_t length, char **bytes) {
    *bytes = memory_new(1, length + 1);
    return file_pread_all(fd, *bytes, length, (off_t)offset);
}

static bool append_trailer(int fd, const struct cargo_lengths *lengths, const struct envelope *envelope) {
    struct trailer trailer = {.lengths = *lengths};
    char line[TRAILER_SIZE];
    char *bytes;
    uint64_t content = lengths->message + lengths->headers;
    bool good = read_text(fd, content, lengths->envelope, &bytes) && content_sum(fd, content, &trailer.content_sum);
    trailer.envelope_sum = envelope_sum((struct text){bytes, lengths->envelope}, envelope);
    free(bytes);
    trailer_format(&trailer, line);
    return good && file_pwrite_all(fd, line, TRAILER_LENGTH, (off_t)cargo_total(lengths)) && fsync(fd) == 0;
}

bool mail_file_commit(const struct mail_files *files, const char *mail_id, int fd, const struct cargo_lengths *lengths,
                      const struct envelope *envelope) {
    char from[PATH_MAX], to[PATH_MAX];
    file_path(files->temporary, mail_id, from);
    file_path(files->mail, mail_id, to);
    if (file_size(fd) != (int64_t)cargo_total(lengths) || !append_trailer(fd, lengths, envelope) ||
        rename(from, to) != 0) {
        int reason = errno;
        (void)unlink(from);
        errno = reason;
        return false;
    }
    if (file_sync_directory(files->mail)) {
        return true;
    }
    int reason = errno;
    (void)unlink(to);
    errno = reason;
    return false;
}

bool mail_file_write(const struct mail_files *files, const char *mail_id, struct text cargo,
                     const struct cargo_lengths *lengths, const struct envelope *envelope) {
    mail_file_drop_new(files, mail_id);
    int fd = mail_file_new(files, mail_id);
    if (fd < 0) {
        return false;
    }
    bool good = file_write_all(fd, cargo.data, cargo.length);
    if (good) {
        good = mail_file_commit(files, mail_id, fd, lengths, envelope);
    } else {
        mail_file_drop_new(files, mail_id);
    }
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return good;
}

bool mail_file_set_status(const struct mail_files *files, const char *mail_id, const struct mail_status *statuses,
                          size_t count) {
    struct cargo_lengths lengths;
    struct envelope envelope;
    int fd = mail_file_open(files, mail_id, O_RDWR, &lengths);
    if (fd < 0) {
        return false;
    }
    bool good = mail_file_envelope(fd, &lengths, &envelope);
    for (size_t i = 0; good && i < count; i++) {
        char byte = (char)statuses[i].status;
        if (statuses[i].recipient < envelope.recipient_count) {
            uint32_t offset = envelope.recipients[statuses[i].recipient].status_offset;
            good = file_pwrite_all(fd, &byte, 1, (off_t)(lengths.message + lengths.headers + offset));
        }
    }
    good = good && fdatasync(fd) == 0;
    envelope_free(&envelope);
    (void)close(fd);
    return good;
}
