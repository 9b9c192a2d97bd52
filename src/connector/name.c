/* SPDX-License-Identifier: MIT
 * Host names of the configuration: asked of the resolver, without waiting. Called by connect.c, as outside_user. A
 * resolver that is gone has no address for anything; the listener replaces it, and this process with it. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "connector/connector_private.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct name_question {
    uint32_t serial;
    name_found *found; /* NULL: nobody wants to know */
    void *context;
    struct name_question *next;
};

static void answer(struct name_question *question, const struct dns_answer *values) {
    if (question->found != NULL) {
        question->found(question->context, values);
    }
    free(question);
}

static void lose_resolver(struct connector *connector) {
    static const struct dns_answer nothing = {.status = DNS_TIMEOUT, .records = TEXT_NONE};
    loop_unwatch(connector->resolver_watch);
    connector->resolver_watch = NULL;
    close(connector->resolver);
    connector->resolver = -1;
    while (connector->questions != NULL) {
        struct name_question *question = connector->questions;
        connector->questions = question->next;
        answer(question, &nothing);
    }
}

static struct name_question *take_question(struct connector *connector, uint32_t serial) {
    struct name_question **place = &connector->questions;
    while (*place != NULL && (*place)->serial != serial) {
        place = &(*place)->next;
    }
    struct name_question *question = *place;
    if (question != NULL) {
        *place = question->next;
    }
    return question;
}

static void answer_came(void *context, int fd, uint32_t events) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct connector *connector = context;
    struct channel_message message = {.fd = -1};
    (void)events;
    enum channel_result result = channel_receive(fd, 0, storage, &values, &message);
    if (message.fd >= 0) {
        close(message.fd);
    }
    if (result == CHANNEL_AGAIN) {
        return;
    }
    if (result != CHANNEL_OK || message.kind != DNS_ANSWER) {
        lose_resolver(connector);
        return;
    }
    struct name_question *question = take_question(connector, message.serial);
    if (question != NULL) {
        answer(question, &values.dns_answer);
    }
}

void names_begin(struct connector *connector, int resolver) {
    connector->resolver = resolver;
    if (resolver >= 0) {
        (void)file_set_nonblocking(resolver, true);
        connector->resolver_watch =
            loop_watch(service_loop(connector->service), resolver, EPOLLIN, answer_came, connector);
    }
}

void name_ask(struct connector *connector, struct text name, enum dns_type type, name_found *found, void *context) {
    static const struct dns_answer nothing = {.status = DNS_TIMEOUT, .records = TEXT_NONE};
    const struct dns_ask ask = {.name = name, .type = type};
    uint32_t serial = ++connector->last_serial;
    if (connector->resolver < 0 || channel_send(connector->resolver, DNS_ASK, serial, &ask, -1) != CHANNEL_OK) {
        found(context, &nothing);
        return;
    }
    struct name_question *question = memory_new(1, sizeof *question);
    *question =
        (struct name_question){.serial = serial, .found = found, .context = context, .next = connector->questions};
    connector->questions = question;
}

void names_forget(struct connector *connector, const void *context) {
    for (struct name_question *question = connector->questions; question != NULL; question = question->next) {
        if (question->context == context) {
            question->found = NULL;
        }
    }
}
