/* SPDX-License-Identifier: MIT
 * Unit test of receiver/command: the table of commands is complete, and its flags say what is allowed when. */
#include "receiver/commands/command.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static void the_table_is_complete(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        assert_non_null(commands[i].verb);
        assert_non_null(commands[i].handle);
        assert_int_not_equal(commands[i].states, 0);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(commands[i].verb, commands[other].verb);
    }
}

static void verbs_are_found_whole(void **state) {
    (void)state;
    assert_ptr_equal(command_find(TEXT("mail")), command_find(TEXT("MAIL")));
    assert_non_null(command_find(TEXT("Data")));
    assert_null(command_find(TEXT("DATABASE")));
    assert_null(command_find(TEXT("DAT")));
    assert_null(command_find(TEXT("")));
    assert_true(command_is_http(TEXT("GET")));
    assert_true(command_is_http(TEXT("host:")));
    assert_false(command_is_http(TEXT("MAIL")));
}

/* What is said of a session when a command comes. */
struct situation {
    const char *sentence, *verb, *argument;
    enum listen_role role;
    enum session_state state;
    bool certificate, tls, login;
    enum listen_tls tls_mode;
    enum listen_auth auth;
    unsigned tried;
    size_t accepted;
    unsigned code; /* 0: allowed */
};
static const struct situation rows[] = {
    {"MAIL before EHLO", "MAIL", "FROM:<>", .state = SESSION_GREETED, .code = 503},
    {"MAIL after EHLO", "MAIL", "FROM:<>", .state = SESSION_READY},
    {"nested MAIL", "MAIL", "FROM:<>", .state = SESSION_MAIL, .code = 503},
    {"RCPT before MAIL", "RCPT", "TO:<a@b>", .state = SESSION_READY, .code = 503},
    {"RCPT after MAIL", "RCPT", "TO:<a@b>", .state = SESSION_MAIL},
    {"DATA before MAIL", "DATA", "", .state = SESSION_READY, .code = 503},
    {"DATA before RCPT", "DATA", "", .state = SESSION_MAIL, .code = 503},
    {"DATA when no RCPT was accepted", "DATA", "", .state = SESSION_MAIL, .tried = 1, .code = 554},
    {"DATA when one was", "DATA", "", .state = SESSION_MAIL, .tried = 2, .accepted = 1},
    {"DATA with an argument", "DATA", "x", .state = SESSION_MAIL, .tried = 1, .accepted = 1, .code = 501},
    {"RSET with an argument", "RSET", "x", .state = SESSION_READY, .code = 501},
    {"NOOP with an argument", "NOOP", "x", .state = SESSION_READY},
    {"QUIT before EHLO", "QUIT", "", .state = SESSION_GREETED},
    {"EHLO again", "EHLO", "x.test", .state = SESSION_READY},
    {"EHLO within a transaction", "EHLO", "x.test", .state = SESSION_MAIL},
    {"STARTTLS without a certificate", "STARTTLS", "", .state = SESSION_READY, .code = 454},
    {"STARTTLS", "STARTTLS", "", .state = SESSION_READY, .certificate = true},
    {"STARTTLS before EHLO", "STARTTLS", "", .state = SESSION_GREETED, .certificate = true, .code = 503},
    {"STARTTLS within TLS", "STARTTLS", "", .state = SESSION_READY, .certificate = true, .tls = true, .code = 503},
    {"AUTH before TLS", "AUTH", "PLAIN", .role = ROLE_SUBMISSION, .state = SESSION_READY, .code = 538},
    {"AUTH before TLS on port 25", "AUTH", "PLAIN", .role = ROLE_MX, .state = SESSION_READY, .code = 538},
    {"AUTH within TLS where it is forbidden", "AUTH", "PLAIN", .state = SESSION_READY, .tls = true,
     .auth = LISTEN_AUTH_FORBIDDEN, .code = 502},
    {"AUTH before TLS where it is required", "AUTH", "PLAIN", .state = SESSION_READY, .tls_mode = LISTEN_TLS_REQUIRED,
     .code = 530},
    {"MAIL before TLS where it is required", "MAIL", "FROM:<>", .state = SESSION_READY, .tls_mode = LISTEN_TLS_REQUIRED,
     .code = 530},
    {"MAIL within TLS where it is required", "MAIL", "FROM:<>", .state = SESSION_READY, .tls_mode = LISTEN_TLS_REQUIRED,
     .tls = true},
    {"NOOP before TLS where it is required", "NOOP", "", .state = SESSION_GREETED, .tls_mode = LISTEN_TLS_REQUIRED},
    {"QUIT before TLS where it is required", "QUIT", "", .state = SESSION_GREETED, .tls_mode = LISTEN_TLS_REQUIRED},
    {"VRFY before TLS where it is required", "VRFY", "x", .state = SESSION_READY, .tls_mode = LISTEN_TLS_REQUIRED,
     .code = 530},
    {"STARTTLS where it is required", "STARTTLS", "", .state = SESSION_READY, .certificate = true,
     .tls_mode = LISTEN_TLS_REQUIRED},
    {"STARTTLS where it is forbidden", "STARTTLS", "", .state = SESSION_READY, .certificate = true,
     .tls_mode = LISTEN_TLS_FORBIDDEN, .code = 502},
    {"AUTH within TLS", "AUTH", "PLAIN", .role = ROLE_SUBMISSION, .state = SESSION_READY, .tls = true},
    {"AUTH on the internal port", "AUTH", "PLAIN", .role = ROLE_INTERNAL, .state = SESSION_READY, .tls = true},
    {"a second AUTH", "AUTH", "PLAIN", .role = ROLE_SUBMISSION, .state = SESSION_READY, .tls = true, .login = true,
     .code = 503},
    {"DATA behind a chunk", "DATA", "", .state = SESSION_BDAT, .tried = 1, .accepted = 1, .code = 503},
    {"RCPT behind a chunk", "RCPT", "TO:<a@b>", .state = SESSION_BDAT, .tried = 1, .accepted = 1, .code = 503},
    {"BDAT behind a chunk", "BDAT", "1", .state = SESSION_BDAT, .tried = 1, .accepted = 1},
    {"RSET behind a chunk", "RSET", "", .state = SESSION_BDAT},
    {"BDAT before RCPT", "BDAT", "1", .state = SESSION_MAIL, .code = 503},
    {"BDAT when no RCPT was accepted", "BDAT", "1 LAST", .state = SESSION_MAIL, .tried = 1, .code = 554},
    {"LMTP: DATA when no RCPT was accepted", "DATA", "", .role = ROLE_LMTP, .state = SESSION_MAIL, .tried = 1,
     .code = 503},
    {"LMTP: DATA when one was", "DATA", "", .role = ROLE_LMTP, .state = SESSION_MAIL, .tried = 2, .accepted = 1},
    {"LMTP: AUTH", "AUTH", "PLAIN", .role = ROLE_LMTP, .state = SESSION_READY, .tls = true,
     .auth = LISTEN_AUTH_FORBIDDEN, .code = 502},
    {"AUTH within a transaction", "AUTH", "PLAIN", .role = ROLE_SUBMISSION, .state = SESSION_MAIL, .tls = true,
     .code = 503},
};

