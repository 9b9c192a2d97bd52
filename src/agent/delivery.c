/* SPDX-License-Identifier: MIT
 * A job's unpacking, results and report; called by the agent's loop and the transports, under the agent's dropped user.
 * A malformed job ends the agent (the runner defers its recipients). */
#include "agent/delivery.h"
#include "base/clock.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECIPIENTS_MAXIMUM 10000
#define RESULTS_MAXIMUM (128u * 1024)

static bool read_recipients(struct delivery *delivery, struct text list) {
    struct job_recipient item;
    bool bad = false;
    while (list_next_job_recipient(&list, &item, &bad)) {
        if (delivery->count == RECIPIENTS_MAXIMUM) {
            return false;
        }
        delivery->recipients = memory_resize(delivery->recipients, delivery->count + 1, sizeof *delivery->recipients);
        struct delivery_recipient *recipient = &delivery->recipients[delivery->count++];
        memset(recipient, 0, sizeof *recipient);
        recipient->index = item.recipient;
        recipient->target = memory_string(item.target);
        recipient->to_url = memory_string(item.to_url);
        recipient->notify = memory_string(item.notify);
        recipient->orcpt = memory_string(item.orcpt);
    }
    return !bad && delivery->count > 0;
}

static bool read_content(struct delivery_content *content, const struct agent_job *job,
                         struct channel_message *message) {
    content->fd = -1;
    buffer_init(&content->cargo, CARGO_INLINE_MAXIMUM);
    if (job->offset < 0 || job->message_length < 0 || job->headers_length < 0) {
        return false;
    }
    content->offset = (uint64_t)job->offset;
    content->message_length = (uint64_t)job->message_length;
    content->headers_length = (uint64_t)job->headers_length;
    if (job->place != CARGO_INLINE) {
        content->fd = message->fd;
        message->fd = -1;
        return content->fd >= 0;
    }
    return content->message_length <= job->cargo.length &&
           content->headers_length <= job->cargo.length - content->message_length &&
           buffer_append_text(&content->cargo, job->cargo);
}

bool delivery_read(struct delivery *delivery, struct channel_message *message) {
    const struct agent_job *job = &message->values->agent_job;
    memset(delivery, 0, sizeof *delivery);
    delivery->content.fd = -1;
    delivery->from_url = memory_string(job->from_url);
    delivery->destination = memory_string(job->destination);
    delivery->ret = memory_string(job->ret);
    delivery->envid = memory_string(job->envid);
    delivery->solicit = memory_string(job->solicit);
    delivery->body = (enum envelope_body)job->body;
    delivery->content.binary = delivery->body == BODY_BINARYMIME;
    delivery->utf8 = job->utf8 != 0;
    delivery->requiretls = job->requiretls != 0;
    delivery->tls_optional = job->tls_optional != 0;
    delivery->local = job->local != 0;
    delivery->tls_memory = job->tls_memory <= TLS_MEMORY_VERIFIED ? (enum tls_memory)job->tls_memory : TLS_MEMORY_NONE;
    delivery->started_at = (int64_t)time(NULL);
    delivery->started_ms = clock_now_ms();
    return mail_id_is_valid(job->mail_id) && text_copy(delivery->mail_id, sizeof delivery->mail_id, job->mail_id) &&
           read_content(&delivery->content, job, message) && read_recipients(delivery, job->recipients);
}

void delivery_free(struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        free(delivery->recipients[i].target);
        free(delivery->recipients[i].to_url);
        free(delivery->recipients[i].notify);
        free(delivery->recipients[i].orcpt);
    }
    free(delivery->recipients);
    free(delivery->from_url);
    free(delivery->destination);
    free(delivery->ret);
    free(delivery->envid);
    free(delivery->solicit);
    buffer_free(&delivery->content.cargo);
    if (delivery->content.fd >= 0) {
        close(delivery->content.fd);
    }
    memset(delivery, 0, sizeof *delivery);
    delivery->content.fd = -1;
}

void delivery_set(struct delivery_recipient *recipient, enum result_kind kind, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(recipient->reply, sizeof recipient->reply, format, list);
    va_end(list);
    recipient->kind = kind;
    recipient->onward = ONWARD_FINAL;
    recipient->from_server = false;
    recipient->done = true;
}

void delivery_set_remaining(struct delivery *delivery, enum result_kind kind, const char *reply) {
    for (size_t i = 0; i < delivery->count; i++) {
        if (!delivery->recipients[i].done) {
            delivery_set(&delivery->recipients[i], kind, "%s", reply);
        }
    }
}

void delivery_reset(struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        delivery->recipients[i].done = false;
    }
}

bool delivery_report(struct delivery *delivery, int job, uint32_t serial, bool reusable) {
    struct buffer results;
    bool fits = true;
    buffer_init(&results, RESULTS_MAXIMUM);
    delivery_set_remaining(delivery, RESULT_DEFERRED, "451 4.3.0 the delivery agent came to no result");
    for (size_t i = 0; i < delivery->count; i++) {
        const struct delivery_recipient *recipient = &delivery->recipients[i];
        struct result_item item = {.recipient = recipient->index,
                                   .kind = recipient->kind,
                                   .onward = recipient->onward,
                                   .from_server = recipient->from_server,
                                   .reply = text_of(recipient->reply)};
        fits = fits && list_add_result(&results, &item);
    }
    struct agent_result result = {
        .mail_id = text_of(delivery->mail_id),
        .results = buffer_text(&results),
        .route = text_of(delivery->route),
        .host = text_of(delivery->host),
        .address = text_of(delivery->address),
        .tls = text_of(delivery->tls),
        .started_at = delivery->started_at,
        .milliseconds = clock_now_ms() - delivery->started_ms,
        .reusable = reusable,
        .standing = delivery->standing,
        .tls_memory = delivery->tls_shown,
    };
    bool sent = fits && channel_send(job, AGENT_RESULT, serial, &result, -1) == CHANNEL_OK;
    buffer_free(&results);
    return sent;
}
