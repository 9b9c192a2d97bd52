/* SPDX-License-Identifier: MIT
 * Reading a mail from wherever it lies. Called by the ledger for the queue runner. The status bytes in what is handed
 * out agree with the rows: people edit those by hand, and the rows are what holds while the ledger runs. */
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

bool spool_waiting(struct spool *spool, const char *mail_id, struct spool_recipient **recipients, size_t *count) {
    struct mail_status *statuses;
    size_t all;
    bool good = parcels_statuses(spool->database, mail_id, &statuses, &all);
    *recipients = memory_new(all + 1, sizeof **recipients);
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        if (!parcels_status_is_final(statuses[i].status)) {
            (*recipients)[(*count)++] =
                (struct spool_recipient){statuses[i].recipient, statuses[i].status == RECIPIENT_HELD};
        }
    }
    free(statuses);
    return good;
}

/* Only the status bytes are looked for: a list's mail has thousands of recipients, and is fetched for each domain. The
 * text was written by envelope_format and has its checksum. statuses are in the order of recipients. */
static void align_bytes(const struct mail_status *statuses, size_t count, const struct cargo_lengths *lengths,
                        char *cargo) {
    char *text = cargo + lengths->message + lengths->headers;
    struct text rest = {text, lengths->envelope};
    uint32_t recipient = 0;
    size_t next = 0;
    while (rest.length > 0 && next < count) {
        size_t length = text_find(rest, '\n');
        if (length > 1 && rest.data[1] == '\t') {
            for (; next < count && statuses[next].recipient <= recipient; next++) {
                if (statuses[next].recipient == recipient) {
                    text[rest.data - text] = (char)statuses[next].status;
                }
            }
            recipient++;
        }
        rest = text_from(rest, length + 1);
    }
}

static bool align_file(struct spool *spool, const char *mail_id, const struct mail_status *statuses, size_t count,
                       const struct spool_content *content) {
    struct envelope envelope;
    bool differs = false;
    bool good = mail_file_envelope(content->fd, &content->lengths, &envelope);
    for (size_t i = 0; good && i < count; i++) {
        differs = differs || (statuses[i].recipient < envelope.recipient_count &&
                              envelope.recipients[statuses[i].recipient].status != statuses[i].status);
    }
    envelope_free(&envelope);
    return good && (!differs || mail_file_set_status(&spool->files, mail_id, statuses, count));
}

/* The clock of a file system ticks every few milliseconds: what changed just now may change again unseen. */
static bool is_settled(const struct timespec *changed) {
    return changed->tv_sec + 1 < time(NULL);
}

/* A large file that has left the page cache takes as long to read as many commits take: each is read whole once, and
 * again when it has changed. */
static bool verify_once(struct spool *spool, const char *mail_id, const struct spool_content *content) {
    struct verified *place = &spool->verified[XXH3_64bits(mail_id, strlen(mail_id)) % VERIFIED_PLACES];
    struct stat status;
    bool known = fstat(content->fd, &status) == 0;
    if (known && strcmp(place->mail_id, mail_id) == 0 && place->changed.tv_sec == status.st_ctim.tv_sec &&
        place->changed.tv_nsec == status.st_ctim.tv_nsec) {
        return true;
    }
    if (!mail_file_verify(content->fd, &content->lengths)) {
        return false;
    }
    if (known && is_settled(&status.st_ctim) && text_copy(place->mail_id, MAIL_ID_SIZE, text_of(mail_id))) {
        place->changed = status.st_ctim;
    }
    return true;
}

static bool fetch_file(struct spool *spool, const char *mail_id, const struct mail_status *statuses, size_t count,
                       struct spool_content *content) {
    content->fd = mail_file_open(&spool->files, mail_id, O_RDONLY, &content->lengths);
    if (content->fd >= 0 &&
        (!verify_once(spool, mail_id, content) || !align_file(spool, mail_id, statuses, count, content))) {
        (void)close(content->fd);
        content->fd = -1;
        errno = EBADMSG;
    }
    if (content->fd < 0) {
        log_error("%s: cannot be read from the spool: %s", mail_id, strerror(errno));
    }
    return content->fd >= 0;
}

bool spool_fetch(struct spool *spool, const char *mail_id, struct spool_content *content) {
    enum place_kind kind;
    struct journal_place place;
    struct mail_status *statuses;
    size_t count;
    *content = (struct spool_content){.fd = -1};
    const struct piece *fresh = spool_find_flushed(spool, mail_id);
    if (fresh != NULL && fresh->place_kind == PLACE_JOURNAL) { /* as it came: what changes it settles its rows first */
        return journal_read_mail(spool->journal, fresh->place, mail_id, &content->lengths, &content->bytes);
    }
    if (fresh != NULL) {
        spool_settle(spool);
    }
    if (mails_place(spool->database, mail_id, &kind, &place) != PARCELS_YES || kind == PLACE_GONE) {
        return false;
    }
    bool good = parcels_statuses(spool->database, mail_id, &statuses, &count);
    if (good && kind == PLACE_JOURNAL &&
        journal_read_mail(spool->journal, place, mail_id, &content->lengths, &content->bytes)) {
        align_bytes(statuses, count, &content->lengths, content->bytes);
    } else if (good) {
        good = fetch_file(spool, mail_id, statuses, count, content);
    }
    free(statuses);
    return good;
}
