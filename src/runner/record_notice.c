/* SPDX-License-Identifier: MIT
 * Deciding on notices and gathering what goes into them. Called with a job's outcomes before its content is let go.
 * Never for the null sender (RFC 5321 4.5.5), never for recipients whose NOTIFY does not ask. Mail that says it is
 * automatic is answered with failures all the same, as RFC 3834 2 leaves it to RFC 3464: cron's must reach their
 * owner, and what could loop comes from <>. Of a delay it is not told. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include "runner/asked.h"
#include "runner/notice.h"
#include "runner/notice_route.h"
#include "runner/runner_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAXIMUM 8    /* notices of one result */
#define COPY_RECIPIENTS 20u /* that the postmaster's copy tells of */
#define ITEM_OVERHEAD 64    /* of a notice in the list */
#define LONG_NAMES 7000     /* what the longest names, addresses and targets take more than usual ones */

struct group { /* outcomes that make one notice */
    enum notice_kind kind;
    bool copy;
    const char *addressee;
    const struct parcel *first;
    struct notice_recipient *recipients;
    size_t count;
};
struct plan {
    struct runner *runner;
    struct job *job;
    struct group groups[GROUPS_MAXIMUM];
    size_t count;
};

static const char *const kind_names[NOTICE_KINDS] = {
    [NOTICE_FAILED] = "failed",       [NOTICE_DELAYED] = "delayed", [NOTICE_EXPANDED] = "expanded",
    [NOTICE_DELIVERED] = "delivered", [NOTICE_RELAYED] = "relayed",
};

/* ---- who is told what ---- */

bool record_is_late(const struct runner *runner, const struct parcel *parcel) {
    long warning = parcel_pace(runner, parcel).delay_warning;
    return warning > 0 && parcel->delayed_at == 0 && parcel->auto_generated == 0 &&
           (int64_t)time(NULL) - parcel_received(parcel) >= warning;
}

/* Content that cannot be read leaves us without the envelope: then nothing is known of what was asked. */
static bool is_asked(const struct job *job, const struct parcel *parcel, enum dsn_notify kind) {
    return job->has_content ? asked_wants(&job->envelope, parcel->recipient, kind) : kind != DSN_SUCCESS;
}

/* Told once, with the first attempt for the first of the recipients that one RCPT became. */
static bool is_expansion(const struct job *job, const struct parcel *parcel) {
    return job->has_content && !job->untried && parcel->attempts == 0 &&
           asked_wants_expansion(&job->envelope, parcel->recipient);
}

static bool is_list(const struct job *job, const struct parcel *parcel) {
    return job->has_content && envelope_has_owner(&job->envelope.recipients[parcel->recipient]);
}

static bool is_wanted(const struct plan *plan, const struct record_outcome *outcome, enum notice_kind kind) {
    const struct job *job = plan->job;
    const struct parcel *parcel = outcome->parcel;
    bool success = outcome->item.kind == RESULT_DELIVERED && is_asked(job, parcel, DSN_SUCCESS);
    switch (kind) {
    case NOTICE_FAILED:
        return outcome->item.kind == RESULT_FAILED && is_asked(job, parcel, DSN_FAILURE);
    case NOTICE_DELAYED:
        return outcome->item.kind == RESULT_DEFERRED && record_is_late(plan->runner, parcel) &&
               is_asked(job, parcel, DSN_DELAY);
    case NOTICE_EXPANDED:
        return is_expansion(job, parcel) && !is_list(job, parcel);
    case NOTICE_DELIVERED: /* a list is where a message to it is delivered (RFC 3464 2.3.3) */
        return (is_expansion(job, parcel) && is_list(job, parcel)) || (success && outcome->item.onward == ONWARD_FINAL);
    case NOTICE_RELAYED:
        return success && outcome->item.onward == ONWARD_BLIND;
    case NOTICE_KINDS:
        break;
    }
    return false;
}

