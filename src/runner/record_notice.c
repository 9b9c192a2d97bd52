/* SPDX-License-Identifier: MIT
 * Deciding on a notice and gathering what goes into it. Called with a job's failures before its content is let go.
 * Never for the null sender, never for what is itself automatic, never for recipients whose NOTIFY does not ask. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include "runner/notice.h"
#include "runner/runner_private.h"
#include "store/users.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sender's domain is one of ours: by the configuration, or by a row somebody added to the table. */
static enum envelope_delivery delivery_to(struct runner *runner, const char *address) {
    const char *at = strrchr(address, '@');
    struct text domain = at != NULL ? text_of(at + 1) : TEXT_NONE;
    if (at == NULL) {
        return DELIVERY_LOCAL; /* <postmaster> */
    }
    for (size_t i = 0; i < runner->config->local_domains.count; i++) {
        if (text_equal_nocase(domain, text_of(runner->config->local_domains.items[i]))) {
            return DELIVERY_LOCAL;
        }
    }
    return users_local_domain(runner->database, domain) == USERS_YES ? DELIVERY_LOCAL : DELIVERY_REMOTE;
}

/* Who has logged in sends as himself (rule sender-login), perhaps in other letters than his mailbox is named with. */
static const char *target_of(struct runner *runner, const struct job *job, const char *sender,
                             enum envelope_delivery delivery) {
    if (delivery == DELIVERY_LOCAL && strchr(sender, '@') == NULL) {
        return runner->config->postmaster; /* <postmaster> */
    }
    return delivery == DELIVERY_LOCAL && job->envelope.account[0] != '\0' ? job->envelope.account : NULL;
}

/* The original's header section: ours on top, then as much of the message as a notice may quote. */
static void read_original(const struct job *job, struct buffer *section) {
    size_t added = job->headers_length < (int64_t)NOTICE_HEADERS_MAXIMUM ? (size_t)job->headers_length : 0;
    size_t own =
        job->message_length < (int64_t)NOTICE_HEADERS_MAXIMUM ? (size_t)job->message_length : NOTICE_HEADERS_MAXIMUM;
    if (!job->has_content) {
        return;
    }
    if (job->fd < 0) {
        buffer_append(section, job->cargo.data + job->message_length, added);
        buffer_append(section, job->cargo.data, own);
    } else {
        char *room = buffer_reserve(section, added + own);
        if (room == NULL || !file_pread_all(job->fd, room, added, job->offset + job->message_length) ||
            !file_pread_all(job->fd, room + added, own, job->offset)) {
            return;
        }
        buffer_advance(section, added + own);
    }
    section->length = header_section_length(buffer_text(section));
}

static size_t gather(const struct job *job, const struct record_failure *failures, size_t count,
                     struct notice_failure *told) {
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        const struct parcel *parcel = failures[i].parcel;
        const struct envelope_recipient *recipient =
            job->has_content ? &job->envelope.recipients[parcel->recipient] : NULL;
        if (recipient != NULL && !notice_is_wanted(recipient->notify)) {
            continue;
        }
        told[wanted++] = (struct notice_failure){
            .to_url = recipient != NULL ? recipient->to_url : parcel->target,
            .target = parcel->target,
            .orcpt = recipient != NULL ? recipient->orcpt : "",
            .reply = failures[i].reply,
        };
    }
    return wanted;
}

/* One id for one set of failures: a recipient fails once in its life, so the first of them names the notice, and
 * repeating the step makes the same one. */
static void make_id(struct runner *runner, const struct job *job, const struct parcel *first, char id[MAIL_ID_SIZE]) {
    char kind[32];
    snprintf(kind, sizeof kind, "failed %u", first->recipient);
    mail_id_derive(job->mail_id, first->attempts, kind, (unsigned)runner->config->mail_id_base, id);
}

static bool add_notice(struct job *job, const struct buffer *cargo, const struct notice_lengths *lengths) {
    const struct notice_item item = {.message_length = (int64_t)lengths->message,
                                     .headers_length = (int64_t)lengths->headers,
                                     .envelope_length = (int64_t)lengths->envelope,
                                     .cargo = buffer_text(cargo)};
    return list_add_notice(&job->notices, &item);
}

static void build(struct runner *runner, struct job *job, const struct parcel *first, struct notice_failure *told,
                  size_t count) {
    struct buffer section, cargo;
    struct notice_lengths lengths;
    struct notice notice = {
        .server_name = runner->config->server_name,
        .server_title = runner->config->server_title,
        .postmaster = runner->config->postmaster,
        .mail_id = job->mail_id,
        .sender = first->from_url,
        .envid = job->envelope.envid,
        .message_id = job->envelope.message_id,
        .host = job->host,
        .delivery = delivery_to(runner, first->from_url),
        .arrived_at = first->received_at,
        .now = (int64_t)time(NULL),
        .failures = told,
        .count = count,
    };
    notice.target = target_of(runner, job, first->from_url, notice.delivery);
    make_id(runner, job, first, notice.id);
    buffer_init(&section, 2 * NOTICE_HEADERS_MAXIMUM);
    read_original(job, &section);
    notice.original = buffer_text(&section);
    buffer_init(&cargo, CARGO_INLINE_MAXIMUM);
    if (notice_build(&notice, &cargo, &lengths) && add_notice(job, &cargo, &lengths)) {
        log_info("%s: notice %s to <%s> about %zu recipients", job->mail_id, notice.id, notice.sender, count);
    } else {
        log_error("%s: the notice to <%s> could not be built", job->mail_id, notice.sender);
    }
    buffer_free(&section);
    buffer_free(&cargo);
}

void record_notice(struct runner *runner, struct job *job, const struct record_failure *failures, size_t count) {
    if (count == 0) {
        return;
    }
    const struct parcel *first = failures[0].parcel;
    if (first->from_url[0] == '\0' || first->auto_generated != 0 || job->envelope.auto_generated != 0) {
        log_info("%s: %zu recipients failed; no notice to %s", job->mail_id, count,
                 first->from_url[0] == '\0' ? "the null sender" : "an automatic sender");
        return;
    }
    struct notice_failure *told = memory_new(count, sizeof *told);
    size_t wanted = gather(job, failures, count, told);
    if (wanted > 0) {
        build(runner, job, first, told, wanted);
    }
    free(told);
}