static void build(const struct situation *row, struct process_start *start, struct session *session) {
    static const struct config config;

    memset(start, 0, sizeof *start);
    memset(session, 0, sizeof *session);
    session->config = &config;
    if (row->certificate)
        start->tls = (struct tls_server *)start; /* never looked into */
    session->start = start;
    session->client.role = row->role;
    session->client.tls_mode = row->tls_mode;
    session->client.auth = row->auth;
    session->state = row->state;
    session->tls = row->tls;
    (void)text_copy(session->account, sizeof session->account, row->login ? TEXT("coco@example.test") : TEXT_NONE);
    session->transaction.tried = row->tried;
    session->transaction.envelope.recipient_count = row->accepted;
}

static void flags_say_what_is_allowed(void **state) {
    static struct process_start start;
    static struct session session;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply reply = {.code = 0};
        build(&rows[i], &start, &session);
        const struct command *command = command_find(text_of(rows[i].verb));
        bool refused = command_is_refused(&session, command, text_of(rows[i].argument), &reply);
        if (refused != (rows[i].code != 0) || reply.code != rows[i].code)
            fail_msg("%s: %u %s", rows[i].sentence, reply.code, reply.text);
    }
}

static void ehlo_offers_what_can_be_used(void **state) {
    const struct situation plain = {.role = ROLE_SUBMISSION, .certificate = true};
    const struct situation encrypted = {.role = ROLE_SUBMISSION, .certificate = true, .tls = true};
    const struct situation stranger = {.certificate = true, .tls = true, .auth = LISTEN_AUTH_FORBIDDEN};
    const struct situation closed = {.certificate = true, .tls_mode = LISTEN_TLS_FORBIDDEN};
    const struct situation bare = {.role = ROLE_MX};
    static struct process_start start;
    static struct session session;

    (void)state;
    build(&plain, &start, &session);
    assert_true(command_is_offered(&session, command_find(TEXT("STARTTLS"))));
    assert_false(command_is_offered(&session, command_find(TEXT("AUTH"))));
    build(&encrypted, &start, &session);
    assert_false(command_is_offered(&session, command_find(TEXT("STARTTLS"))));
    assert_true(command_is_offered(&session, command_find(TEXT("AUTH"))));
    build(&stranger, &start, &session);
    assert_false(command_is_offered(&session, command_find(TEXT("AUTH"))));
    build(&closed, &start, &session);
    assert_false(command_is_offered(&session, command_find(TEXT("STARTTLS"))));
    build(&bare, &start, &session);
    assert_false(command_is_offered(&session, command_find(TEXT("STARTTLS"))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(verbs_are_found_whole),
        cmocka_unit_test(flags_say_what_is_allowed),
        cmocka_unit_test(ehlo_offers_what_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
