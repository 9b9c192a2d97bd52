/* SPDX-License-Identifier: MIT
 * OAUTHBEARER (RFC 7628) and XOAUTH2: the client shows a token, and who the operator named (oauth_check) says whose it
 * is. Called by AUTH within TLS, confined; a connection from the connector for each token. The token goes to it alone,
 * as input and never as an argument, appears in no log and is wiped. Who does not answer is a temporary failure. */
#include "base/clock.h"
#include "base/log.h"
#include "receiver/login/mechanism.h"
#include "smtp/bearer_message.h"
#include <string.h>

#define ANSWER_MAXIMUM 1024
#define QUESTION_MAXIMUM (MECHANISM_LINE_MAXIMUM + 2048)

typedef bool parse_function(struct text message, struct bearer *bearer);

static bool write_question(struct stream *stream, const struct session *session, const struct login_attempt *attempt,
                           const struct bearer *bearer, int64_t deadline) {
    struct buffer question;

    buffer_init(&question, QUESTION_MAXIMUM);
    bool good = buffer_format(&question, "mechanism=%s\nuser=%s\nclient=%s\ntoken=%.*s\n\n",
                              auth_mechanism_names[attempt->mechanism], bearer->user, session->client.peer_ip,
                              TEXT_ARGS(bearer->token)) &&
                stream_write(stream, question.data, question.length, deadline) == STREAM_OK &&
                stream_flush(stream, deadline) == STREAM_OK;
    explicit_bzero(question.data, question.length);
    buffer_free(&question);
    return good;
}

/* answer = "OK" SP login / "NO" [SP words for the log] */
static void take_answer(struct session *session, struct login_attempt *attempt, struct text answer) {
    char shown[256];
    struct text word = text_first(answer, text_find(answer, ' ')), rest = text_from(answer, word.length + 1);

    attempt->outcome = LOGIN_TEMPFAIL;
    if (text_equal(word, TEXT("OK")) && rest.length > 0) {
        attempt->outcome = LOGIN_OK;
        mechanism_take_account(session, attempt, rest);
    } else if (text_equal(word, TEXT("NO"))) {
        attempt->outcome = LOGIN_REFUSED;
        log_info("oauth_check refuses a token: %s", text_printable(shown, sizeof shown, rest));
    } else
        log_error("oauth_check gives what is no answer: %s", text_printable(shown, sizeof shown, answer));
}

static void check(struct session *session, struct login_attempt *attempt, const struct bearer *bearer) {
    int64_t deadline = clock_deadline(1000 * session->config->auth_timeout);
    char why[256];
    int fd = ask_connection(session->start->connector, OUTSIDE_PROGRAM, 0, why, sizeof why);
    struct stream stream;
    struct text answer;

    attempt->outcome = LOGIN_TEMPFAIL;
    if (fd < 0) {
        log_error("oauth_check cannot be asked: %s", why);
        return;
    }
    stream_init(&stream, fd, ANSWER_MAXIMUM, QUESTION_MAXIMUM);
    if (write_question(&stream, session, attempt, bearer, deadline) &&
        stream_read_line_lenient(&stream, ANSWER_MAXIMUM, deadline, &answer) == STREAM_OK)
        take_answer(session, attempt, answer);
    else
        log_error("oauth_check does not answer");
    stream_close(&stream);
}

static enum exchange lead(struct session *session, struct login_attempt *attempt, parse_function *parse) {
    struct text message;
    struct bearer bearer;

    if (mechanism_begin(session, attempt, &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    if (!parse(message, &bearer))
        return mechanism_is_malformed(session, "bearer");
    (void)text_copy(attempt->user, sizeof attempt->user, text_of(bearer.user[0] != '\0' ? bearer.user : "(token)"));
    check(session, attempt, &bearer);
    explicit_bzero(attempt->message, MECHANISM_MESSAGE_SIZE);
    /* A token is one login's, whoever the client says it is. */
    if (attempt->outcome == LOGIN_OK && bearer.user[0] != '\0') {
        (void)text_copy(attempt->identity, sizeof attempt->identity, text_of(bearer.user));
        (void)text_copy(attempt->user, sizeof attempt->user, text_of(attempt->account));
    }
    return EXCHANGE_DONE;
}

enum exchange mechanism_oauthbearer(struct session *session, struct login_attempt *attempt) {
    return lead(session, attempt, bearer_parse_oauthbearer);
}

enum exchange mechanism_xoauth2(struct session *session, struct login_attempt *attempt) {
    return lead(session, attempt, bearer_parse_xoauth2);
}

/* RFC 7628 3.2.2: why, which the client answers with nothing; then comes the 535. */
enum exchange mechanism_bearer_refuse(struct session *session, struct login_attempt *attempt) {
    struct text answer;

    return mechanism_ask(session, attempt, TEXT("{\"status\":\"invalid_token\",\"schemes\":\"bearer\"}"), &answer);
}
