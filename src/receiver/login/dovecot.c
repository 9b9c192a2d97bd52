/* SPDX-License-Identifier: MIT
 * Dovecot's authentication protocol, client side ("Dovecot Authentication Protocol v1.1"): lines of fields between
 * tabs. Called by EHLO and AUTH within TLS, confined; one connection a session, opened by the connector. What the
 * client sends is checked to be base64 and handed on. Dovecot is the operator's, but what it says is bounded; whatever
 * goes wrong is a temporary failure, and ends the connection. */
#include "receiver/login/dovecot.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAXIMUM 16384
#define LINES_MAXIMUM 64 /* of the handshake, and between question and answer */
#define FALLBACK (1u << MECHANISM_PLAIN | 1u << MECHANISM_LOGIN)

struct dovecot {
    struct stream stream;
    bool open;
    uint32_t mechanisms, serial;
};

void dovecot_free(struct session *session) {
    if (session->dovecot == NULL)
        return;
    if (session->dovecot->open)
        stream_close(&session->dovecot->stream);
    free(session->dovecot);
    session->dovecot = NULL;
}

static void give_up(struct dovecot *dovecot, const char *why) {
    log_error("Dovecot cannot be asked about a login: %s", why);
    if (dovecot->open)
        stream_close(&dovecot->stream);
    dovecot->open = false;
}

static int64_t deadline_of(const struct session *session) {
    return clock_deadline(1000 * session->config->auth_timeout);
}

static bool say(struct dovecot *dovecot, struct text line, int64_t deadline) {
    return stream_write(&dovecot->stream, line.data, line.length, deadline) == STREAM_OK &&
           stream_flush(&dovecot->stream, deadline) == STREAM_OK;
}

/* The next line, and its first field. */
static bool hear(struct dovecot *dovecot, int64_t deadline, struct text *rest, struct text *verb) {
    return stream_read_line_lenient(&dovecot->stream, LINE_MAXIMUM, deadline, rest) == STREAM_OK &&
           text_split(rest, '\t', verb);
}

/* ---- the beginning ---- */

/* Of those that bind to the channel it knows nothing: the TLS connection is ours. */
static void take_mechanism(struct dovecot *dovecot, struct text name) {
    enum auth_mechanism mechanism = auth_mechanism_find(name);

    if (mechanism < AUTH_MECHANISMS && mechanism != MECHANISM_SCRAM_SHA_256_PLUS)
        dovecot->mechanisms |= 1u << mechanism;
}

static bool shake_hands(struct dovecot *dovecot, int64_t deadline) {
    char hello[64];
    struct text rest, verb, field;
    int length = snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());

    dovecot->mechanisms = 0;
    if (!say(dovecot, (struct text){hello, (size_t)length}, deadline))
        return false;
    for (int i = 0; i < LINES_MAXIMUM && hear(dovecot, deadline, &rest, &verb); i++) {
        if (text_equal(verb, TEXT("DONE")))
            return true;
        if (text_equal(verb, TEXT("VERSION")) && (!text_split(&rest, '\t', &field) || !text_equal(field, TEXT("1"))))
            return false;
        if (text_equal(verb, TEXT("MECH")) && text_split(&rest, '\t', &field))
            take_mechanism(dovecot, field);
    }
    return false;
}

/* One that has closed the connection since, because it was started anew, is asked again. */
static bool is_alive(struct dovecot *dovecot) {
    if (!dovecot->open)
        return false;
    enum stream_result result = stream_fill(&dovecot->stream, clock_now_ms());
    if (result == STREAM_TIMEOUT || result == STREAM_OK)
        return true;
    stream_close(&dovecot->stream);
    dovecot->open = false;
    return false;
}

static bool open_connection(struct session *session) {
    char why[256];

    if (session->dovecot == NULL)
        session->dovecot = memory_new(1, sizeof *session->dovecot);
    struct dovecot *dovecot = session->dovecot;
    if (is_alive(dovecot))
        return true;
    int fd = ask_connection(session->start->connector, OUTSIDE_LOGIN, 0, why, sizeof why);
    if (fd < 0) {
        give_up(dovecot, why);
        return false;
    }
    stream_init(&dovecot->stream, fd, LINE_MAXIMUM, LINE_MAXIMUM);
    dovecot->open = true;
    if (shake_hands(dovecot, deadline_of(session)))
        return true;
    give_up(dovecot, "it does not begin as its protocol 1.1 says");
    return false;
}

uint32_t dovecot_mechanisms(struct session *session) {
    return open_connection(session) ? session->dovecot->mechanisms : FALLBACK;
}

/* ---- one login ---- */

/* Names that strangers wrote come back escaped (\001 and a digit) and are shown by the log as what they are. */
static struct text find_parameter(struct text rest, struct text name) {
    struct text field;

    while (text_split(&rest, '\t', &field))
        if (text_starts_nocase(field, name))
            return text_from(field, name.length);
    return TEXT_NONE;
}

static bool has_parameter(struct text rest, struct text name) {
    struct text field;

    while (text_split(&rest, '\t', &field))
        if (text_equal(field, name))
            return true;
    return false;
}

static void take_user(struct session *session, struct login_attempt *attempt, struct text rest) {
    struct text user = find_parameter(rest, TEXT("user="));

    (void)text_copy(attempt->user, sizeof attempt->user, user);
    if (user.length > 0)
        mechanism_take_account(session, attempt, user);
}

