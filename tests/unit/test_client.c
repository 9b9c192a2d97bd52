/* SPDX-License-Identifier: MIT
 * The SMTP and LMTP client against scripted servers (scripted_server.h), or such as write all they will ever say ahead.
 * What the client wrote, and each recipient's verdict, are compared. */
#include "base/clock.h"
#include "smtp/client.h"
#include "smtp/client_private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted_server.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define HELLO "220 hi\r\n250-mx.test\r\n250 PIPELINING\r\n"
#define STEPWISE "220 hi\r\n250 mx.test\r\n"
#define RCPTS_MAXIMUM 3

struct script {
    const char *sentence;
    const char *server;
    const char *wire;     /* what the client writes, all of it; NULL: not compared */
    const char *verdicts; /* a letter each: D delivered, T deferred, F failed */
    const char *reply;    /* of the last recipient, or of the opening; its start */
    bool lmtp;
    bool closed; /* the connection must not be used again */
    const char *message;
    bool eight_bit, unconfirmed;
};

static bool give_content(void *context, bool rewind, struct text *piece) {
    static bool given;
    given = given && !rewind;
    *piece = given ? TEXT_NONE : text_of(context);
    given = true;
    return true;
}

/* A line for these recipients (borrowed). */
static struct client_message short_message(struct client_recipient *recipients, size_t count) {
    return (struct client_message){.from = "",
                                   .ret = "",
                                   .envid = "",
                                   .content = give_content,
                                   .context = (void *)(uintptr_t) "m\r\n",
                                   .recipients = recipients,
                                   .count = count};
}

static bool pretend_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    (void)stream;
    (void)deadline;
    text_copy(reason, size, TEXT("no common cipher"));
    return context == NULL;
}

static void scripted(int ends[2], const char *server) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], server, strlen(server)), strlen(server));
    shutdown(ends[1], SHUT_WR);
}

static void stepwise(int ends[2], struct scripted_server *server, const char *script, bool lmtp) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    scripted_begin(server, ends[1], text_of(script), lmtp);
}

static void read_wire(int fd, char *wire, size_t size) {
    size_t length = 0;
    ssize_t got;
    while ((got = recv(fd, wire + length, size - 1 - length, MSG_DONTWAIT)) > 0) {
        length += (size_t)got;
    }
    wire[length] = '\0';
    close(fd);
}

static char letter(enum client_verdict verdict) {
    return verdict == CLIENT_DELIVERED ? 'D' : verdict == CLIENT_DEFERRED ? 'T' : verdict == CLIENT_FAILED ? 'F' : '?';
}

static void play(const struct script *script) {
    struct scripted_server server;
    struct client_settings settings = {
        .own_name = "us.test", .lmtp = script->lmtp, .timeout_cap = 1, .trace = scripted_trace, .context = &server};
    struct client_recipient recipients[RCPTS_MAXIMUM] = {
        {.address = "a@x.test", .notify = "", .orcpt = ""},
        {.address = "b@x.test", .notify = "", .orcpt = ""},
        {.address = "c@x.test", .notify = "", .orcpt = ""},
    };
    const char *text = script->message != NULL ? script->message : "m\r\n";
    struct client_message message = {.from = "s@us.test",
                                     .ret = "",
                                     .envid = "",
                                     .size = strlen(text),
                                     .has_eight_bit = script->eight_bit,
                                     .content = give_content,
                                     .context = (void *)(uintptr_t)text,
                                     .recipients = recipients,
                                     .count = strlen(script->verdicts)};
    struct client client;
    char wire[8192];
    int ends[2];
    print_message("%s\n", script->sentence);
    stepwise(ends, &server, script->server, script->lmtp);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    for (size_t i = 0; i < message.count; i++) {
        assert_int_equal(letter(recipients[i].verdict), script->verdicts[i]);
    }
    if (script->reply != NULL) {
        assert_memory_equal(recipients[message.count - 1].reply, script->reply, strlen(script->reply));
    }
    assert_int_equal(client.open, !script->closed);
    assert_int_equal(message.unconfirmed, script->unconfirmed);
    client_quit(&client);
    read_wire(ends[1], wire, sizeof wire);
    if (script->wire != NULL) {
        assert_string_equal(wire, script->wire);
    }
}

