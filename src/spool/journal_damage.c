/* SPDX-License-Identifier: MIT
 * What a start does about records that the disk has damaged. Called by journal.c in the ledger. A scan that meets a bad
 * record goes on behind it when a later record says that all before it had been flushed: then it is damage, and no
 * batch that never happened. What cannot be read is kept in a file of its own, and the operator is told; nothing here
 * fails a start. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "spool/journal_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (64u * 1024)
#define BLOCK 4096u /* what a disk that cannot read a sector keeps back */
#define NOWHERE UINT64_MAX
#define CHECKS_MAXIMUM                                                                                                 \
    4u /* sizes of the segment: mail may be full of what looks like a record, until it is checked                      \
        */
#define FRONT (RECORD_HEADER_SIZE + RECORD_OPEN_LENGTH)

struct search {
    const struct segment *segment;
    uint64_t end;    /* the search's */
    uint64_t budget; /* bytes that may be checked */
    char *chunk;
};

/* Zeros for what the disk cannot give. */
static void read_what_can_be(const struct segment *segment, char *bytes, size_t length, uint64_t at) {
    if (file_pread_all(segment->fd, bytes, length, (off_t)at)) {
        return;
    }
    for (size_t done = 0, part; done < length; done += part) {
        part = BLOCK - (at + done) % BLOCK;
        part = part < length - done ? part : length - done;
        if (!file_pread_all(segment->fd, bytes + done, part, (off_t)(at + done))) {
            memset(bytes + done, 0, part);
        }
    }
}

static bool is_record(struct search *search, uint64_t at, const char *bytes, size_t length,
                      struct record_header *header) {
    unsigned char start[RECORD_HEADER_SIZE] = {0};
    char *payload = NULL;
    memcpy(start, bytes, length < sizeof start ? length : sizeof start);
    if (length >= sizeof start && (!record_header_parse(start, header) || header->segment != search->segment->number)) {
        return false;
    }
    uint64_t cost = header->length < search->segment->size ? header->length + sizeof start : sizeof start;
    if (cost > search->budget) {
        search->budget = 0;
        return false;
    }
    search->budget -= cost;
    bool good = segment_read(search->segment, at, header, &payload);
    free(payload);
    return good;
}

/* The first whole record at or behind a place; records begin at multiples of RECORD_ALIGNMENT. */
static uint64_t find_record(struct search *search, uint64_t at, struct record_header *header) {
    static const char magic[] = {'P', 'P', 'J', 'R'};
    for (; at < search->end && search->end - at > RECORD_HEADER_SIZE && search->budget > 0; at += CHUNK) {
        size_t length = search->end - at < CHUNK ? (size_t)(search->end - at) : CHUNK;
        read_what_can_be(search->segment, search->chunk, length, at);
        for (size_t i = 0; i + sizeof magic <= length; i += RECORD_ALIGNMENT) {
            *header = (struct record_header){.length = 0};
            if (memcmp(search->chunk + i, magic, sizeof magic) == 0 &&
                is_record(search, at + i, search->chunk + i, length - i, header)) {
                return at + i;
            }
        }
    }
    return NOWHERE;
}

/* Where the records go on: NOWHERE unless one of them says that what is damaged had been flushed. */
static uint64_t find_end_of_damage(const struct segment *segment, uint64_t at, uint64_t end) {
    struct record_header header;
    struct search search = {
        .segment = segment, .end = end, .budget = CHECKS_MAXIMUM * segment->size, .chunk = memory_new(1, CHUNK)};
    uint64_t first = find_record(&search, at, &header), next = first;
    while (next != NOWHERE && !header.begins_batch) {
        next = find_record(&search, next + record_room(header.length), &header);
    }
    free(search.chunk);
    return next != NOWHERE ? first : NOWHERE;
}

/* "" when the damage does not begin with a mail whose id can be read. */
static const char *mail_of(const struct segment *segment, uint64_t at, char id[MAIL_ID_SIZE]) {
    unsigned char start[RECORD_HEADER_SIZE + MAIL_ID_SIZE - 1];
    struct text bytes = {(const char *)start + RECORD_HEADER_SIZE, MAIL_ID_SIZE - 1};
    return at + sizeof start <= segment->size && file_pread_all(segment->fd, start, sizeof start, (off_t)at) &&
                   mail_id_is_valid(bytes) && text_copy(id, MAIL_ID_SIZE, bytes)
               ? id
               : "";
}

