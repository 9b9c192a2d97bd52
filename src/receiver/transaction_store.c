/* SPDX-License-Identifier: MIT
 * What follows the end of data: added headers, signature or verdict, envelope, commit. Called by command_data.c,
 * confined. The client reads 250 only after the ledger has said that the message is on disk; every failure is a 4xx. */
#include "base/file.h"
#include "base/log.h"
#include "mail/header.h"
#include "mail/mailbox_list.h"
#include "receiver/change.h"
#include "receiver/facts/verdict.h"
#include "receiver/joiners/milter.h"
#include "receiver/joiners/policy.h"
#include "receiver/received.h"
#include "receiver/session.h"
#include <string.h>
#include <unistd.h>

#define HEADERS_MAXIMUM (48u * 1024)

/* Above the message: trace fields of this reception, the signature or the verdict first. */
struct added {
    struct buffer headers; /* all of them, in order */
    struct buffer missing; /* Date, Message-ID: signed too */
};

bool transaction_author(struct text header, struct address *author) {
    struct header_field field;
    char value[8192];
    bool bad = false;

    if (header_count(header, "From") != 1 || !header_find(header, "From", &field) ||
        !header_value(&field, value, sizeof value))
        return false;
    struct text rest = text_of(value);
    return mailbox_list_author(&rest, author, &bad);
}

/* Only what our own members send is signed, and only in the name that they may use. */
static bool may_sign_for(struct session *session, const struct address *author) {
    char text[2 * ADDRESS_SIZE];

    if (text_equal_nocase(text_of(author->domain), text_of(session->transaction.from.domain)))
        return true;
    if (session->account[0] == '\0')
        return session->facts.sender_free;
    return ask_may_send(session->start->lookup, session->account, address_text(author, text, sizeof text)) == LOGIN_OK;
}

/* Asks the signer, which would read the whole message, where there is a key for the domain. False: try again later. */
static bool add_signature(struct session *session, struct added *added) {
    struct message *message = &session->transaction.message;
    struct address author;
    struct text cargo;

    if (session->start->signer < 0 || !transaction_author(message_header(message), &author) ||
        !config_domain_is_signed(session->config, text_of(author.domain)) || !may_sign_for(session, &author))
        return true;
    bool done = message_append_tail(message, buffer_text(&added->missing), &cargo);
    if (done) {
        const struct sign_mail request = {
            .place = message->place,
            .message_length = (int64_t)message->length,
            .headers_length = (int64_t)added->missing.length,
            .domain = text_of(author.domain),
            .cargo = cargo,
        };
        done = ask_signature(session->start->signer, &request, message->fd, &added->headers);
    }
    return done;
}

/* Of strangers' mail: what its signature says, asked before anybody changes what was signed. */
static void add_verdict(struct session *session, struct added *added) {
    struct buffer verdict;

    buffer_init(&verdict, HEADERS_MAXIMUM / 2);
    if (!session_may_relay(session) && verdict_format(session, &verdict)) {
        envelope_set(&session->transaction.envelope.verdicts, buffer_text(&verdict));
        (void)received_results(&added->headers, session->config->server_name, buffer_text(&verdict));
    }
    buffer_free(&verdict);
}

static bool add_headers(struct session *session, struct added *added) {
    struct envelope *envelope = &session->transaction.envelope;
    const char *name = session->config->server_name;
    int64_t uid = session->client.is_local ? (int64_t)session->client.uid : -1;
    bool done = true;

    transaction_complete_envelope(session);
    if (session_may_relay(session))
        done = received_add_missing(&added->missing, message_header(&session->transaction.message), envelope, name) &&
               add_signature(session, added);
    return done && received_format(&added->headers, envelope, name, uid) &&
           buffer_append_text(&added->headers, buffer_text(&added->missing));
}

static void dump(struct text lines) {
    char shown[1024];
    struct text line;

    while (text_split(&lines, '\n', &line))
        log_info("(mail) %s", text_printable(shown, sizeof shown, line));
}

