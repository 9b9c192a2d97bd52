/* SPDX-License-Identifier: MIT
 * DATA: reads the message to its real end whatever is wrong with it, so that the dialogue stays in step, then stores or
 * refuses it. Called by the dispatcher when a recipient was accepted, confined. A connection that ends before the end
 * of the data stores nothing. */
#include "base/clock.h"
#include "base/log.h"
#include "mail/header.h"
#include "receiver/commands/command.h"
#include "receiver/dialog.h"
#include "smtp/data_decoder.h"
#include <malloc.h>

struct data_reading {
    struct session *session;
    struct data_decoder decoder;
    struct session_pace pace;
};

static void take_piece(void *context, struct text piece) {
    struct data_reading *reading = context;

    dialog_data(reading->session->config, piece);
    if (reading->decoder.fault == DATA_FAULT_NONE)
        command_data_take(reading->session, piece);
}

/* False when the session ended before the data did. */
static bool read_data(struct data_reading *reading) {
    struct session *session = reading->session;
    enum session_phase phase = PHASE_DATA_START;
    size_t consumed;

    for (;;) {
        if (stream_pending(&session->stream).length == 0 && !session_fill_data(session, phase, &reading->pace))
            return false;
        enum data_decoder_result result =
            data_decoder_feed(&reading->decoder, stream_pending(&session->stream), take_piece, reading, &consumed);
        stream_consume(&session->stream, consumed);
        reading->pace.bytes += consumed;
        if (result == DATA_DECODER_END)
            return true;
        phase = PHASE_DATA_BLOCK;
    }
}

void command_data_take(struct session *session, struct text piece) {
    struct transaction *transaction = &session->transaction;

    message_write(&transaction->message, piece, transaction->declared_size);
    transaction_judge_header(session);
}

const char *command_data_fault(const struct session *session, enum data_fault fault, struct reply *reply) {
    const struct header_refusal *refusal = session->transaction.refusal;
    const struct message *message = &session->transaction.message;
    const char *name = session->config->server_name;

    if (refusal != NULL)
        *reply = refusal->reply;
    else if (fault == DATA_FAULT_BARE_CR || fault == DATA_FAULT_BARE_LF)
        reply_set(reply, 550, "5.6.11", "the message holds a bare %s: lines end in CR LF",
                  fault == DATA_FAULT_BARE_CR ? "CR" : "LF");
    else if (fault == DATA_FAULT_NUL)
        reply_set(reply, 550, "5.6.0", "the message holds a NUL");
    else if (message->problem == MESSAGE_TOO_LARGE)
        reply_set(reply, 552, "5.3.4", "Message size exceeds the maximum of %ld bytes",
                  session->config->message_maximum);
    else if (message->problem == MESSAGE_HEADER_TOO_LARGE)
        reply_set(reply, 552, "5.3.4", "the message's header section is too large");
    else if (message->problem == MESSAGE_FULL)
        reply_set(reply, 452, "4.3.1", "%s insufficient system storage id=%s", name, session->mail_id);
    else if (message->problem != MESSAGE_OK)
        reply_set(reply, 451, "4.3.0", "%s error: unable to save the message id=%s", name, session->mail_id);
    else
        return NULL;
    return refusal != NULL ? refusal->rule : "message";
}

/* What is wrong with the bytes, with keeping them, or with where they have been. */
static const char *find_fault(const struct session *session, enum data_fault fault, struct reply *reply) {
    const struct message *message = &session->transaction.message;
    const char *rule = command_data_fault(session, fault, reply);

    if (rule != NULL)
        return rule;
    if (header_count(message_header(message), "Received") > (unsigned long)session->config->received_maximum)
        reply_set(reply, 554, "5.4.6", "too many hops: this message goes in circles"); /* RFC 5321 6.3 */
    else if (transaction_goes_in_circles(&session->transaction))
        reply_set(reply, 554, "5.4.6", "this message was forwarded from here before: it goes in circles");
    else
        return NULL;
    return "message";
}

void command_data_store(struct session *session, enum data_fault fault, enum envelope_body body) {
    struct reply reply;

    message_finish(&session->transaction.message);
    session->transaction.complete = true;
    if (body > session->transaction.envelope.body || session->transaction.envelope.body == BODY_BINARYMIME)
        session->transaction.envelope.body = body;
    if (fault == DATA_FAULT_NONE)
        transaction_judge_header(session); /* a message without a body */
    const char *rule = find_fault(session, fault, &reply);
    if (rule != NULL)
        transaction_answer(session, &reply, rule, VIOLATION_PLAIN);
    else
        transaction_store(session);
}

/* RFC 2920 3.1: DATA is the last of a group, since what follows depends on its reply. Whoever does not read the 354 was
 * made to speak by somebody else (smuggling, a web page), or does not listen at all. */
static bool waits_for_prompt(struct session *session) {
    if (session->client.role == ROLE_SENDMAIL)
        return true;
    return stream_pending(&session->stream).length == 0 && stream_fill(&session->stream, clock_now_ms()) != STREAM_OK;
}

/* data = "DATA" CRLF */
void command_data(struct session *session, struct text argument) {
    struct data_reading reading = {.session = session};
    struct message *message = &session->transaction.message;

    (void)argument;
    session_finish_line(session);
    session->stream.stop_fd = -1; /* a message that has begun is taken to its end */
    if (!waits_for_prompt(session)) {
        session_reply(session, 554, "5.5.1", "%s you talked before the 354", session->config->server_name);
        session_set_state(session, SESSION_CLOSING); /* what follows is mail data perhaps, and never a command */
        return;
    }
    session_reply(session, 354, "", "Enter message, ending with \".\" on a line by itself");
    session_set_state(session, SESSION_DATA);
    data_decoder_init(&reading.decoder, session->config->bare_line_ends == BARE_LINE_ENDS_NORMALISED);
    bool complete = read_data(&reading);
    session->stream.stop_fd = session->start->hub;
    dialog_note(session->config, " -> ", complete ? "(data)" : "(data, cut)");
    if (!complete)
        return;
    bool large = message->received > COMMIT_INLINE_MAXIMUM;
    command_data_store(session, reading.decoder.fault, reading.decoder.eight_bit ? BODY_8BITMIME : BODY_7BIT);
    session_end_transaction(session);
    if (large)
        (void)malloc_trim(0);
}