static bool copy(const struct segment *segment, uint64_t from, uint64_t to, const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    char *bytes = memory_new(1, CHUNK);
    bool good = fd >= 0;
    for (uint64_t at = from; good && at < to; at += CHUNK) {
        size_t length = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        read_what_can_be(segment, bytes, length, at);
        good = file_write_all(fd, bytes, length);
    }
    good = good && fsync(fd) == 0;
    free(bytes);
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

static void kept_path(const struct journal *journal, const struct segment *segment, uint64_t at, char path[PATH_MAX]) {
    char name[NAME_MAX + 1], kept[NAME_MAX + 1];
    segment_name(segment->number, name);
    (void)snprintf(kept, sizeof kept, "%.200s-%llu.damaged", name, (unsigned long long)at);
    journal_space_path(journal, kept, path);
}

static void keep(const struct journal *journal, const struct segment *segment, uint64_t from, uint64_t to,
                 const char *what) {
    char path[PATH_MAX], id[MAIL_ID_SIZE];
    const char *mail = mail_of(segment, from, id);
    kept_path(journal, segment, from, path);
    bool kept = copy(segment, from, to, path);
    log_error("journal segment %llu, bytes %llu to %llu%s%s: %s; %s %s%s%s", (unsigned long long)segment->number,
              (unsigned long long)from, (unsigned long long)to, mail[0] != '\0' ? ", mail " : "", mail, what,
              kept ? "they are kept in" : "they cannot be kept in", path, kept ? "" : ": ",
              kept ? "" : strerror(errno));
}

uint64_t journal_damage_pass(const struct journal *journal, const struct segment *segment, uint64_t at, uint64_t end) {
    unsigned char start[RECORD_HEADER_SIZE];
    struct record_header header;
    char *payload = NULL;
    end = end < segment->size ? end : segment->size;
    if (!segment->opened || at >= end || end - at < sizeof start || segment_read(segment, at, &header, &payload)) {
        free(payload);
        return at;
    }
    uint64_t next = find_end_of_damage(segment, at, end);
    if (next != NOWHERE) {
        keep(journal, segment, at, next,
             "damaged, and what had its 250 in them is lost but for what can be read there");
        return next;
    }
    if (!file_pread_all(segment->fd, start, sizeof start, (off_t)at)) {
        keep(journal, segment, at, end, "cannot be read, and what had its 250 in them is lost but for what can be");
    } else if (record_header_parse(start, &header) && header.segment == segment->number) {
        uint64_t room = header.length < end - at ? record_room(header.length) : end - at;
        keep(journal, segment, at, room < end - at ? at + room : end,
             "the last record is not whole: nobody had a 250 for it, unless the disk has damaged it");
    }
    return at;
}

bool journal_damage_front(const struct journal *journal, const struct segment *segment, const char *path) {
    unsigned char front[FRONT];
    struct record_header header;
    static const unsigned char zeros[FRONT];
    char kept[PATH_MAX];
    uint64_t salt;
    bool read = segment->size >= FRONT && file_pread_all(segment->fd, front, sizeof front, 0);
    if (segment->size < FRONT || (read && memcmp(front, zeros, sizeof front) == 0)) {
        return false; /* fresh */
    }
    const struct text payload = {(const char *)front + RECORD_HEADER_SIZE, RECORD_OPEN_LENGTH};
    if (read && record_header_parse(front, &header) && header.segment != segment->number &&
        record_checksum_matches(front, &header, 0, payload) && record_open_parse(payload, &salt)) {
        return false; /* its former life, renamed and not yet written to */
    }
    kept_path(journal, segment, 0, kept);
    log_error("journal segment %llu: its beginning is damaged, and what had its 250 in it is lost but for what can be "
              "read in it; it is kept as %s",
              (unsigned long long)segment->number, kept);
    return rename(path, kept) == 0;
}
