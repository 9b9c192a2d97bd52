/* SPDX-License-Identifier: MIT
 * Messages over a socket pair: what goes in comes out, what is malformed is refused, nothing leaks. */
#include "base/clock.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "ipc/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "resident.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static int ends[2];
static char storage[CHANNEL_MESSAGE_MAXIMUM];
static union channel_values values;
static struct channel_message message;

static int make_pair(void **state) {
    (void)state;
    return channel_pair(ends) ? 0 : -1;
}

static int close_pair(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return 0;
}

static enum channel_result receive(void) {
    return channel_receive(ends[1], 0, storage, &values, &message);
}

static void both_ends_are_close_on_exec(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
}

static void every_field_type_arrives_as_it_was_sent(void **state) {
    struct contact_violation sent = {.contact_id = -5,
                                     .contact = TEXT("2001:db8::/64"),
                                     .verb = TEXT("RCPT"),
                                     .reply = TEXT("550 5.1.1 with a \0 byte"),
                                     .port = 25,
                                     .mercy = VIOLATION_BROKEN};

    (void)state;
    assert_int_equal(channel_send(ends[0], CONTACT_VIOLATION, 77, &sent, -1), CHANNEL_OK);
    assert_int_equal(receive(), CHANNEL_OK);
    assert_int_equal(message.kind, CONTACT_VIOLATION);
    assert_int_equal(message.serial, 77);
    assert_int_equal(message.fd, -1);
    const struct contact_violation *got = &message.values->contact_violation;
    assert_int_equal(got->contact_id, -5);
    assert_true(text_equal(got->contact, sent.contact));
    assert_true(text_equal(got->verb, sent.verb));
    assert_true(text_equal(got->reply, sent.reply));
    assert_int_equal(got->rule.length, 0);
    assert_int_equal(got->port, 25);
    assert_int_equal(got->mercy, VIOLATION_BROKEN);
}

static void an_empty_message_arrives(void **state) {
    struct empty_message nothing = {0};

    (void)state;
    assert_int_equal(channel_send(ends[0], HUB_READY, 0, &nothing, -1), CHANNEL_OK);
    assert_int_equal(receive(), CHANNEL_OK);
    assert_int_equal(message.kind, HUB_READY);
    assert_int_equal(receive(), CHANNEL_AGAIN);
}