#define M "EHLO us.test\r\nMAIL FROM:<s@us.test>\r\n"
#define R1 "RCPT TO:<a@x.test>\r\n"
#define R2 R1 "RCPT TO:<b@x.test>\r\n"
#define DATA_AND_QUIT "DATA\r\nm\r\n.\r\nQUIT\r\n"

static const struct script smtp_scripts[] = {
    {"one recipient, pipelined", HELLO "250 m\r\n250 r\r\n354 go\r\n250 2.0.0 taken\r\n221 bye\r\n", M R1 DATA_AND_QUIT,
     "D", "250 2.0.0 taken", false, false, NULL, false, false},
    {"one recipient, step by step", STEPWISE "250 m\r\n250 r\r\n354 go\r\n250 taken\r\n221 bye\r\n", M R1 DATA_AND_QUIT,
     "D", "250 taken", false, false, NULL, false, false},
    {"a refused recipient does not touch the other",
     HELLO "250 m\r\n250 r\r\n550 5.1.1 nobody\r\n354 go\r\n250 taken\r\n221 bye\r\n", M R2 DATA_AND_QUIT, "DF",
     "550 5.1.1 nobody", false, false, NULL, false, false},
    {"no DATA when every recipient is refused", STEPWISE "250 m\r\n550 no\r\n450 busy\r\n221 bye\r\n", M R2 "QUIT\r\n",
     "FT", "450 busy", false, false, NULL, false, false},
    {"pipelined DATA refused with everybody", HELLO "250 m\r\n550 no\r\n550 no\r\n554 no recipients\r\n221 bye\r\n",
     M R2 "DATA\r\nQUIT\r\n", "FF", "550 no", false, false, NULL, false, false},
    {"a 354 to nobody gets an empty message", HELLO "250 m\r\n550 no\r\n550 no\r\n354 go\r\n554 none\r\n221 bye\r\n",
     M R2 "DATA\r\n.\r\nQUIT\r\n", "FF", "550 no", false, false, NULL, false, false},
    {"the sender refused is everybody refused", HELLO "550 5.7.1 not you\r\n503 r\r\n503 r\r\n503 d\r\n221 bye\r\n",
     M R2 "DATA\r\nQUIT\r\n", "FF", "550 5.7.1 not you", false, false, NULL, false, false},
    {"the sender deferred stops a stepwise client", STEPWISE "451 later\r\n221 bye\r\n", M "QUIT\r\n", "TT",
     "451 later", false, false, NULL, false, false},
    {"552 to RCPT means too many, not never", STEPWISE "250 m\r\n552 too many\r\n221 bye\r\n", NULL, "T",
     "552 too many", false, false, NULL, false, false},
    {"the data refused for good", HELLO "250 m\r\n250 r\r\n354 go\r\n554 5.7.1 spam\r\n221 bye\r\n", NULL, "F",
     "554 5.7.1 spam", false, false, NULL, false, false},
    {"the data deferred", HELLO "250 m\r\n250 r\r\n354 go\r\n452 4.3.1 full\r\n221 bye\r\n", NULL, "T",
     "452 4.3.1 full", false, false, NULL, false, false},
    {"DATA refused after a recipient was accepted", HELLO "250 m\r\n250 r\r\n451 4.3.0 not now\r\n221 bye\r\n", NULL,
     "T", "451 4.3.0 not now", false, false, NULL, false, false},
    {"DATA answered by neither 354 nor a refusal defers, and nothing more is said to whoever answers so",
     HELLO "250 m\r\n250 r\r\n250 2.0.0 ok\r\n", M R1 "DATA\r\n", "T", "250 2.0.0 ok", false, true, NULL, false, false},
    {"a lost connection before MAIL is answered defers", HELLO, NULL, "TT", "451 4.4.2", false, true, NULL, false,
     false},
    {"a lost connection after the final dot defers, and may have arrived", HELLO "250 m\r\n250 r\r\n354 go\r\n", NULL,
     "T", "451 4.4.2", false, true, NULL, false, true},
    {"an empty reply line is no reply", HELLO "250 m\r\n250 r\r\n354 go\r\n\r\n", NULL, "T", "451 4.5.0", false, true,
     NULL, false, true},
    {"words without a code are no reply", HELLO "250 m\r\nhello there\r\n", NULL, "T", "451 4.5.0", false, true, NULL,
     false, false},
    {"a code that changes within a reply is none", HELLO "250-m\r\n550 m\r\n", NULL, "T", "451 4.5.0", false, true,
     NULL, false, false},
    {"421 to a recipient defers all and ends the connection", HELLO "250 m\r\n250 r\r\n421 4.3.2 closing\r\n", NULL,
     "TT", "421 4.3.2 closing", false, true, NULL, false, false},
    {"a reply of several lines is one", HELLO "250 m\r\n250 r\r\n354 go\r\n250-2.0.0 first\r\n250 2.0.0 last\r\n", NULL,
     "D", "250 2.0.0 first last", false, false, NULL, false, false},
    {"replies that end in LF are read", "220 hi\n250 mx\n250 m\n250 r\n354 go\n250 ok\n221 x\n", NULL, "D", "250 ok",
     false, false, NULL, false, false},
    {"bytes that are not ASCII do not come through a reply", HELLO "250 m\r\n550 \x01\xff\r\n503 d\r\n", NULL, "F",
     "550 ??", false, false, NULL, false, false},
    {"a larger message than SIZE is not offered", "220 hi\r\n250-x\r\n250 SIZE 2\r\n221 bye\r\n",
     "EHLO us.test\r\nQUIT\r\n", "F", "552 5.3.4", false, false, NULL, false, false},
    {"SIZE is told", "220 hi\r\n250-x\r\n250 SIZE\r\n451 later\r\n221 bye\r\n",
     "EHLO us.test\r\nMAIL FROM:<s@us.test> SIZE=3\r\nQUIT\r\n", "T", "451 later", false, false, NULL, false, false},
    {"eight-bit mail says so", "220 hi\r\n250-x\r\n250 8BITMIME\r\n451 later\r\n221 bye\r\n",
     "EHLO us.test\r\nMAIL FROM:<s@us.test> BODY=8BITMIME\r\nQUIT\r\n", "T", NULL, false, false, NULL, true, false},
    {"eight-bit mail is not sent to a seven-bit server", STEPWISE "221 bye\r\n", "EHLO us.test\r\nQUIT\r\n", "F",
     "554 5.6.3", false, false, NULL, true, false},
    {"dots are doubled", STEPWISE "250 m\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     M R1 "DATA\r\n..x\r\n.\r\nQUIT\r\n", "D", NULL, false, false, ".x\r\n", false, false},
    {"a server without EHLO is asked with HELO",
     "220 hi\r\n500 what\r\n250 mx\r\n250 m\r\n250 r\r\n354 go\r\n250 ok\r\n221 bye\r\n",
     "EHLO us.test\r\nHELO us.test\r\nMAIL FROM:<s@us.test>\r\n" R1 DATA_AND_QUIT, "D", "250 ok", false, false, NULL,
     false, false},
};

static void messages_are_sent_and_every_recipient_gets_its_verdict(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(smtp_scripts); i++) {
        play(&smtp_scripts[i]);
    }
}

