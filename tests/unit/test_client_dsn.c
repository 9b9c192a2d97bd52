/* SPDX-License-Identifier: MIT
 * The client and RFC 3461: parameters go to servers that offer DSN and to no others; what a server said is told apart
 * from our own words. */
#include "smtp/client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted_server.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define BODY "DATA\r\nm\r\n.\r\nQUIT\r\n"

static const struct {
    const char *sentence, *server, *wire; /* wire: after EHLO; NULL: not compared */
    enum client_verdict first, second;
    bool first_from_server, second_from_server;
} rows[] = {
    {"a server that offers DSN gets what was asked",
     "220 hi\r\n250-x\r\n250 DSN\r\n250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     "MAIL FROM:<s@us.test> RET=HDRS ENVID=a+20b\r\nRCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@o\r\n"
     "RCPT TO:<b@x.test>\r\n" BODY,
     CLIENT_DELIVERED, CLIENT_DELIVERED, true, true},
    {"any other gets none of it",
     "220 hi\r\n250-x\r\n250 SIZE\r\n250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     "MAIL FROM:<s@us.test> SIZE=3\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n" BODY, CLIENT_DELIVERED,
     CLIENT_DELIVERED, true, true},
    {"what it refused it said itself",
     "220 hi\r\n250-x\r\n250 DSN\r\n250 m\r\n550 5.1.1 no\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n", NULL,
     CLIENT_FAILED, CLIENT_DELIVERED, true, true},
    {"of a lost connection we speak", "220 hi\r\n250-x\r\n250 DSN\r\n250 m\r\n550 5.1.1 no\r\n250 r\r\n354 go\r\n",
     NULL, CLIENT_FAILED, CLIENT_DEFERRED, true, false},
    {"a refused MAIL is said for all", "220 hi\r\n250 x\r\n553 5.1.8 no\r\n221 bye\r\n", NULL, CLIENT_FAILED,
     CLIENT_FAILED, true, true},
};

static bool give_content(void *context, bool rewind, struct text *piece) {
    static bool given;
    given = given && !rewind;
    *piece = given ? TEXT_NONE : text_of(context);
    given = true;
    return true;
}

static void parameters_go_where_dsn_is_offered_and_replies_are_told_apart(void **state) {
    static char content[] = "m\r\n";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scripted_server server;
        struct client_settings settings = {
            .own_name = "us.test", .timeout_cap = 1, .trace = scripted_trace, .context = &server};
        struct client_recipient recipients[] = {
            {.address = "a@x.test", .notify = "SUCCESS,DELAY", .orcpt = "rfc822;o@o"},
            {.address = "b@x.test", .notify = "", .orcpt = ""},
        };
        struct client_message message = {.from = "s@us.test",
                                         .ret = "HDRS",
                                         .envid = "a+20b",
                                         .size = 3,
                                         .content = give_content,
                                         .context = content,
                                         .recipients = recipients,
                                         .count = 2};
        struct client client;
        char wire[1000];
        int ends[2];
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        scripted_begin(&server, ends[1], text_of(rows[i].server), false);
        assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
        assert_int_equal(client_send(&client, &message), CLIENT_SENT);
        client_quit(&client);
        assert_int_equal(recipients[0].verdict, rows[i].first);
        assert_int_equal(recipients[1].verdict, rows[i].second);
        assert_int_equal(recipients[0].from_server, rows[i].first_from_server);
        assert_int_equal(recipients[1].from_server, rows[i].second_from_server);
        ssize_t length = recv(ends[1], wire, sizeof wire - 1, MSG_DONTWAIT);
        assert_true(length > 0);
        wire[length] = '\0';
        if (rows[i].wire != NULL) {
            assert_string_equal(strstr(wire, "MAIL"), rows[i].wire);
        }
        close(ends[1]);
    }
}

static void without_smtputf8_the_words_are_ours(void **state) {
    static char content[] = "m\r\n";
    static const char server[] = "220 hi\r\n250 x\r\n221 bye\r\n";
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    struct client_recipient recipient = {.address = "\xc3\xa4@x.test", .notify = "", .orcpt = ""};
    struct client_message message = {.from = "",
                                     .ret = "",
                                     .envid = "",
                                     .content = give_content,
                                     .context = content,
                                     .recipients = &recipient,
                                     .count = 1};
    struct client client;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], server, sizeof server - 1), sizeof server - 1);
    shutdown(ends[1], SHUT_WR);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    assert_int_equal(recipient.verdict, CLIENT_FAILED);
    assert_false(recipient.from_server);
    client_quit(&client);
    close(ends[1]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_go_where_dsn_is_offered_and_replies_are_told_apart),
        cmocka_unit_test(without_smtputf8_the_words_are_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