/* Nobody changes a sealed memfd. A large file is flushed here, where it holds up nobody else: the ledger's own flush of
 * it then costs little. */
static bool make_final(const struct message *message) {
    switch (message->place) {
    case CARGO_INLINE:
        return true;
    case CARGO_MEMFD:
        return file_seal(message->fd);
    case CARGO_SPOOL_FILE:
        return fdatasync(message->fd) == 0;
    }
    return false;
}

/* Cargo: message, added headers, envelope text. */
static enum commit_outcome commit(struct session *session, const struct added *added) {
    struct message *message = &session->transaction.message;
    struct buffer tail;
    struct text cargo;
    enum commit_outcome outcome = COMMIT_FAILED;

    buffer_init(&tail, HEADERS_MAXIMUM + ENVELOPE_TEXT_MAXIMUM);
    bool fits = buffer_append_text(&tail, buffer_text(&added->headers)) &&
                envelope_format(&session->transaction.envelope, &tail);
    if (fits && message_append_tail(message, buffer_text(&tail), &cargo)) {
        const struct mail_commit request = {
            .place = message->place,
            .message_length = (int64_t)message->length,
            .headers_length = (int64_t)added->headers.length,
            .envelope_length = (int64_t)(tail.length - added->headers.length),
            .cargo = cargo,
        };
        int fd = message->place == CARGO_MEMFD ? message->fd : -1;
        if (make_final(message))
            outcome = ask_commit(session->start->ledger, &request, fd);
    } else if (message->problem == MESSAGE_FULL) {
        outcome = COMMIT_FULL;
    }
    if (session->config->dump_mail_into_log)
        dump(buffer_text(&tail));
    buffer_free(&tail);
    return outcome;
}

static const char *failure_words(enum commit_outcome outcome) {
    static const char *const words[] = {
        [COMMIT_FAILED] = "failed",
        [COMMIT_FULL] = "no room",
        [COMMIT_INVALID] = "the ledger calls it invalid",
        [COMMIT_UNKNOWN] =
            "the ledger gave no answer; if it is in the queue and the client tries again, it arrives twice",
    };

    return words[outcome];
}

/* The operator's words, with the id where they have %i. */
static void say_accepted(const struct session *session, struct reply *reply) {
    struct text words = text_of(session->config->accepted_text);
    const char *mark = strstr(words.data, "%i");
    size_t at = mark == NULL ? words.length : (size_t)(mark - words.data);

    reply_set(reply, 250, "2.0.0", "%.*s%s%s", (int)at, words.data, mark == NULL ? "" : session->mail_id,
              mark == NULL ? "" : mark + 2);
}

/* Also where nobody knows, the client hears that it was not taken: twice is better than never. */
static void answer(struct session *session, enum commit_outcome outcome) {
    const char *name = session->config->server_name;
    const struct transaction *transaction = &session->transaction;
    struct reply reply;

    if (outcome == COMMIT_OK) {
        session->counts.mails++;
        session->violations = 0; /* as the ledger has it: an accepted message clears */
        log_info("accepted from=<%s> to=%zu size=%llu contact=%s %s", transaction->from_text,
                 transaction->envelope.recipient_count, (unsigned long long)transaction->message.length,
                 session->client.contact, transaction->envelope.protocol);
        say_accepted(session, &reply);
        transaction_answer(session, &reply, "", VIOLATION_PLAIN);
        return;
    }
    log_error("%s: from=<%s> to=%zu: %s", outcome == COMMIT_UNKNOWN ? "perhaps saved" : "not saved",
              transaction->from_text, transaction->envelope.recipient_count, failure_words(outcome));
    if (outcome == COMMIT_FULL)
        reply_set(&reply, 452, "4.3.1", "%s insufficient system storage id=%s", name, session->mail_id);
    else
        reply_set(&reply, 451, "4.3.0", "%s error: unable to save the message id=%s", name, session->mail_id);
    transaction_answer(session, &reply, "protocol", VIOLATION_PLAIN);
}