static void lmtp_has_one_reply_for_each_accepted_recipient(void **state) {
    static const struct script scripts[] = {
        {"replies belong to the accepted ones in their order",
         HELLO "250 m\r\n250 r\r\n550 no\r\n250 r\r\n354 go\r\n250 one\r\n452 4.2.2 full\r\n221 bye\r\n",
         "LHLO us.test\r\nMAIL FROM:<s@us.test>\r\n" R2 "RCPT TO:<c@x.test>\r\n" DATA_AND_QUIT, "DFT", "452 4.2.2 full",
         true, false, NULL, false, false},
        {"a connection lost between the replies defers the rest",
         HELLO "250 m\r\n250 r\r\n250 r\r\n250 r\r\n354 go\r\n250 one\r\n550 two\r\n", NULL, "DFT", "451 4.4.2", true,
         true, NULL, false, true},
        {"a 354 to nobody ends the connection", HELLO "250 m\r\n550 no\r\n354 go\r\n", NULL, "F", "550 no", true, true,
         NULL, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        play(&scripts[i]);
    }
}

static void openings_that_fail_say_whether_for_good(void **state) {
    static const struct {
        const char *sentence, *server;
        enum client_opening opening;
        const char *reply;
    } rows[] = {
        {"nobody there", "", CLIENT_TEMPORARY, "451 4.4.2"},
        {"421 in the greeting", "421 4.3.2 busy\r\n", CLIENT_TEMPORARY, "421 4.3.2 busy"},
        {"a temporary greeting", "450 later\r\n221 bye\r\n", CLIENT_TEMPORARY, "450 later"},
        {"not now, or not for us", "554 5.3.2 no\r\n221 bye\r\n", CLIENT_TEMPORARY,
         "451 4.3.2 greeted with: 554 5.3.2 no"},
        {"no mail here, ever", "521 5.3.2 no\r\n221 bye\r\n", CLIENT_PERMANENT, "521 5.3.2 no"},
        {"something that is not SMTP", "SSH-2.0-x\r\n", CLIENT_TEMPORARY, "451 4.5.0"},
        {"EHLO deferred", "220 hi\r\n450 later\r\n221 bye\r\n", CLIENT_TEMPORARY, "450 later"},
        {"neither EHLO nor HELO", "220 hi\r\n500 no\r\n550 no\r\n221 bye\r\n", CLIENT_PERMANENT, "550 no"},
    };
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client client;
        int ends[2];
        print_message("%s\n", rows[i].sentence);
        scripted(ends, rows[i].server);
        assert_int_equal(client_open(&client, ends[0], &settings), rows[i].opening);
        assert_memory_equal(client.reply, rows[i].reply, strlen(rows[i].reply));
        assert_false(client.open);
        close(ends[1]);
    }
}

