/* SPDX-License-Identifier: MIT
 * Commits, large messages' files, contents for the queue runner, results. Runs in the ledger. What receivers and runner
 * send is checked here and in spool/spool_mail.c; who sends nonsense is answered COMMIT_INVALID or closed. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/list.h"
#include "ledger/ledger_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENDINGS_MAXIMUM 65536
#define NOTICES_A_RESULT 8
#define ROOM_FOR_HEADERS (8u << 20) /* that a memfd may hold beside the message: added headers, envelope */

/* ---- queue/tmp ---- */

void mail_forget_file(struct ledger *ledger, struct ledger_peer *data) {
    if (data->file_id[0] != '\0') {
        spool_drop_file(ledger->spool, data->file_id);
        (void)close(data->file);
        data->file_id[0] = '\0';
    }
}

bool on_spool_open(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    struct ledger_peer *data = peer->data;
    struct text mail_id = message->values->spool_open.mail_id;
    char id[MAIL_ID_SIZE];
    int fd = -1;
    mail_forget_file(ledger, data); /* a receiver has one message at a time: it gave the former up */
    enum spool_outcome outcome =
        text_copy(id, sizeof id, mail_id) ? spool_new_file(ledger->spool, id, &fd) : SPOOL_INVALID;
    struct spool_file answer = {(uint32_t)(outcome == SPOOL_OK     ? COMMIT_OK
                                           : outcome == SPOOL_FULL ? COMMIT_FULL
                                                                   : COMMIT_FAILED)};
    if (outcome == SPOOL_INVALID) {
        answer.outcome = COMMIT_INVALID;
    }
    if (outcome == SPOOL_OK) {
        memcpy(data->file_id, id, sizeof data->file_id);
        data->file = fd;
    }
    service_answer(peer, SPOOL_FILE, message->serial, &answer, fd);
    return true;
}

/* ---- commits ---- */

static bool read_lengths(int64_t message, int64_t headers, int64_t envelope, struct cargo_lengths *lengths) {
    *lengths = (struct cargo_lengths){(uint64_t)message, (uint64_t)headers, (uint64_t)envelope};
    return message >= 0 && headers >= 0 && envelope > 0;
}

static enum spool_outcome commit_memory(struct ledger *ledger, struct spool_cargo *cargo, int fd, void *ticket) {
    int64_t size = fd < 0 ? -1 : file_size(fd);
    if (size <= 0 || !file_is_sealed(fd) || size > ledger->config->journal_max_message + (int64_t)ROOM_FOR_HEADERS) {
        return SPOOL_INVALID;
    }
    void *mapped = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) {
        log_error("a message cannot be mapped: %s", strerror(errno));
        return SPOOL_FAILED;
    }
    cargo->bytes = (struct text){mapped, (size_t)size};
    enum spool_outcome outcome = spool_add_mail(ledger->spool, cargo, ticket);
    (void)munmap(mapped, (size_t)size);
    return outcome;
}

static enum spool_outcome commit_file(struct ledger *ledger, struct spool_cargo *cargo, struct ledger_peer *data,
                                      void *ticket) {
    if (data->file_id[0] == '\0') {
        return SPOOL_INVALID;
    }
    cargo->fd = data->file;
    cargo->file_id = data->file_id;
    enum spool_outcome outcome = spool_add_mail(ledger->spool, cargo, ticket);
    mail_forget_file(ledger, data); /* renamed by now, or refused */
    return outcome;
}

static enum spool_outcome commit(struct ledger *ledger, struct service_peer *peer, struct channel_message *message,
                                 void *ticket) {
    const struct mail_commit *request = &message->values->mail_commit;
    struct spool_cargo cargo = {.fd = -1};
    if (!read_lengths(request->message_length, request->headers_length, request->envelope_length, &cargo.lengths)) {
        return SPOOL_INVALID;
    }
    switch ((enum cargo_place)request->place) {
    case CARGO_INLINE:
        cargo.bytes = request->cargo;
        return spool_add_mail(ledger->spool, &cargo, ticket);
    case CARGO_MEMFD:
        return commit_memory(ledger, &cargo, message->fd, ticket);
    case CARGO_SPOOL_FILE:
        return commit_file(ledger, &cargo, peer->data, ticket);
    }
    return SPOOL_INVALID;
}

bool on_mail_commit(void *context, struct service_peer *peer, struct channel_message *message) {
    void *ticket = round_ticket(peer, message->serial, MAIL_COMMITTED);
    enum spool_outcome outcome = commit(context, peer, message, ticket);
    if (outcome == SPOOL_INVALID) {
        log_error("receiver[%u] asked to commit what is no message", peer->pid);
    }
    if (outcome != SPOOL_OK) {
        round_refuse(ticket, outcome);
    }
    return true;
}

/* ---- contents ---- */

/* A sealed copy: never the segment itself. */
static int copy_to_memory(const struct spool_content *content) {
    int fd = file_memory("mail");
    if (file_write_all(fd, content->bytes, cargo_total(&content->lengths)) && file_seal(fd)) {
        return fd;
    }
    log_error("a message cannot be copied: %s", strerror(errno));
    (void)close(fd);
    return -1;
}