/* With LMTP, when each recipient was judged: changes to recipients, which waited for that, and milters, who are asked
 * once. */
static const struct rule *join_together(struct session *session, enum rule_stage stage, struct reply *reply) {
    change_settle(session);
    const struct rule *rule = policy_settle(session, stage, reply);

    return rule != NULL ? rule : milter_evaluate(session, stage, reply);
}

/* By a rule that looks at the whole message and its verdicts. With LMTP: for everybody. */
static bool is_refused(struct session *session) {
    joiner_function *ask = rule_evaluate;
    struct reply reply;

    if (session->client.role == ROLE_LMTP) {
        bool any = session->transaction.envelope.recipient_count > 0;
        transaction_judge_each(session);
        bool none = any && session->transaction.envelope.recipient_count == 0;
        /* Who was not refused had his mail redirected to one who was: nobody may believe that it arrived. */
        reply_set(&reply, 451, "4.3.5", "%s error: nobody is left to get the message", session->config->server_name);
        if (none)
            transaction_answer(session, &reply, "", VIOLATION_PLAIN);
        if (none)
            return true;
        ask = join_together;
    }
    const struct rule *rule = ask(session, RULE_MESSAGE, &reply);

    if (rule != NULL)
        transaction_answer(session, &reply, rule->name, rule->mercy);
    return rule != NULL;
}

/* Date and Message-ID, so that milters see them and sign them. Later they are not missing any more. */
static void complete_for_milters(struct session *session) {
    struct header_field field;
    struct buffer missing;

    if (session->milters == NULL || !session_may_relay(session))
        return;
    transaction_complete_envelope(session);
    buffer_init(&missing, HEADERS_MAXIMUM);
    (void)received_add_missing(&missing, message_header(&session->transaction.message), &session->transaction.envelope,
                               session->config->server_name);
    struct text rest = buffer_text(&missing);
    while (header_next(&rest, &field))
        (void)change_add_header(session, field.name, field.value);
    buffer_free(&missing);
}

/* Somebody who joined in has it so, or left it no recipient: the client's part is done, and the rows say why. */
static bool is_discarded(struct session *session) {
    const struct transaction *transaction = &session->transaction;
    const char *reason = change_discard_reason(session);
    struct reply reply;

    if (reason[0] == '\0' && transaction->envelope.recipient_count > 0)
        return false;
    for (size_t i = 0; i < transaction->envelope.recipient_count; i++) {
        const struct recipient_refused discarded = {.contact_id = session->contact_id,
                                                    .discarded = 1,
                                                    .mail_id = text_of(session->mail_id),
                                                    .from_url = text_of(transaction->from_text),
                                                    .to_url = text_of(transaction->envelope.recipients[i].to_url),
                                                    .reply = text_of(reason)};
        if (!tell_recipient_refused(session->start->ledger, &discarded))
            log_warn("the ledger does not know of a discarded message");
    }
    log_info("discarded from=<%s> to=%zu: %s", transaction->from_text, transaction->envelope.recipient_count,
             reason[0] != '\0' ? reason : "no recipient is left");
    say_accepted(session, &reply);
    transaction_answer(session, &reply, "", VIOLATION_PLAIN);
    return true;
}

void transaction_store(struct session *session) {
    struct transaction *transaction = &session->transaction;
    struct added added;

    buffer_init(&added.headers, HEADERS_MAXIMUM);
    buffer_init(&added.missing, HEADERS_MAXIMUM);
    add_verdict(session, &added);
    transaction->changeable = true;
    change_settle(session);
    complete_for_milters(session);
    if (!is_refused(session) && !is_discarded(session)) {
        envelope_set(&transaction->envelope.hold, text_of(change_hold_reason(session)));
        if (change_is_put_off(session) || !add_headers(session, &added))
            answer(session, COMMIT_FAILED);
        else
            answer(session, commit(session, &added));
    }
    buffer_free(&added.headers);
    buffer_free(&added.missing);
}
