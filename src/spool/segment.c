/* SPDX-License-Identifier: MIT
 * A segment's file: making, scanning, reading. Called by journal.c in the ledger, segment_create by its helper thread
 * too. A scan ends at the first record that is bad or bears another number: what follows never happened. */
#include "spool/segment.h"
#include "base/file.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILL_CHUNK (256u * 1024)

static bool fill_with_zeros(int fd, uint64_t size) {
    char *zeros = memory_new(1, FILL_CHUNK);
    bool good = true;
    for (uint64_t at = 0; good && at < size; at += FILL_CHUNK) {
        uint64_t left = size - at;
        good = file_pwrite_all(fd, zeros, left < FILL_CHUNK ? left : FILL_CHUNK, (off_t)at);
    }
    free(zeros);
    return good;
}

int segment_create(const char *path, uint64_t size) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -1;
    }
    if (fill_with_zeros(fd, size) && fsync(fd) == 0) {
        return fd;
    }
    int reason = errno;
    (void)unlink(path);
    (void)close(fd);
    errno = reason;
    return -1;
}

void segment_name(uint64_t number, char name[NAME_MAX + 1]) {
    (void)snprintf(name, NAME_MAX + 1, "%06llu", (unsigned long long)number);
}

bool segment_number(const char *name, uint64_t *number) {
    char again[NAME_MAX + 1];
    if (!text_number(text_of(name), UINT64_MAX / 2, number)) {
        return false;
    }
    segment_name(*number, again);
    return strcmp(name, again) == 0;
}

static bool read_record(const struct segment *segment, uint64_t salt, uint64_t offset, struct record_header *header,
                        char **payload) {
    unsigned char bytes[RECORD_HEADER_SIZE];
    *payload = NULL;
    if (offset > segment->size || segment->size - offset < RECORD_HEADER_SIZE ||
        !file_pread_all(segment->fd, bytes, sizeof bytes, (off_t)offset) || !record_header_parse(bytes, header) ||
        header->segment != segment->number || header->length > segment->size - offset - RECORD_HEADER_SIZE) {
        return false;
    }
    *payload = memory_new(1, header->length + 1);
    if (file_pread_all(segment->fd, *payload, header->length, (off_t)(offset + RECORD_HEADER_SIZE)) &&
        record_checksum_matches(bytes, header, salt, (struct text){*payload, header->length})) {
        return true;
    }
    free(*payload);
    *payload = NULL;
    return false;
}

bool segment_learn(struct segment *segment) {
    struct record_header header;
    char *payload;
    segment->opened = false;
    if (read_record(segment, 0, 0, &header, &payload)) {
        segment->opened =
            header.type == RECORD_OPEN && record_open_parse((struct text){payload, header.length}, &segment->salt);
        free(payload);
    }
    return segment->opened;
}

bool segment_read(const struct segment *segment, uint64_t offset, struct record_header *header, char **payload) {
    *payload = NULL;
    return segment->opened && read_record(segment, segment->salt, offset, header, payload);
}

uint64_t segment_scan(const struct segment *segment, uint64_t offset, uint64_t limit, segment_visit *visit,
                      void *context) {
    struct record_header header;
    char *payload;
    if (offset < record_room(RECORD_OPEN_LENGTH)) {
        offset = record_room(RECORD_OPEN_LENGTH);
    }
    while (offset < limit && segment_read(segment, offset, &header, &payload)) {
        struct journal_place place = {segment->number, offset};
        bool go_on = visit(context, &header, place, (struct text){payload, header.length});
        free(payload);
        offset += record_room(header.length);
        if (!go_on) {
            break;
        }
    }
    return offset;
}