static const char *addressee_of(const struct job *job, const struct parcel *parcel, enum notice_kind kind) {
    if (!job->has_content) {
        return parcel->from_url;
    }
    return kind <= NOTICE_DELAYED ? asked_addressee(&job->envelope, parcel->recipient) : job->envelope.from_url;
}

/* ---- grouping ---- */

static struct group *group_for(struct plan *plan, enum notice_kind kind, const char *addressee,
                               const struct parcel *first) {
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->groups[i].kind == kind && strcmp(plan->groups[i].addressee, addressee) == 0) {
            return &plan->groups[i];
        }
    }
    if (plan->count == GROUPS_MAXIMUM) {
        log_error("%s: too many notices at once: <%s> is not told what %s", plan->job->mail_id, addressee,
                  kind_names[kind]);
        return NULL;
    }
    struct group *group = &plan->groups[plan->count++];
    *group = (struct group){.kind = kind, .addressee = addressee, .first = first};
    group->recipients = memory_new(plan->job->count, sizeof *group->recipients);
    return group;
}

static struct notice_recipient tell(const struct job *job, const struct record_outcome *outcome,
                                    enum notice_kind kind) {
    const struct parcel *parcel = outcome->parcel;
    struct notice_recipient told = {.to_url = parcel->target, .target = parcel->target, .orcpt = ""};
    if (job->has_content) {
        const struct envelope_recipient *recipient = &job->envelope.recipients[parcel->recipient];
        told.to_url = recipient->to_url;
        told.orcpt = kind <= NOTICE_DELAYED && is_list(job, parcel) ? "" : recipient->orcpt;
    }
    if (kind > NOTICE_DELAYED && is_expansion(job, parcel)) {
        told.target = told.to_url;
        told.reply = TEXT_NONE;
        return told;
    }
    told.reply = outcome->said;
    told.from_server = outcome->item.from_server != 0;
    told.expired = outcome->expired;
    return told;
}

static void add_outcome(struct plan *plan, struct record_outcome *outcome, enum notice_kind kind) {
    const char *addressee = addressee_of(plan->job, outcome->parcel, kind);
    if (addressee[0] == '\0') {
        if (kind == NOTICE_FAILED) {
            log_info("%s: failed for %s; no notice to the null sender", plan->job->mail_id, outcome->parcel->target);
        }
        return;
    }
    struct group *group = group_for(plan, kind, addressee, outcome->parcel);
    if (group != NULL) {
        group->recipients[group->count++] = tell(plan->job, outcome, kind);
        outcome->item.delay_told = kind == NOTICE_DELAYED || outcome->item.delay_told != 0;
    }
}

/* Of what others are told, but not of what the postmaster is told already. */
static void add_copies(struct plan *plan) {
    const char *postmaster = plan->runner->config->postmaster;
    size_t failed = plan->count; /* groups of failures come first; copies behind all others */
    for (size_t i = 0; i < failed && plan->count < GROUPS_MAXIMUM; i++) {
        struct group copy = plan->groups[i];
        if (copy.kind == NOTICE_FAILED && !text_equal_nocase(text_of(copy.addressee), text_of(postmaster))) {
            copy.copy = true;
            copy.count = copy.count < COPY_RECIPIENTS ? copy.count : COPY_RECIPIENTS;
            copy.recipients = memory_new(copy.count, sizeof *copy.recipients);
            memcpy(copy.recipients, plan->groups[i].recipients, copy.count * sizeof *copy.recipients);
            plan->groups[plan->count++] = copy;
        }
    }
}

/* ---- where it goes ---- */

/* What the receiver found out. Without that, who has logged in sends as himself (rule sender-login),
 * perhaps in other letters than his mailbox is named with. */