static void starttls_is_used_when_offered(void **state) {
    static int broken;
    static const struct {
        const char *sentence, *server;
        void *context; /* NULL: the handshake works */
        enum client_opening opening;
        bool tls;
        const char *wire;
    } rows[] = {
        {"EHLO is said again under TLS", "220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n", NULL, CLIENT_TEMPORARY, true,
         "EHLO us.test\r\nSTARTTLS\r\nEHLO us.test\r\n"},
        {"a refusal is no obstacle", "220 hi\r\n250-x\r\n250 STARTTLS\r\n454 no\r\n221 bye\r\n", NULL, CLIENT_OPEN,
         false, "EHLO us.test\r\nSTARTTLS\r\nQUIT\r\n"},
        {"a failed handshake is told", "220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n", &broken, CLIENT_TLS_FAILED,
         false, "EHLO us.test\r\nSTARTTLS\r\n"},
        {"not offered, not used", "220 hi\r\n250 x\r\n221 bye\r\n", NULL, CLIENT_OPEN, false,
         "EHLO us.test\r\nQUIT\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_settings settings = {
            .own_name = "us.test", .timeout_cap = 1, .start_tls = pretend_tls, .context = rows[i].context};
        struct client client;
        char wire[400];
        int ends[2];
        print_message("%s\n", rows[i].sentence);
        scripted(ends, rows[i].server);
        assert_int_equal(client_open(&client, ends[0], &settings), rows[i].opening);
        assert_int_equal(client.tls, rows[i].tls);
        client_quit(&client);
        read_wire(ends[1], wire, sizeof wire);
        assert_string_equal(wire, rows[i].wire);
    }
}

/* CVE-2011-0411: a reply injected in plain behind the 220 would be taken for the first one under TLS. */
static void what_came_before_tls_does_not_count(void **state) {
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1, .start_tls = pretend_tls};
    struct client client;
    int ends[2];
    (void)state;
    scripted(ends, "220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n");
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_TEMPORARY);
    close(ends[1]);
}