static enum content_found fetch(struct ledger *ledger, struct text mail_id, struct spool_content *content) {
    char id[MAIL_ID_SIZE];
    if (text_copy(id, sizeof id, mail_id) && !spool_has_waiting_rows(ledger->spool) &&
        spool_fetch(ledger->spool, id, content)) {
        return CONTENT_FOUND;
    }
    return spool_has_waiting_rows(ledger->spool) ? CONTENT_LATER : CONTENT_MISSING;
}

bool on_mail_fetch(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    struct mail_content answer = {.cargo = TEXT_NONE};
    struct spool_content content = {.fd = -1};
    answer.found = fetch(ledger, message->values->mail_fetch.mail_id, &content);
    if (answer.found == CONTENT_FOUND) {
        uint64_t total = cargo_total(&content.lengths);
        if (content.bytes != NULL && total <= CARGO_INLINE_MAXIMUM) {
            answer.cargo = (struct text){content.bytes, total};
        } else if (content.bytes != NULL) {
            content.fd = copy_to_memory(&content);
        }
        answer.found = answer.cargo.length > 0 || content.fd >= 0 ? CONTENT_FOUND : CONTENT_MISSING;
        answer.message_length = (int64_t)content.lengths.message;
        answer.headers_length = (int64_t)content.lengths.headers;
        answer.envelope_length = (int64_t)content.lengths.envelope;
    }
    service_answer(peer, MAIL_CONTENT, message->serial, &answer, content.fd);
    free(content.bytes);
    if (content.fd >= 0) {
        (void)close(content.fd);
    }
    return true;
}

/* ---- results ---- */

static bool read_endings(struct text list, struct spool_ending **endings, size_t *count) {
    static const enum spool_result results[] = {
        [RESULT_DELIVERED] = SPOOL_DELIVERED, [RESULT_DEFERRED] = SPOOL_DEFERRED, [RESULT_FAILED] = SPOOL_ENDED_FAILED};
    struct result_item item;
    size_t room = 0;
    bool bad = false;
    *endings = NULL;
    *count = 0;
    while (list_next_result(&list, &item, &bad)) {
        if (item.kind >= sizeof results / sizeof results[0] || *count >= ENDINGS_MAXIMUM ||
            (item.kind == RESULT_DEFERRED && item.retry_at <= 0)) {
            return false;
        }
        if (*count == room) {
            room = room ? room * 2 : 16;
            *endings = memory_resize(*endings, room, sizeof **endings);
        }
        (*endings)[(*count)++] = (struct spool_ending){item.recipient, results[item.kind], item.retry_at, item.reply,
                                                       .delay_told = item.delay_told != 0};
    }
    return !bad && *count > 0;
}

static bool read_notices(struct text list, struct spool_cargo notices[NOTICES_A_RESULT], size_t *count) {
    struct notice_item item;
    bool bad = false;
    *count = 0;
    while (list_next_notice(&list, &item, &bad)) {
        struct spool_cargo cargo = {.fd = -1, .bytes = item.cargo};
        if (*count == NOTICES_A_RESULT ||
            !read_lengths(item.message_length, item.headers_length, item.envelope_length, &cargo.lengths)) {
            return false;
        }
        notices[(*count)++] = cargo;
    }
    return !bad;
}

static enum spool_outcome record(struct ledger *ledger, const struct mail_result *request, void *ticket) {
    struct spool_cargo notices[NOTICES_A_RESULT];
    struct spool_ending *endings = NULL;
    char id[MAIL_ID_SIZE];
    struct spool_attempt attempt = {.mail_id = id,
                                    .route = request->route,
                                    .host = request->host,
                                    .address = request->address,
                                    .tls = request->tls,
                                    .started_at = request->started_at,
                                    .milliseconds = request->milliseconds,
                                    .tried = request->untried == 0,
                                    .notices = notices,
                                    .destination = {.answered = request->standing == DESTINATION_ANSWERED,
                                                    .failed = request->standing == DESTINATION_UNREACHABLE,
                                                    .name = request->destination,
                                                    .rests_until = request->rests_until,
                                                    .tls = request->tls_memory}};
    bool good = text_copy(id, sizeof id, request->mail_id) && mail_id_is_valid(text_of(id)) &&
                read_endings(request->results, &endings, &attempt.count) &&
                read_notices(request->notices, notices, &attempt.notice_count);
    attempt.endings = endings;
    enum spool_outcome outcome = good ? spool_add_attempt(ledger->spool, &attempt, ticket) : SPOOL_INVALID;
    free(endings);
    return outcome;
}

bool on_mail_result(void *context, struct service_peer *peer, struct channel_message *message) {
    void *ticket = round_ticket(peer, message->serial, MAIL_RECORDED);
    enum spool_outcome outcome = record(context, &message->values->mail_result, ticket);
    if (outcome == SPOOL_INVALID) {
        log_error("the queue runner reported what is no result");
    }
    if (outcome != SPOOL_OK) {
        round_refuse(ticket, outcome);
    }
    return true;
}
