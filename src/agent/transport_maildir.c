/* SPDX-License-Identifier: MIT
 * The maildir transport: final delivery into Maildir folders, with Return-Path and Delivered-To (RFC 5321 4.4; only the
 * recipient at hand) on top. Runs as the transport's configured user, never one a message names. A full disk and every
 * other error that may pass defers; an address that cannot be a folder's name fails. */
#include "agent/maildir.h"
#include "agent/trace_fields.h"
#include "agent/transport.h"
#include "base/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int problem;
    const char *reply;
} replies[] = {
    {ENOSPC, "452 4.3.1 no space left for the mailbox"},
    {EDQUOT, "452 4.2.2 the mailbox's quota is used up"},
    {EACCES, "451 4.3.0 no permission to write into the mailbox"},
    {EROFS, "451 4.3.0 the mailbox's file system is read-only"},
};

static void set_problem(struct delivery_recipient *recipient, const char *path, int problem) {
    log_error("cannot deliver into %s: %s", path, strerror(problem));
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        if (replies[i].problem == problem) {
            delivery_set(recipient, RESULT_DEFERRED, "%s", replies[i].reply);
            return;
        }
    }
    delivery_set(recipient, RESULT_DEFERRED, "451 4.3.0 cannot write into the mailbox: %s", strerror(problem));
}

static void deliver_one(struct transport_context *context, struct delivery *delivery,
                        struct delivery_recipient *recipient) {
    char path[PATH_MAX];
    struct buffer top;
    if (!maildir_path(context->target, trace_fields_mailbox(recipient), path)) {
        delivery_set(recipient, RESULT_FAILED, "553 5.1.3 this address cannot be a mailbox here");
        return;
    }
    buffer_init(&top, TRACE_FIELDS_MAXIMUM);
    bool fits = trace_fields_write(delivery, recipient, &top);
    if (!fits || !maildir_make(path)) {
        set_problem(recipient, path, fits ? errno : EINVAL);
        buffer_free(&top);
        return;
    }
    switch (maildir_store(path, context->config->server_name, buffer_text(&top), &delivery->content)) {
    case MAILDIR_STORED:
        delivery_set(recipient, RESULT_DELIVERED, "250 2.0.0 stored in the mailbox");
        break;
    case MAILDIR_UNREADABLE:
        delivery_set(recipient, RESULT_DEFERRED, "451 4.3.0 the message could not be read");
        break;
    case MAILDIR_FAILED:
        set_problem(recipient, path, errno);
        break;
    }
    buffer_free(&top);
}

static bool maildir_deliver(struct transport_context *context, struct delivery *delivery) {
    snprintf(delivery->route, sizeof delivery->route, "maildir");
    for (size_t i = 0; i < delivery->count; i++) {
        deliver_one(context, delivery, &delivery->recipients[i]);
    }
    return true;
}

const struct transport transport_maildir = {
    .name = "maildir",
    .wants_tls = false,
    .network = false,
    .deliver = maildir_deliver,
    .close = NULL,
};