static void a_second_message_begins_with_rset(void **state) {
    struct scripted_server server;
    struct client_settings settings = {
        .own_name = "us.test", .timeout_cap = 1, .trace = scripted_trace, .context = &server};
    struct client client;
    char wire[1000];
    int ends[2];
    (void)state;
    stepwise(ends, &server,
             HELLO "250 m\r\n250 r\r\n354 go\r\n250 ok\r\n250 reset\r\n250 m\r\n250 r\r\n354 go\r\n250 ok\r\n", false);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    for (int i = 0; i < 3; i++) {
        struct client_recipient recipient = {.address = "a@x.test", .notify = "", .orcpt = ""};
        struct client_message message = short_message(&recipient, 1);
        assert_int_equal(client_send(&client, &message), i < 2 ? CLIENT_SENT : CLIENT_STALE);
        assert_int_equal(recipient.verdict, i < 2 ? CLIENT_DELIVERED : CLIENT_PENDING);
    }
    read_wire(ends[1], wire, sizeof wire);
    assert_non_null(strstr(wire, "m\r\n.\r\nRSET\r\nMAIL FROM:<>\r\n"));
}

/* A 250 before the end of the data would be believed, whatever the server makes of the message. */
static void what_was_said_before_it_was_asked_is_no_answer(void **state) {
    static const struct {
        const char *sentence, *server;
        char verdict;
        const char *reply;
    } rows[] = {
        {"a verdict before the data", HELLO "250 m\r\n250 r\r\n354 go\r\n250 taken\r\n", 'T', "451 4.5.0"},
        {"a refusal of the data before their end", HELLO "250 m\r\n250 r\r\n354 go\r\n552 too large\r\n", 'F',
         "552 too large"},
        {"half a verdict before the data", HELLO "250 m\r\n250 r\r\n354 go\r\n250 ta", 'T', "451 4.5.0"},
        {"a reply before MAIL", HELLO "250 ok\r\n", 'T', "451 4.5.0"},
        {"an error before MAIL", HELLO "421 idle\r\n", 'T', "451 4.4.2"},
    };
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_recipient recipient = {.address = "a@x.test", .notify = "", .orcpt = ""};
        struct client_message message = short_message(&recipient, 1);
        struct client client;
        int ends[2];
        print_message("%s\n", rows[i].sentence);
        struct scripted_server server;
        bool late = strstr(rows[i].server, "354") != NULL;
        settings.trace = late ? scripted_trace : NULL;
        settings.context = &server;
        if (late) {
            stepwise(ends, &server, rows[i].server, false);
            server.talks = true;
        } else {
            scripted(ends, rows[i].server);
        }
        assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
        assert_int_equal(client_send(&client, &message), CLIENT_SENT);
        assert_int_equal(letter(recipient.verdict), rows[i].verdict);
        assert_memory_equal(recipient.reply, rows[i].reply, strlen(rows[i].reply));
        assert_false(client.open);
        client_quit(&client);
        close(ends[1]);
    }
}

/* Each reply is one recipient's, also one that comes before its time (RFC 2033 4.2). */
static void an_early_refusal_over_lmtp_is_the_first_recipients_alone(void **state) {
    struct scripted_server server;
    struct client_settings settings = {
        .own_name = "us.test", .lmtp = true, .timeout_cap = 1, .trace = scripted_trace, .context = &server};
    struct client_recipient recipients[] = {{.address = "a@x.test", .notify = "", .orcpt = ""},
                                            {.address = "b@x.test", .notify = "", .orcpt = ""}};
    struct client_message message = short_message(recipients, 2);
    struct client client;
    int ends[2];
    (void)state;
    stepwise(ends, &server, HELLO "250 m\r\n250 r\r\n250 r\r\n354 go\r\n552 5.2.2 full\r\n", true);
    server.talks = true;
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    assert_int_equal(letter(recipients[0].verdict), 'F');
    assert_string_equal(recipients[0].reply, "552 5.2.2 full");
    assert_int_equal(letter(recipients[1].verdict), 'T');
    assert_memory_equal(recipients[1].reply, "451 4.4.2", 9);
    assert_false(client.open);
    close(ends[1]);
}

static void a_silent_server_is_a_timeout(void **state) {
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    struct client client;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_TEMPORARY);
    assert_string_equal(client.reply, "451 4.4.2 timeout while waiting for the greeting");
    close(ends[1]);
}

