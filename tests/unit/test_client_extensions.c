/* SPDX-License-Identifier: MIT
 * The client and what a server offers: a message that needs an extension goes with it, or is returned with the code for
 * its absence (RFC 3030, 8689, 9422, 3865); nothing is ever changed to do without. */
#include "smtp/client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted_server.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define BINARY "a\nb\rc"
#define HELLO(keywords) "220 hi\r\n250-x\r\n" keywords "250 HELP\r\n"
#define MAIL(parameters) "EHLO us.test\r\nMAIL FROM:<s@us.test>" parameters "\r\n"
#define RCPT "RCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\n"
#define BOTH "250-CHUNKING\r\n250-BINARYMIME\r\n"

static const struct row {
    const char *sentence, *server, *wire;
    const char *verdicts, *reply; /* of a, b, c; of the last one, its start */
    const char *from, *solicit;
    bool binary, requiretls, verified, tls, lmtp;
} rows[] = {
    {.sentence = "what is binary goes as one chunk",
     .server = HELLO(BOTH) "250 m\r\n250 r\r\n550 no\r\n250 r\r\n250 ok\r\n221 bye\r\n",
     .wire = MAIL(" BODY=BINARYMIME") RCPT "BDAT 5 LAST\r\n" BINARY "QUIT\r\n",
     .verdicts = "DFD",
     .reply = "250 ok",
     .binary = true},
    {.sentence = "pipelined too, and nothing when everybody is refused",
     .server = HELLO("250-PIPELINING\r\n" BOTH) "250 m\r\n550 no\r\n550 no\r\n450 no\r\n221 bye\r\n",
     .wire = MAIL(" BODY=BINARYMIME") RCPT "QUIT\r\n",
     .verdicts = "FFT",
     .reply = "450 no",
     .binary = true},
    {.sentence = "LMTP answers the chunk for each recipient",
     .server = HELLO(BOTH) "250 m\r\n250 r\r\n550 no\r\n250 r\r\n250 ok\r\n552 full\r\n221 bye\r\n",
     .wire = "LHLO us.test\r\nMAIL FROM:<s@us.test> BODY=BINARYMIME\r\n" RCPT "BDAT 5 LAST\r\n" BINARY "QUIT\r\n",
     .verdicts = "DFF",
     .reply = "552 full",
     .binary = true,
     .lmtp = true},
    {.sentence = "a chunk that is refused",
     .server = HELLO(BOTH) "250 m\r\n250 r\r\n250 r\r\n250 r\r\n554 5.6.0 no\r\n221 bye\r\n",
     .wire = MAIL(" BODY=BINARYMIME") RCPT "BDAT 5 LAST\r\n" BINARY "QUIT\r\n",
     .verdicts = "FFF",
     .reply = "554 5.6.0 no",
     .binary = true},
    {.sentence = "CHUNKING alone carries lines only",
     .server = HELLO("250-CHUNKING\r\n250-8BITMIME\r\n") "221 bye\r\n",
     .wire = "EHLO us.test\r\nQUIT\r\n",
     .verdicts = "FFF",
     .reply = "554 5.6.3 the message is binary",
     .binary = true},
    {.sentence = "BINARYMIME without CHUNKING is none",
     .server = HELLO("250-BINARYMIME\r\n250-8BITMIME\r\n") "221 bye\r\n",
     .wire = "EHLO us.test\r\nQUIT\r\n",
     .verdicts = "FFF",
     .reply = "554 5.6.3 the message is binary",
     .binary = true},
    {.sentence = "REQUIRETLS goes on where it is offered within TLS that is verified",
     .server = HELLO("250-REQUIRETLS\r\n") "250 m\r\n250 r\r\n250 r\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     .wire = MAIL(" REQUIRETLS") RCPT "DATA\r\n"
                                      "a\r\nb\r\nc\r\n.\r\nQUIT\r\n",
     .verdicts = "DDD",
     .reply = "250 ok",
     .requiretls = true,
     .tls = true,
     .verified = true},
    {.sentence = "not where it is not offered",
     .server = HELLO("") "221 bye\r\n",
     .wire = "EHLO us.test\r\nQUIT\r\n",
     .verdicts = "FFF",
     .reply = "550 5.7.30 the message asks for REQUIRETLS and the server does not offer it",
     .requiretls = true,
     .tls = true,
     .verified = true},
    {.sentence = "not to a certificate of anybody's",
     .server = HELLO("250-REQUIRETLS\r\n") "221 bye\r\n",
     .wire = "EHLO us.test\r\nQUIT\r\n",
     .verdicts = "FFF",
     .reply = "550 5.7.30 the message asks for REQUIRETLS and the server's certificate",
     .requiretls = true,
     .tls = true},
    {.sentence = "not in plain text",
     .server = HELLO("250-REQUIRETLS\r\n") "221 bye\r\n",
     .wire = "EHLO us.test\r\nQUIT\r\n",
     .verdicts = "FFF",
     .reply = "550 5.7.30 the message asks for REQUIRETLS and the server has no TLS",
     .requiretls = true},
    {.sentence = "a notice is not lost for it",
     .server = HELLO("") "250 m\r\n250 r\r\n250 r\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     .wire = "EHLO us.test\r\nMAIL FROM:<>\r\n" RCPT "DATA\r\n"
             "a\r\nb\r\nc\r\n.\r\nQUIT\r\n",
     .verdicts = "DDD",
     .reply = "250 ok",
     .from = "",
     .requiretls = true},
    {.sentence = "as many recipients as the server takes at once",
     .server = HELLO("250-LIMITS RCPTMAX=2 X=1\r\n") "250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 one\r\n250 rset\r\n250 "
                                                     "m\r\n250 r\r\n354 go\r\n250 two\r\n221 bye\r\n",
     .wire = MAIL("") "RCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
                      "a\r\nb\r\nc\r\n.\r\nRSET\r\nMAIL FROM:<s@us.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n"
                      "a\r\nb\r\nc\r\n.\r\nQUIT\r\n",
     .verdicts = "DDD",
     .reply = "250 two"},
    {.sentence = "and as many messages",
     .server =
         HELLO("250-LIMITS MAILMAX=1 RCPTMAX=2\r\n") "250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 one\r\n221 bye\r\n",
     .wire = MAIL("") "RCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
                      "a\r\nb\r\nc\r\n.\r\nQUIT\r\n",
     .verdicts = "DDT",
     .reply = "451 4.5.3"},
    {.sentence = "the second part of a list meets a connection that is lost",
     .server = HELLO("250-LIMITS RCPTMAX=2\r\n") "250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 one\r\n",
     .wire = NULL,
     .verdicts = "DDT",
     .reply = "451 4.4.2"},
    {.sentence = "what solicits says so on",
     .server = HELLO("250-NO-SOLICITING\r\n") "250 m\r\n250 r\r\n250 r\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     .wire = MAIL(" SOLICIT=net.example:ADV") RCPT "DATA\r\n"
                                                   "a\r\nb\r\nc\r\n.\r\nQUIT\r\n",
     .verdicts = "DDD",
     .reply = "250 ok",
     .solicit = "net.example:ADV"},
};