static void the_largest_message_passes_the_default_socket_buffer(void **state) {
    static char notice[CARGO_INLINE_MAXIMUM], results[CHANNEL_MESSAGE_MAXIMUM - CARGO_INLINE_MAXIMUM - 1024];
    struct mail_result sent = {.results = {results, sizeof results}, .notices = {notice, sizeof notice}};
    int plain[2], size = 0;
    socklen_t length = sizeof size;

    (void)state;
    memset(notice, 'n', sizeof notice);
    memset(results, 'r', sizeof results);
    /* Without channel_pair's wish for a larger buffer. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, plain), 0);
    assert_int_equal(getsockopt(plain[0], SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    if (size > 212992) { /* Linux's own default, whatever this machine is set to */
        size = 212992 / 2;
        assert_int_equal(setsockopt(plain[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    }
    assert_int_equal(channel_send(plain[0], MAIL_RESULT, 1, &sent, -1), CHANNEL_OK);
    assert_int_equal(channel_receive(plain[1], 0, storage, &values, &message), CHANNEL_OK);
    assert_int_equal(values.mail_result.notices.length, sizeof notice);
    assert_memory_equal(values.mail_result.results.data, results, sizeof results);
    close(plain[0]);
    close(plain[1]);
}

static void what_passes_its_bounds_is_not_sent(void **state) {
    static char large[COMMIT_INLINE_MAXIMUM + 1], list[128 * 1024];
    struct contact_open port = {.contact = TEXT("::1"), .port = 65536, .network = TEXT_NONE};
    struct mail_fetch id = {.mail_id = TEXT("longer-than-an-id-is")};
    struct mail_commit cargo = {.cargo = {large, sizeof large}};
    struct mail_commit negative = {.message_length = -1};
    struct mail_result whole = {.results = {list, sizeof list}, .notices = {large, sizeof large - 1}};
    const struct {
        const char *sentence;
        uint32_t kind;
        const void *values;
    } rows[] = {
        {"a number above its maximum", CONTACT_OPEN, &port},
        {"a text above its maximum", MAIL_FETCH, &id},
        {"cargo that should be a memfd", MAIL_COMMIT, &cargo},
        {"a negative length", MAIL_COMMIT, &negative},
        {"fields that fit one by one and not together", MAIL_RESULT, &whole},
        {"no kind at all", 0, &port},
        {"a kind past the last", MESSAGE_KINDS, &port},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (channel_send(ends[0], rows[i].kind, 1, rows[i].values, -1) != CHANNEL_BAD)
            fail_msg("sent: %s", rows[i].sentence);
    assert_int_equal(receive(), CHANNEL_AGAIN);
}

/* CONTACT_OPEN: kind, serial, length and text of the contact, port, proxied. */
static void malformed_bytes_are_refused(void **state) {
    static const struct {
        const char *sentence;
        const char *bytes;
        size_t length;
        enum channel_result result;
    } rows[] = {
#define BYTES(string) string, sizeof(string) - 1
        {"a good one", BYTES("\x11\0\0\0\x07\0\0\0\x03\0\0\0::1\x19\0\0\0\0\0\0\0\0\0\0\0"), CHANNEL_OK},
        {"half a head", BYTES("\x11\0\0\0\x07\0"), CHANNEL_BAD},
        {"a head alone", BYTES("\x11\0\0\0\x07\0\0\0"), CHANNEL_BAD},
        {"one byte too few", BYTES("\x11\0\0\0\x07\0\0\0\x03\0\0\0::1\x19\0\0\0\0\0\0\0\0\0\0"), CHANNEL_BAD},
        {"one byte too many", BYTES("\x11\0\0\0\x07\0\0\0\x03\0\0\0::1\x19\0\0\0\0\0\0\0\0\0\0\0\0"), CHANNEL_BAD},
        {"a text longer than the message", BYTES("\x11\0\0\0\x07\0\0\0\x30\0\0\0::1\x19\0\0\0\0\0\0\0\0\0\0\0"),
         CHANNEL_BAD},
        {"a length that would wrap", BYTES("\x11\0\0\0\x07\0\0\0\xff\xff\xff\xff::1\x19\0\0\0\0\0\0\0\0\0\0\0"),
         CHANNEL_BAD},
        {"a switch of 2", BYTES("\x11\0\0\0\x07\0\0\0\x03\0\0\0::1\x19\0\0\0\x02\0\0\0\0\0\0\0"), CHANNEL_BAD},
        {"a port above 65535", BYTES("\x11\0\0\0\x07\0\0\0\x03\0\0\0::1\x19\0\x01\0\0\0\0\0\0\0\0\0"), CHANNEL_BAD},
        {"kind 0", BYTES("\0\0\0\0\x07\0\0\0"), CHANNEL_BAD},
        {"an unknown kind", BYTES("\xff\0\0\0\x07\0\0\0"), CHANNEL_BAD},
        {"a huge kind", BYTES("\xff\xff\xff\xff\x07\0\0\0"), CHANNEL_BAD},
        {"bytes behind an empty message", BYTES("\x0d\0\0\0\x07\0\0\0x"), CHANNEL_BAD},
#undef BYTES
    };

    (void)state;
    assert_int_equal(CONTACT_OPEN, 0x11);
    assert_int_equal(HUB_READY, 0x0d);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(send(ends[0], rows[i].bytes, rows[i].length, 0), rows[i].length);
        enum channel_result result = receive();
        if (result != rows[i].result)
            fail_msg("%s: result %d", rows[i].sentence, (int)result);
    }
}

static size_t open_descriptors(void) {
    size_t count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_descriptor_travels_with_a_message(void **state) {
    struct hub_peer peer = {.peer = 1, .pid = 42};
    int fd = memfd_create("x", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(channel_send(ends[0], HUB_PEER, 0, &peer, fd), CHANNEL_OK);
    assert_int_equal(receive(), CHANNEL_OK);
    assert_true(message.fd >= 0);
    assert_true(fcntl(message.fd, F_GETFD) & FD_CLOEXEC);
    char bytes[3];
    assert_int_equal(pread(message.fd, bytes, 3, 0), 3);
    close(message.fd);
    close(fd);
}

static void send_descriptors(const void *bytes, size_t length, int count) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(10 * sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, length};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    for (int i = 0; i < count; i++)
        memcpy(CMSG_DATA(head) + (size_t)i * sizeof(int), &ends[0], sizeof(int));
    assert_true(sendmsg(ends[0], &packet, 0) >= 0);
}

static void more_than_one_descriptor_is_malformed_and_all_are_closed(void **state) {
    static const char ready[] = "\x0d\0\0\0\x07\0\0\0";

    (void)state;
    for (int count = 1; count <= 10; count++) {
        size_t before = open_descriptors();
        send_descriptors(ready, 8, count);
        assert_int_equal(receive(), count == 1 ? CHANNEL_OK : CHANNEL_BAD);
        if (count == 1)
            close(message.fd);
        assert_int_equal(message.fd >= 0, count == 1);
        assert_int_equal(open_descriptors(), before);
    }
}

static void at_the_descriptor_limit_a_message_comes_without_its_descriptor(void **state) {
    struct hub_peer peer = {.peer = 1, .pid = 42};
    struct rlimit limit, none;

    (void)state;
    if (getenv("PARCELPOST_VALGRIND") != NULL)
        skip(); /* valgrind keeps this limit to itself */
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(channel_send(ends[0], HUB_PEER, 0, &peer, ends[0]), CHANNEL_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum channel_result result = receive();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, CHANNEL_OK);
    assert_int_equal(message.kind, HUB_PEER);
    assert_int_equal(message.values->hub_peer.pid, 42);
    assert_int_equal(message.fd, -1);
}

static void a_descriptor_of_a_malformed_message_is_closed(void **state) {
    size_t before = open_descriptors();

    (void)state;
    send_descriptors("bad", 3, 1);
    assert_int_equal(receive(), CHANNEL_BAD);
    assert_int_equal(message.fd, -1);
    assert_int_equal(open_descriptors(), before);
}

static void a_message_longer_than_the_storage_is_malformed(void **state) {
    static char large[CHANNEL_MESSAGE_MAXIMUM + 1];

    (void)state;
    assert_int_equal(send(ends[0], large, sizeof large, 0), sizeof large);
    assert_int_equal(receive(), CHANNEL_BAD);
}

static void a_closed_channel_is_gone_for_both_calls(void **state) {
    struct mail_fetch fetch = {.mail_id = TEXT("x")};

    (void)state;
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(receive(), CHANNEL_GONE);
    assert_int_equal(channel_send(ends[1], MAIL_FETCH, 1, &fetch, -1), CHANNEL_GONE); /* and no SIGPIPE */
}

static void what_was_sent_before_closing_is_still_received(void **state) {
    struct mail_fetch fetch = {.mail_id = TEXT("x")};

    (void)state;
    assert_int_equal(channel_send(ends[0], MAIL_FETCH, 1, &fetch, -1), CHANNEL_OK);
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(receive(), CHANNEL_OK);
    assert_int_equal(receive(), CHANNEL_GONE);
}

/* The kernel says of a peer that closed without having read everything that it has reset the connection, and only then
 * what it had sent. */
static void what_was_sent_before_closing_with_something_unread_is_still_received(void **state) {
    struct mail_fetch fetch = {.mail_id = TEXT("x")};

    (void)state;
    assert_int_equal(channel_send(ends[1], MAIL_FETCH, 1, &fetch, -1), CHANNEL_OK);
    assert_int_equal(channel_send(ends[0], MAIL_FETCH, 2, &fetch, -1), CHANNEL_OK);
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(receive(), CHANNEL_OK);
    assert_int_equal(message.serial, 2);
    assert_int_equal(receive(), CHANNEL_GONE);
}

static void a_full_non_blocking_channel_says_again(void **state) {
    struct mail_fetch fetch = {.mail_id = TEXT("x")};
    enum channel_result result = CHANNEL_OK;

    (void)state;
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 100000 && result == CHANNEL_OK; i++)
        result = channel_send(ends[0], MAIL_FETCH, 1, &fetch, -1);
    assert_int_equal(result, CHANNEL_AGAIN);
}

static void receiving_waits_until_the_deadline(void **state) {
    int64_t began = clock_now_ms();

    (void)state;
    assert_int_equal(channel_receive(ends[1], clock_deadline(50), storage, &values, &message), CHANNEL_TIMEOUT);
    assert_in_range(clock_now_ms() - began, 49, 5000);
}

/* ---- asking ---- */

/* A service in a child: for each question, the answers of the script. */
struct scripted {
    uint32_t kind;
    int serial_shift; /* 0: the question's own */
};

static pid_t serve(const struct scripted *script, size_t count) {
    pid_t child = fork();

    if (child != 0) {
        close(ends[1]);
        ends[1] = -1;
        return child;
    }
    close(ends[0]);
    if (channel_receive(ends[1], clock_deadline(5000), storage, &values, &message) != CHANNEL_OK)
        _exit(1);
    for (size_t i = 0; i < count; i++) {
        union channel_values answer;
        memset(&answer, 0, sizeof answer);
        if (script[i].kind == LOOKUP_ADDRESS_ANSWER)
            answer.lookup_address_answer = (struct lookup_address_answer){
                .standing = STANDING_MEMBER, .canonical = TEXT("coco@example.test"), .targets = TEXT_NONE};
        (void)channel_send(ends[1], script[i].kind, message.serial + (uint32_t)script[i].serial_shift, &answer, -1);
    }
    (void)channel_receive(ends[1], clock_deadline(5000), storage, &values, &message); /* until the asker closes */
    _exit(0);
}

static void an_answer_must_be_of_the_kind_and_serial_that_was_asked(void **state) {
    static const struct {
        const char *sentence;
        struct scripted script[2];
        size_t count;
        enum channel_result result;
    } rows[] = {
        {"the right one", {{LOOKUP_ADDRESS_ANSWER, 0}}, 1, CHANNEL_OK},
        {"a late answer to a question given up comes first",
         {{LOOKUP_LOGIN_ANSWER, -1}, {LOOKUP_ADDRESS_ANSWER, 0}},
         2,
         CHANNEL_OK},
        {"another kind", {{LOOKUP_LOGIN_ANSWER, 0}}, 1, CHANNEL_BAD},
        {"a serial of the future", {{LOOKUP_ADDRESS_ANSWER, 1}}, 1, CHANNEL_BAD},
        {"none at all", {{0}}, 0, CHANNEL_TIMEOUT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct lookup_address question = {.address = TEXT("coco@example.test")};
        struct lookup_address_answer answer;
        close_pair(NULL);
        assert_true(channel_pair(ends));
        pid_t child = serve(rows[i].script, rows[i].count);
        enum channel_result result = channel_ask(ends[0], LOOKUP_ADDRESS, &question, -1, LOOKUP_ADDRESS_ANSWER, &answer,
                                                 NULL, clock_deadline(rows[i].count == 0 ? 100 : 5000));
        close(ends[0]);
        ends[0] = -1;
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (result != rows[i].result)
            fail_msg("%s: result %d", rows[i].sentence, (int)result);
        if (result == CHANNEL_OK)
            assert_true(text_equal(answer.canonical, TEXT("coco@example.test")));
    }
}

static void asking_a_full_channel_ends_at_the_deadline(void **state) {
    struct mail_fetch fetch = {.mail_id = TEXT("x")};
    struct mail_content answer;

    (void)state;
    while (scratch_send(ends[0], MAIL_FETCH, 1, &fetch, -1, 0) == CHANNEL_OK)
        ;
    assert_int_equal(channel_ask(ends[0], MAIL_FETCH, &fetch, -1, MAIL_CONTENT, &answer, NULL, clock_deadline(50)),
                     CHANNEL_TIMEOUT);
}

static void a_large_answer_does_not_stay_in_memory(void **state) {
    static char cargo[CARGO_INLINE_MAXIMUM];
    struct mail_content large = {.found = 1, .cargo = {cargo, sizeof cargo}};
    struct mail_recorded small = {.outcome = COMMIT_OK};

    (void)state;
    assert_int_equal(channel_send(ends[0], MAIL_CONTENT, 1, &large, -1), CHANNEL_OK);
    assert_int_equal(channel_send(ends[0], MAIL_RECORDED, 2, &small, -1), CHANNEL_OK);
    assert_int_equal(scratch_receive(ends[1], 0, &values, &message), CHANNEL_OK);
    (void)resident_kib(getpid()); /* what stdio takes, it takes now */
    size_t with = resident_kib(getpid());
    assert_int_equal(scratch_receive(ends[1], 0, &values, &message), CHANNEL_OK);
    assert_true(resident_kib(getpid()) + 50 <= with); /* 64 KiB, but for what else happened */
}

static void serials_are_compared_across_their_end(void **state) {
    (void)state;
    assert_true(scratch_serial_is_older(1, 2));
    assert_false(scratch_serial_is_older(2, 2));
    assert_false(scratch_serial_is_older(3, 2));
    assert_true(scratch_serial_is_older(UINT32_MAX, 1));
    assert_false(scratch_serial_is_older(1, UINT32_MAX));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_pair, close_pair)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(both_ends_are_close_on_exec),
        TEST(every_field_type_arrives_as_it_was_sent),
        TEST(an_empty_message_arrives),
        TEST(the_largest_message_passes_the_default_socket_buffer),
        TEST(what_passes_its_bounds_is_not_sent),
        TEST(malformed_bytes_are_refused),
        TEST(a_descriptor_travels_with_a_message),
        TEST(more_than_one_descriptor_is_malformed_and_all_are_closed),
        TEST(at_the_descriptor_limit_a_message_comes_without_its_descriptor),
        TEST(a_descriptor_of_a_malformed_message_is_closed),
        TEST(a_message_longer_than_the_storage_is_malformed),
        TEST(a_closed_channel_is_gone_for_both_calls),
        TEST(what_was_sent_before_closing_is_still_received),
        TEST(what_was_sent_before_closing_with_something_unread_is_still_received),
        TEST(a_full_non_blocking_channel_says_again),
        TEST(receiving_waits_until_the_deadline),
        TEST(an_answer_must_be_of_the_kind_and_serial_that_was_asked),
        TEST(asking_a_full_channel_ends_at_the_deadline),
        TEST(a_large_answer_does_not_stay_in_memory),
        TEST(serials_are_compared_across_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