static bool begin(struct session *session, const struct login_attempt *attempt, int64_t deadline) {
    const struct session_client *client = &session->client;
    struct dovecot *dovecot = session->dovecot;
    struct buffer line;
    bool empty = text_equal(attempt->initial, TEXT("="));

    buffer_init_wiped(&line, LINE_MAXIMUM);
    bool good = buffer_format(
        &line, "AUTH\t%u\t%s\tservice=smtp\tsecured\tnologin\tfinal-resp-ok\tlip=%s\trip=%s\tlport=%u\trport=%u",
        (unsigned)++dovecot->serial, auth_mechanism_names[attempt->mechanism], client->local_ip, client->peer_ip,
        client->local_port, network_port(&client->peer));
    if (attempt->initial.length > 0) /* the last parameter */
        good = good && buffer_append_string(&line, "\tresp=") &&
               buffer_append_text(&line, empty ? TEXT_NONE : attempt->initial);
    good = good && buffer_append_byte(&line, '\n') && say(dovecot, buffer_text(&line), deadline);
    explicit_bzero(line.data, line.length);
    buffer_free(&line);
    return good;
}

/* CONT: the challenge goes to the client, what it answers goes back. */
static enum exchange go_on(struct session *session, struct login_attempt *attempt, struct text challenge) {
    char decoded[REPLY_TEXT_SIZE], line[LINE_MAXIMUM], encoded[LINE_MAXIMUM - 64];
    size_t length = 0;
    struct text answer;

    attempt->outcome = LOGIN_TEMPFAIL;
    if (challenge.length > 0 && !text_base64_decode(challenge, decoded, sizeof decoded, &length)) {
        give_up(session->dovecot, "its challenge is no base64, or too long");
        return EXCHANGE_DONE;
    }
    if (mechanism_ask(session, attempt, (struct text){decoded, length}, &answer) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    (void)text_base64_encode(answer, encoded, sizeof encoded);
    int size = snprintf(line, sizeof line, "CONT\t%u\t%s\n", (unsigned)session->dovecot->serial, encoded);
    if (!say(session->dovecot, (struct text){line, (size_t)size}, deadline_of(session)))
        give_up(session->dovecot, "it closes the connection");
    explicit_bzero(encoded, sizeof encoded);
    explicit_bzero(line, sizeof line);
    return EXCHANGE_DONE;
}

/* What comes behind a proof that is right (SCRAM's signature) is said to nobody whom we do not let in. */
static enum exchange conclude(struct session *session, struct login_attempt *attempt, struct text rest) {
    char decoded[REPLY_TEXT_SIZE];
    size_t length = 0;
    struct text last = find_parameter(rest, TEXT("resp="));

    if (attempt->outcome == LOGIN_OK && attempt->account[0] == '\0')
        attempt->outcome = LOGIN_TEMPFAIL;
    mechanism_judge(session, attempt);
    if (attempt->outcome != LOGIN_OK || last.length == 0)
        return EXCHANGE_DONE;
    if (text_base64_decode(last, decoded, sizeof decoded, &length))
        return mechanism_conclude(session, attempt, (struct text){decoded, length});
    attempt->outcome = LOGIN_TEMPFAIL;
    return EXCHANGE_DONE;
}

/* True when this line ends the login; *exchange says how. */
static bool take_line(struct session *session, struct login_attempt *attempt, struct text verb, struct text rest,
                      enum exchange *exchange) {
    struct text serial;
    uint64_t number;

    if (!text_split(&rest, '\t', &serial) || !text_number(serial, UINT32_MAX, &number) ||
        number != session->dovecot->serial)
        return false; /* another mechanism, or another login's */
    if (text_equal(verb, TEXT("CONT"))) {
        *exchange = go_on(session, attempt, rest);
        return *exchange != EXCHANGE_DONE || !session->dovecot->open;
    }
    bool right = text_equal(verb, TEXT("OK"));
    if (!right && !text_equal(verb, TEXT("FAIL")))
        return false;
    take_user(session, attempt, rest);
    attempt->outcome = right ? LOGIN_OK : has_parameter(rest, TEXT("temp")) ? LOGIN_TEMPFAIL : LOGIN_REFUSED;
    *exchange = conclude(session, attempt, rest);
    return true;
}

static enum exchange converse(struct session *session, struct login_attempt *attempt) {
    enum exchange exchange = EXCHANGE_DONE;
    struct text rest, verb;

    for (int i = 0; i < LINES_MAXIMUM && hear(session->dovecot, deadline_of(session), &rest, &verb); i++)
        if (take_line(session, attempt, verb, rest, &exchange))
            return exchange;
    give_up(session->dovecot, "it closes the connection, or does not answer");
    attempt->outcome = LOGIN_TEMPFAIL;
    return EXCHANGE_DONE;
}

enum exchange dovecot_lead(struct session *session, struct login_attempt *attempt) {
    struct text message;

    attempt->outcome = LOGIN_TEMPFAIL;
    if (attempt->initial.length > 0 && mechanism_begin(session, attempt, &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED; /* it is no base64 */
    if (!open_connection(session))
        return EXCHANGE_DONE;
    if (!begin(session, attempt, deadline_of(session))) {
        give_up(session->dovecot, "it does not read the question");
        return EXCHANGE_DONE;
    }
    enum exchange exchange = converse(session, attempt);
    if (exchange == EXCHANGE_REPLIED) /* cancelled: what it still waits for does not come */
        dovecot_free(session);
    return exchange;
}
