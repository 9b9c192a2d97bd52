/* SPDX-License-Identifier: MIT
 * The stage for the session's tests: a forked receiver's session in its sandbox of stand-ins for ledger, lookup and
 * resolver, and this process as its client. What the session committed is kept to be looked at. */
#ifndef TESTS_SESSION_STAGE_H
#define TESTS_SESSION_STAGE_H
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include "receiver/session.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CARGO_KEPT (3u << 20)

/* What the stand-ins saw; shared with the test. */
static struct seen {
    unsigned commits, violations, broken, refused, logins;
    struct mail_commit commit;
    char cargo[CARGO_KEPT];
    char last_rule[64];
    bool ledger_dies; /* between its flush and its answer; the test says so */
} * seen;

static char example_test[] = "example.test", server_name[] = "mail.example.test", title[] = "Example",
            accepted[] = "OK id=%i", postmaster[] = "coco@example.test";
static char *domains[] = {example_test};
static struct config_listen listens[] = {{.role = ROLE_MX}, {.role = ROLE_INTERNAL}, {.role = ROLE_SENDMAIL}};
static struct config config = {
    .server_name = server_name,
    .server_title = title,
    .postmaster = postmaster,
    .accepted_text = accepted,
    .local_domains = {domains, 1},
    .listens = listens,
    .listen_count = 3,
    .line_maximum = 512,
    .recipient_maximum = 100,
    .message_maximum = 2 << 20,
    .received_maximum = 5,
    .journal_max_message = 1 << 20,
    .mail_id_base = 62,
    .contact_prefix_v6 = 64,
    .ehlo_domain_required = true,
    .ehlo_domain_verifies = true,
    .sender_domain_verifies = true,
    .receiver_timeout = 5,
};

/* ---- the stand-ins ---- */

static void keep_cargo(const struct mail_commit *commit, int fd, int spool) {
    size_t length = (size_t)(commit->message_length + commit->headers_length + commit->envelope_length);
    int from = commit->place == CARGO_SPOOL_FILE ? spool : fd;

    seen->commits++;
    seen->commit = *commit;
    if (length > CARGO_KEPT || (commit->place == CARGO_INLINE && commit->cargo.length != length) ||
        (commit->place == CARGO_MEMFD && !file_is_sealed(fd)))
        abort();
    if (commit->place == CARGO_INLINE)
        memcpy(seen->cargo, commit->cargo.data, length);
    else if (file_size(from) != (int64_t)length || !file_pread_all(from, seen->cargo, length, 0))
        abort();
}

static void answer_ledger(int fd, const struct channel_message *message) {
    static int spool = -1;
    const union channel_values *values = message->values;
    const struct contact_state state = {.contact_id = 7, .verdict = CONTACT_ADMITTED};

    switch (message->kind) {
    case CONTACT_VIOLATION:
        seen->violations++;
        seen->broken += values->contact_violation.mercy == VIOLATION_BROKEN;
        (void)text_copy(seen->last_rule, sizeof seen->last_rule, values->contact_violation.rule);
        (void)channel_send(fd, CONTACT_STATE, message->serial, &state, -1);
        break;
    case CONTACT_OPEN:
    case CONTACT_LOGIN:
        (void)channel_send(fd, CONTACT_STATE, message->serial, &state, -1);
        break;
    case RECIPIENT_REFUSED:
        seen->refused++;
        break;
    case SPOOL_OPEN:
        spool = file_memory("spool");
        (void)channel_send(fd, SPOOL_FILE, message->serial, &(struct spool_file){COMMIT_OK}, spool);
        break;
    case MAIL_COMMIT:
        keep_cargo(&values->mail_commit, message->fd, spool);
        if (seen->ledger_dies)
            _exit(0);
        (void)channel_send(fd, MAIL_COMMITTED, message->serial, &(struct mail_committed){COMMIT_OK}, -1);
        break;
    default:
        abort();
    }
}

