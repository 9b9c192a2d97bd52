/* SPDX-License-Identifier: MIT
 * BDAT (RFC 3030): one chunk of the message. Called by the dispatcher when a recipient was accepted, confined. The
 * bytes of a chunk are taken off the input whatever is wrong with it, so that they are never read as commands; a line
 * that does not tell how many they are ends the session. */
#include "receiver/commands/command.h"
#include "receiver/dialog.h"
#include <malloc.h>

static void take_piece(void *context, struct text piece) {
    struct session *session = context;
    struct transaction *transaction = &session->transaction;

    if (!transaction->open || transaction->chunk_refused)
        return;
    dialog_data(session->config, piece);
    if (transaction->chunks.fault == DATA_FAULT_NONE)
        command_data_take(session, piece);
}

/* False when the session ended before the chunk did. */
static bool read_chunk(struct session *session, uint64_t size) {
    struct chunk_decoder *decoder = &session->transaction.chunks;
    struct session_pace pace = {0};
    size_t consumed;

    session_finish_line(session);
    decoder->normalise = session->config->bare_line_ends == BARE_LINE_ENDS_NORMALISED;
    chunk_decoder_begin(decoder, size);
    for (;;) {
        enum data_decoder_result result =
            chunk_decoder_feed(decoder, stream_pending(&session->stream), take_piece, session, &consumed);
        stream_consume(&session->stream, consumed);
        pace.bytes += consumed;
        if (result == DATA_DECODER_END)
            break;
        if (!session_fill_data(session, PHASE_DATA_BLOCK, &pace)) {
            dialog_note(session->config, " -> ", "(chunk, cut)");
            return false;
        }
    }
    dialog_note(session->config, " -> ", "(chunk)");
    return true;
}

/* RFC 2033 4.3: BDAT with LAST is answered once for each RCPT that was accepted, whatever the answer is. */
static void answer_refused(struct session *session, const struct reply *reply, const char *rule,
                           enum violation_mercy mercy, bool last) {
    if (last && session->transaction.owed_count > 0)
        transaction_answer(session, reply, rule, mercy);
    else
        session_send(session, reply, rule, mercy);
}

/* The last chunk ends the transaction, also a refused one; before it everything but RSET is out of order. */
static void end_refused(struct session *session, bool last) {
    session->transaction.chunk_refused = true;
    if (last)
        session_end_transaction(session);
    else if (session->state == SESSION_MAIL)
        session_set_state(session, SESSION_BDAT);
}

void command_bdat_refuse(struct session *session, struct text argument, const struct reply *reply, const char *rule,
                         enum violation_mercy mercy) {
    uint64_t size;
    bool last;

    if (!chunk_parse(argument, &size, &last)) {
        session_send(session, reply, rule, mercy);
        session_set_state(session, SESSION_CLOSING);
        return;
    }
    session->transaction.chunk_refused = true;
    if (!read_chunk(session, size))
        return;
    answer_refused(session, reply, rule, mercy, last);
    end_refused(session, last);
}

static void end_message(struct session *session) {
    struct transaction *transaction = &session->transaction;
    const struct chunk_decoder *chunks = &transaction->chunks;
    bool large = transaction->message.received > COMMIT_INLINE_MAXIMUM;

    chunk_decoder_finish(&transaction->chunks, take_piece, session);
    command_data_store(session, chunks->fault,
                       chunks->is_binary   ? BODY_BINARYMIME
                       : chunks->eight_bit ? BODY_8BITMIME
                                           : BODY_7BIT);
    session_end_transaction(session);
    if (large)
        (void)malloc_trim(0);
}

static void take_chunk(struct session *session, uint64_t size, bool last) {
    struct transaction *transaction = &session->transaction;
    const char *rule;
    struct reply reply;

    session_set_state(session, SESSION_DATA);
    session->stream.stop_fd = -1; /* a message that has begun is taken to its end */
    if (!read_chunk(session, size))
        return;
    if (transaction->chunk_refused) {
        reply_set(&reply, 503, "5.5.1", "A chunk before this one was refused");
        answer_refused(session, &reply, "order", VIOLATION_NEVER, last); /* clients send all of them at once */
        end_refused(session, last);
    } else if (last) {
        end_message(session);
        return;
    } else if ((rule = command_data_fault(session, transaction->chunks.fault, &reply)) != NULL) {
        session_send(session, &reply, rule, VIOLATION_PLAIN);
        end_refused(session, false);
    } else {
        session_reply(session, 250, "2.0.0", "%llu bytes received", (unsigned long long)size);
    }
    if (!last)
        session_set_state(session, SESSION_BDAT);
}

/* bdat = "BDAT" SP chunk-size [ SP "LAST" ] CRLF, then that many bytes */
void command_bdat(struct session *session, struct text argument) {
    struct reply reply;
    uint64_t size;
    bool last;

    if (!chunk_parse(argument, &size, &last)) {
        reply_set(&reply, 501, "5.5.4", "BDAT takes a number of bytes, and LAST");
        command_bdat_refuse(session, argument, &reply, "syntax", VIOLATION_PLAIN);
        return;
    }
    if (session->state == SESSION_MAIL) { /* where DATA would be */
        const struct rule *rule = rule_join(session, RULE_DATA, &reply);
        if (rule != NULL) {
            command_bdat_refuse(session, argument, &reply, rule->name, rule->mercy);
            return;
        }
    }
    take_chunk(session, size, last);
}