static void endless_replies_are_cut(void **state) {
    struct client_settings settings = {.own_name = "us.test", .timeout_cap = 1};
    char server[300 * 9 + 1] = "", line[8193];
    struct client client;
    int ends[2];
    (void)state;
    for (int i = 0; i < 300; i++) {
        memcpy(server + 9 * i, "220-moo\r\n", 10);
    }
    scripted(ends, server);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_TEMPORARY);
    assert_memory_equal(client.reply, "451 4.5.0 more than", 19);
    close(ends[1]);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    scripted(ends, line);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_TEMPORARY);
    assert_memory_equal(client.reply, "451 4.5.0 line too long", 23);
    close(ends[1]);
}

static void addresses_beyond_ascii_need_smtputf8(void **state) {
    static const struct {
        const char *sentence, *server, *wire;
        char first, second;
    } rows[] = {
        {"not offered: only that recipient fails", "220 hi\r\n250 x\r\n250 m\r\n250 r\r\n354 go\r\n250 ok\r\n",
         "EHLO us.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nm\r\n.\r\n", 'F', 'D'},
        {"offered: said with MAIL", "220 hi\r\n250-x\r\n250 SMTPUTF8\r\n450 no\r\n",
         "EHLO us.test\r\nMAIL FROM:<> SMTPUTF8\r\n", 'T', 'T'},
    };
    struct scripted_server server;
    struct client_settings settings = {
        .own_name = "us.test", .timeout_cap = 1, .trace = scripted_trace, .context = &server};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_recipient recipients[2] = {{.address = "\xc3\xa4@x.test", .notify = "", .orcpt = ""},
                                                 {.address = "b@x.test", .notify = "", .orcpt = ""}};
        struct client_message message = short_message(recipients, 2);
        struct client client;
        char wire[400];
        int ends[2];
        print_message("%s\n", rows[i].sentence);
        stepwise(ends, &server, rows[i].server, false);
        assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
        assert_int_equal(client_send(&client, &message), CLIENT_SENT);
        assert_int_equal(letter(recipients[0].verdict), rows[i].first);
        assert_int_equal(letter(recipients[1].verdict), rows[i].second);
        read_wire(ends[1], wire, sizeof wire);
        assert_string_equal(wire, rows[i].wire);
        client_quit(&client);
    }
}

/* RFC 5321 4.5.3.2.1 to 4.5.3.2.6 */
static void other_servers_get_the_standards_time(void **state) {
    static const int64_t minima[CLIENT_PHASES] = {
        [PHASE_GREETING] = 300000,  [PHASE_HELLO] = 300000,      [PHASE_MAIL] = 300000,     [PHASE_RCPT] = 300000,
        [PHASE_DATA_INIT] = 120000, [PHASE_DATA_BLOCK] = 180000, [PHASE_DATA_END] = 600000,
    };
    struct client client = {.settings = {.timeout_cap = 0}};
    (void)state;
    for (int phase = 0; phase < CLIENT_PHASES; phase++) {
        int64_t before = clock_now_ms();
        assert_true(client_deadline(&client, (enum client_phase)phase) >= before + minima[phase]);
    }
    client.settings.timeout_cap = 7;
    assert_true(client_deadline(&client, PHASE_DATA_END) <= clock_now_ms() + 7000);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_sent_and_every_recipient_gets_its_verdict),
        cmocka_unit_test(lmtp_has_one_reply_for_each_accepted_recipient),
        cmocka_unit_test(openings_that_fail_say_whether_for_good),
        cmocka_unit_test(starttls_is_used_when_offered),
        cmocka_unit_test(what_came_before_tls_does_not_count),
        cmocka_unit_test(a_second_message_begins_with_rset),
        cmocka_unit_test(what_was_said_before_it_was_asked_is_no_answer),
        cmocka_unit_test(an_early_refusal_over_lmtp_is_the_first_recipients_alone),
        cmocka_unit_test(a_silent_server_is_a_timeout),
        cmocka_unit_test(other_servers_get_the_standards_time),
        cmocka_unit_test(endless_replies_are_cut),
        cmocka_unit_test(addresses_beyond_ascii_need_smtputf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