static void find_targets(struct runner *runner, const struct job *job, const struct group *group,
                         struct buffer *targets) {
    const struct envelope *envelope = &job->envelope;
    bool is_sender = !group->copy && strcmp(group->addressee, envelope->from_url) == 0;
    if (is_sender && envelope->sender_targets[0] != '\0') {
        (void)buffer_append_string(targets, envelope->sender_targets);
        return;
    }
    const char *owner = group->copy ? runner->config->postmaster : group->addressee;
    if (notice_route_of_owner(text_of(envelope->owner_targets), owner, targets)) {
        return;
    }
    notice_route(runner->config, runner->database, owner, targets);
    const char *only = buffer_string(targets);
    if (is_sender && envelope->account[0] != '\0' && strncmp(only, "local:", 6) == 0 &&
        text_equal_nocase(text_of(only + 6), text_of(group->addressee))) {
        buffer_clear(targets);
        (void)buffer_format(targets, "local:%s", envelope->account);
    }
}

/* ---- what it returns ---- */

/* `length` bytes of the message behind the headers that we put on top of it, of which there are `added`. */
static bool read_message(const struct job *job, size_t added, size_t length, struct buffer *out) {
    if (job->fd < 0) {
        return buffer_append(out, job->cargo.data + job->message_length, added) &&
               buffer_append(out, job->cargo.data, length);
    }
    char *room = buffer_reserve(out, added + length);
    if (room == NULL || !file_pread_all(job->fd, room, added, job->offset + job->message_length) ||
        !file_pread_all(job->fd, room + added, length, job->offset)) {
        return false;
    }
    buffer_advance(out, added + length);
    return true;
}

bool record_read_header(const struct job *job, struct buffer *section) {
    int64_t most = (int64_t)section->maximum;
    if (!job->has_content ||
        !read_message(job, 0, (size_t)(job->message_length < most ? job->message_length : most), section)) {
        return false;
    }
    section->length = header_section_length(buffer_text(section));
    return true;
}

/* RFC 3461 4.3: the whole message only with a failure, when that was asked, and when it is small; never what a notice's
 * 8-bit part cannot hold, nor what asked for TLS all the way (RFC 8689 5). */
static bool returns_all(const struct plan *plan, const struct group *group) {
    const struct job *job = plan->job;
    return group->kind == NOTICE_FAILED && !group->copy && strcmp(job->envelope.ret, "FULL") == 0 &&
           strcmp(group->addressee, job->envelope.from_url) == 0 && job->envelope.body != BODY_BINARYMIME &&
           job->envelope.requiretls == 0 &&
           job->headers_length + job->message_length <= plan->runner->config->notice_return_maximum;
}

static void read_original(const struct plan *plan, const struct group *group, struct notice *notice,
                          struct buffer *original) {
    const struct job *job = plan->job;
    const int64_t most = NOTICE_HEADERS_MAXIMUM;
    notice->whole = returns_all(plan, group);
    if (notice->whole) {
        (void)read_message(job, (size_t)job->headers_length, (size_t)job->message_length, original);
    } else if (job->has_content) {
        (void)read_message(job, job->headers_length < most ? (size_t)job->headers_length : 0,
                           (size_t)(job->message_length < most ? job->message_length : most), original);
        original->length = header_section_length(buffer_text(original));
    }
    notice->original = buffer_text(original);
}

/* ---- the notice ---- */

/* One id for one set of outcomes: a recipient fails once in its life, so the first of them names the notice, and
 * repeating the step makes the same one. It is told of a delay once, whatever the attempt. */
static void make_id(const struct plan *plan, const struct group *group, char id[MAIL_ID_SIZE]) {
    char kind[40];
    snprintf(kind, sizeof kind, "%s%s %u", group->copy ? "copy " : "", kind_names[group->kind],
             group->first->recipient);
    mail_id_derive(plan->job->mail_id, group->kind == NOTICE_DELAYED ? 0 : group->first->attempts, kind,
                   (unsigned)plan->runner->config->mail_id_base, id);
}

bool record_add_mail(struct job *job, const struct buffer *cargo, const struct notice_lengths *lengths) {
    const struct notice_item item = {.message_length = (int64_t)lengths->message,
                                     .headers_length = (int64_t)lengths->headers,
                                     .envelope_length = (int64_t)lengths->envelope,
                                     .cargo = buffer_text(cargo)};
    return list_add_notice(&job->notices, &item);
}