static void answer_lookup(int fd, const struct channel_message *message) {
    struct text address = message->values->lookup_address.address;
    bool ours = text_ends_nocase(address, TEXT("@example.test")) || text_find(address, '@') == address.length;
    bool is_postmaster = text_equal_nocase(address, TEXT("postmaster"));
    bool member =
        is_postmaster || text_starts_nocase(address, TEXT("coco@")) || text_starts_nocase(address, TEXT("mike@"));
    struct lookup_address_answer answer = {.standing = STANDING_REMOTE, .canonical = TEXT_NONE, .targets = TEXT_NONE};

    if (message->kind != LOOKUP_ADDRESS)
        abort();
    const struct address_target target = {
        .delivery = DELIVERY_LOCAL, .target = is_postmaster ? TEXT("mike@example.test") : address, .sender = TEXT_NONE};
    struct buffer targets;

    buffer_init(&targets, 1024);
    if (ours && member)
        (void)list_add_target(&targets, &target);
    if (ours)
        answer = (struct lookup_address_answer){.standing = member ? STANDING_MEMBER : STANDING_UNKNOWN,
                                                .canonical = address,
                                                .targets = buffer_text(&targets)};
    (void)channel_send(fd, LOOKUP_ADDRESS_ANSWER, message->serial, &answer, -1);
    buffer_free(&targets);
}

/* Names ending in ".net" have an address and an exchanger, the others do not exist. */
static void answer_dns(int fd, const struct channel_message *message) {
    bool exists = text_ends_nocase(message->values->dns_ask.name, TEXT(".net"));
    struct dns_answer answer = {.status = exists ? DNS_FOUND : DNS_NO_NAME};
    struct dns_record record = {.preference = 10, .value = TEXT("mx.example.net")};
    struct buffer records;

    buffer_init(&records, 1024);
    if (exists)
        (void)list_add_record(&records, &record);
    answer.records = buffer_text(&records);
    (void)channel_send(fd, DNS_ANSWER, message->serial, &answer, -1);
    buffer_free(&records);
}

static _Noreturn void run_services(const int fds[3]) {
    static void (*const answers[])(int fd, const struct channel_message *message) = {answer_ledger, answer_lookup,
                                                                                     answer_dns};
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    struct pollfd polled[3] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}, {fds[2], POLLIN, 0}};
    union channel_values values;
    struct channel_message message;

    while (poll(polled, 3, -1) > 0)
        for (size_t i = 0; i < 3; i++) {
            if (polled[i].revents == 0)
                continue;
            if (channel_receive(fds[i], 0, storage, &values, &message) != CHANNEL_OK)
                _exit(0); /* the session is over */
            answers[i](fds[i], &message);
            if (message.fd >= 0)
                (void)close(message.fd);
        }
    _exit(1);
}

/* ---- the session's process ---- */

static _Noreturn void run_session(uint32_t listener, const int fds[3], int hub, int client) {
    const struct process_start start = {.config = &config,
                                        .hub = hub,
                                        .ledger = fds[0],
                                        .lookup = fds[1],
                                        .resolver = fds[2],
                                        .signer = -1,
                                        .connector = -1,
                                        .job = -1};
    struct network_address peer = {.length = 0}, local = {.length = 0};

    if (!network_parse_ip(TEXT("192.0.2.1"), 1025, &peer) || !network_parse_ip(TEXT("192.0.2.2"), 25, &local))
        abort();
    const struct hub_client hub_client = {.listener = listener,
                                          .uid = 1000,
                                          .peer = {(const char *)&peer, sizeof peer},
                                          .local = {(const char *)&local, sizeof local}};
    session_serve(&start, &hub_client, client);
    exit(0);
}

struct talk {
    int client, hub;
    pid_t services, session;
    struct buffer replies;
};