static bool give_content(void *context, bool rewind, struct text *piece) {
    static bool given;
    given = given && !rewind;
    *piece = given ? TEXT_NONE : text_of(context);
    given = true;
    return true;
}

static char letter(enum client_verdict verdict) {
    return verdict == CLIENT_DELIVERED ? 'D' : verdict == CLIENT_DEFERRED ? 'T' : verdict == CLIENT_FAILED ? 'F' : '?';
}

static void check_wire(int fd, const char *expected) {
    char wire[2000];
    size_t length = 0;
    ssize_t got;
    while ((got = recv(fd, wire + length, sizeof wire - 1 - length, MSG_DONTWAIT)) > 0) {
        length += (size_t)got;
    }
    wire[length] = '\0';
    if (expected != NULL) {
        assert_string_equal(wire, expected);
    }
}

static void play(const struct row *row) {
    static char content[] = BINARY;
    struct scripted_server server;
    const struct client_settings settings = {
        .own_name = "us.test", .timeout_cap = 1, .lmtp = row->lmtp, .trace = scripted_trace, .context = &server};
    struct client_recipient recipients[] = {
        {.address = "a@x.test", .notify = "", .orcpt = ""},
        {.address = "b@x.test", .notify = "", .orcpt = ""},
        {.address = "c@x.test", .notify = "", .orcpt = ""},
    };
    struct client_message message = {.from = row->from != NULL ? row->from : "s@us.test",
                                     .ret = "",
                                     .envid = "",
                                     .size = sizeof content - 1,
                                     .binary = row->binary,
                                     .requiretls = row->requiretls,
                                     .verified = row->verified,
                                     .solicit = row->solicit,
                                     .content = give_content,
                                     .context = content,
                                     .recipients = recipients,
                                     .count = COUNT_OF(recipients)};
    struct client client;
    int ends[2];
    print_message("%s\n", row->sentence);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    scripted_begin(&server, ends[1], text_of(row->server), row->lmtp);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    client.tls = row->tls;
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    client_quit(&client);
    for (size_t i = 0; i < COUNT_OF(recipients); i++) {
        assert_int_equal(letter(recipients[i].verdict), row->verdicts[i]);
    }
    assert_memory_equal(recipients[2].reply, row->reply, strlen(row->reply));
    check_wire(ends[1], row->wire);
    close(ends[1]);
}

static void a_message_goes_as_the_server_can_take_it_or_not_at_all(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        play(&rows[i]);
    }
}

/* A server that takes three bytes of five must not believe that they are all. */
static bool give_less(void *context, bool rewind, struct text *piece) {
    static bool given;
    (void)context;
    given = given && !rewind;
    *piece = given ? TEXT_NONE : TEXT("abc");
    given = true;
    return true;
}

static void a_chunk_that_cannot_be_filled_is_never_ended(void **state) {
    const struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    struct client_recipient recipient = {.address = "a@x.test", .notify = "", .orcpt = ""};
    struct client_message message = {.from = "s@us.test",
                                     .ret = "",
                                     .envid = "",
                                     .size = 5,
                                     .binary = true,
                                     .content = give_less,
                                     .recipients = &recipient,
                                     .count = 1};
    static const char server[] = HELLO(BOTH) "250 m\r\n250 r\r\n250 never\r\n";
    struct client client;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], server, sizeof server - 1), sizeof server - 1);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    assert_int_equal(recipient.verdict, CLIENT_DEFERRED);
    assert_false(client.open);
    client_quit(&client);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_as_the_server_can_take_it_or_not_at_all),
        cmocka_unit_test(a_chunk_that_cannot_be_filled_is_never_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