static bool add_notice(struct job *job, const struct notice *notice, size_t room) {
    struct notice_lengths lengths = {0};
    struct buffer cargo;
    buffer_init(&cargo, room < CARGO_INLINE_MAXIMUM ? room : CARGO_INLINE_MAXIMUM);
    bool good = notice_build(notice, &cargo, &lengths) && record_add_mail(job, &cargo, &lengths);
    buffer_free(&cargo);
    return good;
}

static void build(struct plan *plan, const struct group *group, size_t room) {
    struct runner *runner = plan->runner;
    struct job *job = plan->job;
    struct buffer original, targets;
    struct notice notice = {
        .kind = group->kind,
        .copy = group->copy,
        .server_name = runner->config->server_name,
        .server_title = runner->config->server_title,
        .postmaster = runner->config->postmaster,
        .mail_id = job->mail_id,
        .addressee = group->addressee,
        .envid = strcmp(group->addressee, job->envelope.from_url) == 0 ? job->envelope.envid : "",
        .message_id = job->envelope.message_id,
        .host = job->host,
        .arrived_at = job->envelope.hold_until > 0 ? job->envelope.received_at : group->first->received_at,
        .tried_since = group->first->received_at,
        .future_release = job->envelope.future_release,
        .requiretls = job->envelope.requiretls != 0,
        .attempted_at = job->untried ? 0 : job->started_at,
        .expires_at = parcel_expiry(runner, group->first),
        .now = (int64_t)time(NULL),
        .recipients = group->recipients,
        .count = group->count,
    };
    buffer_init(&targets, NOTICE_ROUTE_MAXIMUM);
    find_targets(runner, job, group, &targets);
    notice.targets = buffer_text(&targets);
    make_id(plan, group, notice.id);
    buffer_init(&original, 2 * NOTICE_HEADERS_MAXIMUM);
    read_original(plan, group, &notice, &original);
    if (add_notice(job, &notice, room)) {
        log_info("%s: notice %s to <%s>: %s, %zu recipients", job->mail_id, notice.id,
                 group->copy ? notice.postmaster : notice.addressee, kind_names[group->kind], group->count);
    } else {
        log_error("%s: the notice to <%s> could not be built", job->mail_id, notice.addressee);
    }
    buffer_free(&original);
    buffer_free(&targets);
}

/* They share one message to the ledger: each leaves those behind it what they usually need, unless its own addresses
 * and names are so long that it cannot. */
static void build_all(struct plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        const struct group *group = &plan->groups[i];
        size_t taken = plan->job->notices.length + ITEM_OVERHEAD, kept = 0;
        size_t left = taken < NOTICES_MAXIMUM ? NOTICES_MAXIMUM - taken : 0;
        size_t own = notice_least(group->recipients, group->count) + LONG_NAMES;
        for (size_t j = i + 1; j < plan->count; j++) {
            kept += notice_least(plan->groups[j].recipients, plan->groups[j].count) + ITEM_OVERHEAD;
        }
        size_t fair = left > kept && left - kept > own ? left - kept : own;
        build(plan, group, fair < left ? fair : left);
    }
}

void record_notices(struct runner *runner, struct job *job, struct record_outcome *outcomes) {
    struct plan plan = {.runner = runner, .job = job};
    for (unsigned kind = 0; kind < NOTICE_KINDS; kind++) {
        for (size_t i = 0; i < job->count; i++) {
            if (is_wanted(&plan, &outcomes[i], (enum notice_kind)kind)) {
                add_outcome(&plan, &outcomes[i], (enum notice_kind)kind);
            }
        }
    }
    if (runner->config->notice_postmaster) {
        add_copies(&plan);
    }
    build_all(&plan);
    for (size_t i = 0; i < plan.count; i++) {
        free(plan.groups[i].recipients);
    }
}
