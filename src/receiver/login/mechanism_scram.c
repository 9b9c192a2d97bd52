/* SPDX-License-Identifier: MIT
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the client proves that it knows the password, and we that
 * we do. Called by AUTH within TLS, confined: this process takes the messages apart and puts them together; what the
 * user's password left behind stays in lookup, which sees the words that are signed and the proof. */
#include "base/memory.h"
#include "base/random.h"
#include "receiver/login/mechanism.h"
#include "smtp/scram_message.h"
#include "tls/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_BYTES 18
#define MESSAGE_SIZE 4096 /* of what is signed */
#define PROOF_SIZE 64

struct scram {
    bool plus;
    struct scram_first first;
    char first_message[MECHANISM_MESSAGE_SIZE]; /* over which `first` is borrowed */
    char nonce[SCRAM_NONCE_MAXIMUM + 2 * NONCE_BYTES + 1];
    char server_first[REPLY_TEXT_SIZE];
    char auth_message[MESSAGE_SIZE];
    char proof[PROOF_SIZE];
    size_t proof_length;
};

/* Somebody in between who takes the mechanisms with a binding out of our list makes the client say "y": it could, and
 * believes that we can not (RFC 5802 6). */
static bool is_downgraded(const struct session *session, const struct scram *scram) {
    return scram->first.binding == SCRAM_BINDING_UNSEEN && mechanism_is_offered(session, MECHANISM_SCRAM_SHA_256_PLUS);
}

static enum exchange read_first(struct session *session, struct login_attempt *attempt, struct scram *scram) {
    struct text message;

    if (mechanism_begin(session, attempt, &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    memcpy(scram->first_message, message.data, message.length);
    if (!scram_parse_first((struct text){scram->first_message, message.length}, &scram->first) ||
        scram->plus != (scram->first.binding == SCRAM_BINDING_REQUIRED))
        return mechanism_is_malformed(session, "SCRAM");
    (void)text_copy(attempt->user, sizeof attempt->user, text_of(scram->first.user));
    (void)text_copy(attempt->identity, sizeof attempt->identity, text_of(scram->first.identity));
    return EXCHANGE_DONE;
}

/* server-first-message = nonce "," salt "," iteration-count. False: it cannot be asked, or does not fit. */
static bool make_server_first(struct session *session, struct scram *scram) {
    unsigned char random[NONCE_BYTES];
    char own[2 * NONCE_BYTES], salt[512];
    struct lookup_scram_salt answer;

    ask_scram_begin(session->start->lookup, text_of(scram->first.user), &answer);
    if (answer.outcome != LOGIN_OK || !text_base64_encode(answer.salt, salt, sizeof salt))
        return false;
    random_fill(random, sizeof random);
    (void)text_base64_encode((struct text){(const char *)random, sizeof random}, own, sizeof own);
    (void)snprintf(scram->nonce, sizeof scram->nonce, "%.*s%s", TEXT_ARGS(scram->first.nonce), own);
    int length = snprintf(scram->server_first, sizeof scram->server_first, "r=%s,s=%s,i=%u", scram->nonce, salt,
                          (unsigned)answer.iterations);
    return length > 0 && (size_t)length < sizeof scram->server_first * 3 / 4 - 4; /* 334 and base64 */
}

/* channel-binding = "c=" base64 of the GS2 header, and with PLUS of what only this TLS connection has. */
static bool is_binding_right(const struct session *session, const struct scram *scram, struct text encoded) {
    char given[1024], expected[1024];
    unsigned char binding[TLS_BINDING_MAXIMUM];
    size_t length, binding_length = 0;
    struct text header = scram->first.gs2_header;

    if (!text_base64_decode(encoded, given, sizeof given, &length) || header.length > sizeof expected - sizeof binding)
        return false;
    if (scram->plus && !tls_channel_binding(&session->stream, scram->first.binding_name, binding, &binding_length))
        return false;
    memcpy(expected, header.data, header.length);
    memcpy(expected + header.length, binding, binding_length);
    return text_equal((struct text){given, length}, (struct text){expected, header.length + binding_length});
}

enum final_outcome { FINAL_MALFORMED, FINAL_WRONG /* the nonce or the binding is another's */, FINAL_WHOLE };

static enum final_outcome take_final(const struct session *session, struct scram *scram, struct text message) {
    struct scram_final final;

    if (!scram_parse_final(message, &final) ||
        !text_base64_decode(final.proof, scram->proof, sizeof scram->proof, &scram->proof_length))
        return FINAL_MALFORMED;
    int length = snprintf(scram->auth_message, sizeof scram->auth_message, "%.*s,%s,%.*s", TEXT_ARGS(scram->first.bare),
                          scram->server_first, TEXT_ARGS(final.without_proof));
    if (length < 0 || (size_t)length >= sizeof scram->auth_message)
        return FINAL_MALFORMED;
    return text_equal(final.nonce, text_of(scram->nonce)) && is_binding_right(session, scram, final.channel_binding)
               ? FINAL_WHOLE
               : FINAL_WRONG;
}

/* server-final-message = "v=" signature; behind it comes the 235. */
static enum exchange say_final(struct session *session, struct login_attempt *attempt, struct text signature) {
    char encoded[128], message[160];

    (void)text_base64_encode(signature, encoded, sizeof encoded);
    (void)snprintf(message, sizeof message, "v=%s", encoded);
    return mechanism_conclude(session, attempt, text_of(message));
}

static enum exchange check(struct session *session, struct login_attempt *attempt, const struct scram *scram) {
    const struct lookup_scram_finish question = {.user = text_of(scram->first.user),
                                                 .auth_message = text_of(scram->auth_message),
                                                 .proof = {scram->proof, scram->proof_length}};
    struct lookup_scram_verdict verdict;

    ask_scram_finish(session->start->lookup, &question, &verdict);
    attempt->outcome = (enum login_outcome)verdict.outcome;
    (void)text_copy(attempt->account, sizeof attempt->account, verdict.account);
    mechanism_judge(session,
                    attempt); /* a locked account shows no signature: it would say that the password is right */
    return attempt->outcome == LOGIN_OK ? say_final(session, attempt, verdict.signature) : EXCHANGE_DONE;
}

static enum exchange lead(struct session *session, struct login_attempt *attempt, struct scram *scram) {
    struct text message;

    if (read_first(session, attempt, scram) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    attempt->outcome = LOGIN_TEMPFAIL;
    if (!make_server_first(session, scram))
        return EXCHANGE_DONE;
    if (mechanism_ask(session, attempt, text_of(scram->server_first), &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    enum final_outcome final = take_final(session, scram, message);
    if (final == FINAL_MALFORMED)
        return mechanism_is_malformed(session, "SCRAM");
    attempt->outcome = LOGIN_REFUSED;
    if (is_downgraded(session, scram))
        attempt->why = ": the client did not see that we offer channel binding";
    else if (final == FINAL_WRONG)
        attempt->why = ": its nonce or its channel binding is not this connection's";
    else
        return check(session, attempt, scram);
    return EXCHANGE_DONE;
}

static enum exchange begin(struct session *session, struct login_attempt *attempt, bool plus) {
    struct scram *scram = memory_new(1, sizeof *scram);

    scram->plus = plus;
    enum exchange exchange = lead(session, attempt, scram);
    explicit_bzero(scram, sizeof *scram);
    free(scram);
    return exchange;
}

enum exchange mechanism_scram(struct session *session, struct login_attempt *attempt) {
    return begin(session, attempt, false);
}

enum exchange mechanism_scram_plus(struct session *session, struct login_attempt *attempt) {
    return begin(session, attempt, true);
}