static void start_talk(struct talk *talk, uint32_t listener) {
    int pairs[3][2], hub[2], client[2];

    memset(seen, 0, offsetof(struct seen, cargo));
    seen->last_rule[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        assert_true(channel_pair(pairs[i]));
    assert_true(channel_pair(hub));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
    talk->services = fork();
    if (talk->services == 0) {
        for (size_t i = 0; i < 3; i++)
            (void)close(pairs[i][1]);
        run_services((const int[]){pairs[0][0], pairs[1][0], pairs[2][0]});
    }
    talk->session = fork();
    if (talk->session == 0) {
        for (size_t i = 0; i < 3; i++)
            (void)close(pairs[i][0]); /* or it would not notice that the services are gone */
        (void)close(client[0]);
        (void)close(hub[0]);
        run_session(listener, (const int[]){pairs[0][1], pairs[1][1], pairs[2][1]}, hub[1], client[1]);
    }
    for (size_t i = 0; i < 3; i++) {
        (void)close(pairs[i][0]);
        (void)close(pairs[i][1]);
    }
    (void)close(hub[1]);
    (void)close(client[1]);
    talk->client = client[0];
    talk->hub = hub[0];
    buffer_init(&talk->replies, 1u << 20);
}

/* Reads until the replies end with `wanted`. */
static void read_until(struct talk *talk, const char *wanted) {
    while (!text_ends_nocase(buffer_text(&talk->replies), text_of(wanted))) {
        char bytes[4096];
        ssize_t got = read(talk->client, bytes, sizeof bytes);
        if (got <= 0)
            fail_msg("wanted %s, got:\n%s", wanted, buffer_string(&talk->replies));
        assert_true(buffer_append(&talk->replies, bytes, (size_t)got));
    }
}

static void read_greeting(struct talk *talk) {
    while (strstr(buffer_string(&talk->replies), "\r\n") == NULL) {
        char bytes[512];
        ssize_t got = read(talk->client, bytes, sizeof bytes);
        assert_true(got > 0 && buffer_append(&talk->replies, bytes, (size_t)got));
    }
    assert_true(text_starts_nocase(buffer_text(&talk->replies), TEXT("220 mail.example.test ESMTP Parcelpost ")));
    buffer_clear(&talk->replies);
}

static void say(struct talk *talk, struct text bytes) {
    assert_true(file_write_all(talk->client, bytes.data, bytes.length));
}

/* Everything the server still says, until it closes. */
static const char *end_talk(struct talk *talk) {
    char bytes[4096];
    ssize_t got;
    int status;

    (void)shutdown(talk->client, SHUT_WR);
    while ((got = read(talk->client, bytes, sizeof bytes)) > 0)
        assert_true(buffer_append(&talk->replies, bytes, (size_t)got));
    (void)close(talk->client);
    (void)close(talk->hub);
    assert_int_equal(waitpid(talk->session, &status, 0), talk->session);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(talk->services, &status, 0), talk->services);
    assert_int_equal(status, 0);
    return buffer_string(&talk->replies);
}

#define TRANSACTION "HELO client.example.net\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<coco@example.test>\r\nDATA\r\n"

/* Sends one message from a stranger; returns the last reply's first three digits. */
__attribute__((unused)) static int send_message(struct text message) {
    struct talk talk;

    start_talk(&talk, 0);
    read_greeting(&talk);
    say(&talk, TEXT(TRANSACTION));
    read_until(&talk, "354 Enter message, ending with \".\" on a line by itself\r\n");
    buffer_clear(&talk.replies);
    say(&talk, message);
    say(&talk, TEXT(".\r\nQUIT\r\n"));
    int code = (int)strtol(end_talk(&talk), NULL, 10);
    buffer_free(&talk.replies);
    return code;
}

static struct text committed_message(void) {
    return (struct text){seen->cargo, (size_t)seen->commit.message_length};
}

__attribute__((unused)) static struct text committed_headers(void) {
    return (struct text){seen->cargo + seen->commit.message_length, (size_t)seen->commit.headers_length};
}

#endif
