/* SPDX-License-Identifier: MIT
 * What the client makes of replies that TLS has read ahead, where the descriptor shows nothing of them: a transport
 * that takes all there is and gives a line at a time, as if each were a record. */
#include "smtp/client.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted_server.h"

#define TLS "220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n"

static struct {
    int fd;
    char bytes[1024];
    size_t length;
} ahead;

static ssize_t read_record(void *context, void *bytes, size_t length, short *wanted) {
    ssize_t got = recv(ahead.fd, ahead.bytes + ahead.length, sizeof ahead.bytes - ahead.length, MSG_DONTWAIT);
    size_t record;
    (void)context;
    ahead.length += got > 0 ? (size_t)got : 0;
    *wanted = got < 0 ? POLLIN : 0;
    if (ahead.length == 0)
        return got < 0 ? -1 : 0;
    record = text_find((struct text){ahead.bytes, ahead.length}, '\n') + 1;
    assert_true(record <= ahead.length && record <= length);
    memcpy(bytes, ahead.bytes, record);
    ahead.length -= record;
    memmove(ahead.bytes, ahead.bytes + record, ahead.length);
    return (ssize_t)record;
}

static ssize_t write_record(void *context, const void *bytes, size_t length, short *wanted) {
    (void)context;
    (void)wanted;
    return send(ahead.fd, bytes, length, MSG_NOSIGNAL);
}

static bool pretend_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    (void)context;
    (void)deadline;
    (void)reason;
    (void)size;
    ahead.fd = stream->fd;
    ahead.length = 0;
    stream->transport = (struct stream_transport){.read = read_record, .write = write_record};
    return true;
}

/* Behind the reply to DATA comes the next one at once. */
static void trace(void *context, enum client_direction direction, struct text line) {
    struct scripted_server *server = context;
    if (direction == CLIENT_TO_SERVER && text_equal(line, TEXT("DATA")))
        scripted_say(server, scripted_reply_length(server->rest));
    scripted_hears(server, direction, line);
}

static bool give_nothing(void *context, bool rewind, struct text *piece) {
    (void)context;
    (void)rewind;
    *piece = TEXT_NONE;
    return true;
}

static void a_verdict_that_came_before_the_data_is_none_within_tls_either(void **state) {
    struct scripted_server server;
    struct client_settings settings = {
        .own_name = "us.test", .timeout_cap = 1, .trace = trace, .context = &server, .start_tls = pretend_tls};
    struct client_recipient recipient = {.address = "a@x.test", .notify = "", .orcpt = ""};
    struct client_message message = {
        .from = "", .ret = "", .envid = "", .content = give_nothing, .recipients = &recipient, .count = 1};
    struct client client;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    scripted_begin(&server, ends[1],
                   TEXT(TLS "250-x\r\n250 PIPELINING\r\n250 m\r\n250 r\r\n354 go\r\n250 taken\r\n221 bye\r\n"), false);
    assert_int_equal(client_open(&client, ends[0], &settings), CLIENT_OPEN);
    assert_true(client.tls);
    assert_int_equal(client_send(&client, &message), CLIENT_SENT);
    assert_int_equal(recipient.verdict, CLIENT_DEFERRED);
    assert_string_equal(recipient.reply, "451 4.5.0 the server spoke out of turn: \"250 taken\"");
    assert_false(client.open);
    close(ends[1]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_that_came_before_the_data_is_none_within_tls_either)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
