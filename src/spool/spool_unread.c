/* SPDX-License-Identifier: MIT
 * What a server that was killed has answered and left no rows of: counted for operators' programs while none runs,
 * under the caller's rights. Reads alone, and changes nothing: who may not see the journal is told of nothing. */
#include "base/file.h"
#include "spool/segment.h"
#include "spool/spool.h"
#include "store/mails.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct unread {
    struct database *database;
    unsigned mails;
};

static bool count_mail(void *context, const struct record_header *header, struct journal_place place,
                       struct text payload) {
    struct unread *unread = context;
    struct record_mail mail;
    struct text cargo;
    enum place_kind kind;
    struct journal_place known;
    (void)place;
    if (header->type == RECORD_MAIL && record_mail_parse(payload, &mail, &cargo) &&
        mails_place(unread->database, mail.mail_id, &kind, &known) == PARCELS_NO) {
        unread->mails++;
    }
    return true;
}

static void scan(struct unread *unread, const char *path, uint64_t number, uint64_t from) {
    struct segment segment = {.number = number, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    int64_t size = segment.fd < 0 ? -1 : file_size(segment.fd);
    segment.size = size > 0 ? (uint64_t)size : 0;
    if (segment.size > RECORD_HEADER_SIZE && segment_learn(&segment)) {
        (void)segment_scan(&segment, from, segment.size, count_mail, unread);
    }
    if (segment.fd >= 0) {
        (void)close(segment.fd);
    }
}

unsigned spool_count_unread(const char *queue, struct database *database) {
    struct unread unread = {.database = database};
    struct journal_place from;
    char path[PATH_MAX];
    uint64_t number;
    int length = snprintf(path, sizeof path, "%s/journal", queue);
    DIR *directory = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;
    if (directory == NULL) {
        return 0;
    }
    bool known = position_read(database, &from);
    for (const struct dirent *entry; known && (entry = readdir(directory)) != NULL;) {
        int whole = snprintf(path, sizeof path, "%s/journal/%s", queue, entry->d_name);
        if (segment_number(entry->d_name, &number) && number >= from.segment && whole > 0 &&
            (size_t)whole < sizeof path) {
            scan(&unread, path, number, number == from.segment ? from.offset : 0);
        }
    }
    (void)closedir(directory);
    return unread.mails;
}
