/* SPDX-License-Identifier: MIT
 * Questions to the resolver that overlap: all are sent, then the answers are taken in whatever order they come. Called
 * by receivers and agents. A resolver that is gone or silent answers DNS_TIMEOUT. */
#include "base/clock.h"
#include "base/log.h"
#include "ipc/ask.h"
#include "ipc/scratch.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* The resolver has its own, shorter time limits; this one is for a resolver that hangs. */
#define ANSWER_LIMIT 90000
#define SEND_LIMIT 10000
#define RECORDS_MAXIMUM CHANNEL_MESSAGE_MAXIMUM

static void end_question(struct dns_question *question, enum dns_status status) {
    question->answer = (struct dns_answer){.status = status, .records = TEXT_NONE};
    question->done = true;
}

bool dns_question_ask(int resolver, struct dns_question *question, const char *name, enum dns_type type) {
    struct dns_ask ask = {.name = text_of(name), .type = type};

    buffer_init(&question->records, RECORDS_MAXIMUM);
    question->type = type;
    question->done = false;
    if (ask.name.length == 0 || !text_copy(question->name, sizeof question->name, ask.name)) {
        end_question(question, DNS_BAD_NAME);
        return true;
    }
    question->serial = scratch_serial();
    enum channel_result result =
        scratch_send(resolver, DNS_ASK, question->serial, &ask, -1, clock_deadline(SEND_LIMIT));
    if (result == CHANNEL_OK)
        return true;
    end_question(question, DNS_TIMEOUT);
    return false;
}

static struct dns_question *find_question(struct dns_question *questions, size_t count, uint32_t serial) {
    for (size_t i = 0; i < count; i++)
        if (!questions[i].done && questions[i].serial == serial)
            return &questions[i];
    return NULL;
}

static size_t count_open(const struct dns_question *questions, size_t count) {
    size_t open = 0;

    for (size_t i = 0; i < count; i++)
        open += !questions[i].done;
    return open;
}

static void take_answer(struct dns_question *question, const struct dns_answer *answer) {
    question->answer = *answer;
    question->done = true;
    buffer_clear(&question->records);
    if (!buffer_append_text(&question->records, answer->records))
        question->answer.status = DNS_SERVFAIL; /* cannot be: the message was smaller */
    question->answer.records = buffer_text(&question->records);
}

void dns_question_collect(int resolver, struct dns_question *questions, size_t count) {
    int64_t deadline = clock_deadline(ANSWER_LIMIT);
    struct channel_message message;
    union channel_values values;

    for (size_t open = count_open(questions, count); open > 0;) {
        enum channel_result result = scratch_receive(resolver, deadline, &values, &message);
        if (result != CHANNEL_OK || message.kind != DNS_ANSWER) {
            log_warn("the resolver %s", result == CHANNEL_TIMEOUT ? "does not answer" : "is gone");
            break;
        }
        struct dns_question *question = find_question(questions, count, message.serial);
        if (question != NULL) {
            take_answer(question, &values.dns_answer);
            open--;
        }
        if (message.fd >= 0)
            (void)close(message.fd);
    }
    for (size_t i = 0; i < count; i++)
        if (!questions[i].done)
            end_question(&questions[i], DNS_TIMEOUT);
}

void dns_question_free(struct dns_question *question) {
    buffer_free(&question->records);
    question->answer.records = TEXT_NONE;
}

bool dns_question_next(struct text *rest, struct dns_record *record) {
    bool bad = false;
    bool more = list_next_record(rest, record, &bad);

    if (bad)
        log_error("the resolver sent a malformed list");
    return more;
}

enum dns_status dns_lookup(int resolver, const char *name, enum dns_type type, struct dns_question *question) {
    memset(question, 0, sizeof *question);
    (void)dns_question_ask(resolver, question, name, type);
    dns_question_collect(resolver, question, 1);
    return (enum dns_status)question->answer.status;
}

bool dns_resolver_is_gone(int resolver) {
    struct pollfd ready = {.fd = resolver, .events = 0}; /* a hangup is told unasked */
    return poll(&ready, 1, 0) > 0;
}
