/* SPDX-License-Identifier: MIT
 * The DNS channel against a small server of this test on loopback (UDP and TCP), which answers by the first label of
 * the name asked. */
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "dns/dns.h"
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns_builder.h"

/* The server of the tests below, in a process of its own. */
struct shared {
    volatile unsigned udp, tcp, edns, asked_ad, late;
};
struct peer {
    struct shared *shared;
    pid_t pid;
    unsigned port, second_port;
};

static bool label_is(const unsigned char *question, const char *label) {
    return question[0] == strlen(label) && memcmp(question + 1, label, question[0]) == 0;
}

/* Makes the answer for the question in `asked`; false for silence. */
static bool peer_answer(const unsigned char *asked, size_t length, bool tcp, bool second, struct shared *shared,
                        struct message *answer) {
    const unsigned char *question = asked + 12;
    size_t name_length = strlen((const char *)question) + 1;
    bool edns = length > 12 + name_length + 4;
    unsigned flags = 0, count = 0;
    shared->edns += edns;
    shared->asked_ad += (asked[3] & 0x20) != 0;
    flags |= label_is(question, "servfail") || (label_is(question, "servfail-once") && !second) ? 2u : 0;
    flags |= label_is(question, "refused") ? 5u : 0;
    flags |= label_is(question, "nxdomain") ? 3u : 0;
    flags |= label_is(question, "noedns") && edns ? 1u : 0;
    flags |= label_is(question, "signed") ? 0x20u : 0;
    flags |= (label_is(question, "big") || label_is(question, "big-late")) && !tcp ? 0x200u : 0;
    count = flags == 0 || flags == 0x20u;
    count = label_is(question, "nodata") ? 0 : count;
    put_start(answer, flags, count, 0);
    memcpy(answer->bytes, asked, 2);
    put(answer, question, name_length + 4);
    if (count > 0) {
        put(answer, "\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x7f\0\0\x05", 16);
    }
    return !label_is(question, "silent") && !(label_is(question, "big-late") && tcp && shared->late++ == 0);
}

static void peer_serve_tcp(int listening, struct shared *shared) {
    unsigned char asked[1024];
    struct message answer;
    int fd = accept(listening, NULL, NULL);
    if (fork() != 0) { /* UDP is served meanwhile */
        close(fd);
        return;
    }
    for (ssize_t got; (got = recv(fd, asked, sizeof asked, 0)) > 0;) { /* until the other side closes */
        shared->tcp++;
        if (got > 2 && peer_answer(asked + 2, (size_t)got - 2, true, false, shared, &answer)) {
            unsigned char prefix[2] = {(unsigned char)(answer.length >> 8), (unsigned char)answer.length};
            (void)!write(fd, prefix, 2);
            (void)!write(fd, answer.bytes, answer.length);
        }
    }
    _exit(0);
}

static void peer_serve_udp(int udp, bool second, struct shared *shared) {
    unsigned char asked[1024];
    struct message answer;
    struct sockaddr_in from;
    socklen_t from_length = sizeof from;
    ssize_t got = recvfrom(udp, asked, sizeof asked - 1, 0, (struct sockaddr *)&from, &from_length);
    shared->udp++;
    asked[got > 0 ? got : 0] = '\0';
    if (got > 12 && peer_answer(asked, (size_t)got, false, second, shared, &answer)) {
        (void)sendto(udp, answer.bytes, answer.length, 0, (struct sockaddr *)&from, from_length);
    }
}

static _Noreturn void peer_main(int udp, int second, int listening, struct shared *shared) {
    for (;;) {
        struct pollfd ready[3] = {
            {.fd = udp, .events = POLLIN}, {.fd = second, .events = POLLIN}, {.fd = listening, .events = POLLIN}};
        (void)poll(ready, 3, -1);
        if ((ready[2].revents & POLLIN) != 0) {
            peer_serve_tcp(listening, shared);
        }
        for (int i = 0; i < 2; i++) {
            if ((ready[i].revents & POLLIN) != 0) {
                peer_serve_udp(ready[i].fd, i > 0, shared);
            }
        }
    }
}

static int peer_start(void **state) {
    static struct peer peer;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer.shared = mmap(NULL, sizeof *peer.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(bind(udp, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(udp, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(bind(tcp, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(tcp, 8), 0);
    peer.port = ntohs(address.sin_port);
    address.sin_port = 0;
    int second = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(second, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(second, (struct sockaddr *)&address, &length), 0);
    peer.second_port = ntohs(address.sin_port);
    peer.pid = fork();
    if (peer.pid == 0) {
        peer_main(udp, second, tcp, peer.shared);
    }
    close(udp);
    close(second);
    close(tcp);
    *state = &peer;
    return 0;
}

static int peer_stop(void **state) {
    struct peer *peer = *state;
    kill(peer->pid, SIGKILL);
    return waitpid(peer->pid, NULL, 0) == peer->pid ? 0 : -1;
}

struct waiting { /* what came back */
    enum dns_outcome outcome;
    bool authentic;
    size_t count;
    char first[64];
    unsigned calls;
};

static void remember(void *context, const struct dns_reply *reply) {
    struct waiting *waiting = context;
    waiting->outcome = reply->outcome;
    waiting->authentic = reply->authentic;
    waiting->count = reply->count;
    waiting->calls++;
    if (reply->count > 0) {
        (void)text_copy(waiting->first, sizeof waiting->first, reply->items[0].value);
    }
}

static struct dns *channel_new(struct loop *loop, unsigned port, size_t cache_size) {
    char server[32];
    char *servers[1] = {server};
    (void)snprintf(server, sizeof server, "127.0.0.1:%u", port);
    struct dns_settings settings = {
        .servers = servers, .server_count = 1, .timeout_ms = 150, .tries = 2, .cache_size = cache_size};
    return dns_new(loop, &settings);
}

static void wait_for(struct loop *loop, const struct waiting *waiting, unsigned calls) {
    int64_t deadline = clock_deadline(5000);
    while (waiting->calls < calls && clock_now_ms() < deadline) {
        loop_round(loop, 50);
    }
    assert_int_equal(waiting->calls, calls);
}

struct channel_row {
    const char *sentence, *name;
    enum dns_outcome outcome;
    size_t count;
    unsigned udp, tcp; /* questions that the server saw */
};
static const struct channel_row channel_rows[] = {
    {"an answer arrives", "found.test", DNS_OUTCOME_FOUND, 1, 1, 0},
    {"an empty answer is no data", "nodata.test", DNS_OUTCOME_NO_DATA, 0, 1, 0},
    {"NXDOMAIN is no name", "nxdomain.test", DNS_OUTCOME_NO_NAME, 0, 1, 0},
    {"SERVFAIL is a failure at once", "servfail.test", DNS_OUTCOME_FAILED, 0, 1, 0},
    {"REFUSED is a failure at once", "refused.test", DNS_OUTCOME_FAILED, 0, 1, 0},
    {"silence is a time-out after the tries", "silent.test", DNS_OUTCOME_TIMEOUT, 0, 2, 0},
    {"a truncated answer comes again over TCP", "big.test", DNS_OUTCOME_FOUND, 1, 1, 1},
    {"a truncated answer that does not come over TCP is asked for again", "big-late.test", DNS_OUTCOME_FOUND, 1, 2, 2},
    {"a bad name is not asked", "a b.test", DNS_OUTCOME_BAD_NAME, 0, 0, 0},
    {"a server without EDNS is asked again plainly", "noedns.test", DNS_OUTCOME_FOUND, 1, 2, 0},
};

static void every_outcome_arrives_as_itself(void **state) {
    struct peer *peer = *state;
    for (size_t i = 0; i < sizeof channel_rows / sizeof *channel_rows; i++) {
        const struct channel_row *row = &channel_rows[i];
        struct waiting waiting = {0};
        struct loop *loop = loop_new();
        struct dns *dns = channel_new(loop, peer->port, 10);
        unsigned udp = peer->shared->udp, tcp = peer->shared->tcp;
        print_message("  %s\n", row->sentence);
        dns_resolve(dns, text_of(row->name), DNS_ASK_A, remember, &waiting);
        wait_for(loop, &waiting, 1);
        assert_int_equal(waiting.outcome, row->outcome);
        assert_int_equal(waiting.count, row->count);
        assert_int_equal(peer->shared->udp - udp, row->udp);
        assert_int_equal(peer->shared->tcp - tcp, row->tcp);
        dns_free(dns);
        loop_free(loop);
    }
}

static void the_ad_bit_is_asked_for_and_given(void **state) {
    struct peer *peer = *state;
    struct waiting plain = {0}, secure = {0};
    struct loop *loop = loop_new();
    struct dns *dns = channel_new(loop, peer->port, 10);
    unsigned asked = peer->shared->asked_ad, edns = peer->shared->edns;
    dns_resolve(dns, TEXT("found.test"), DNS_ASK_A, remember, &plain);
    wait_for(loop, &plain, 1);
    dns_resolve(dns, TEXT("signed.test"), DNS_ASK_A, remember, &secure);
    wait_for(loop, &secure, 1);
    assert_false(plain.authentic);
    assert_true(secure.authentic);
    assert_string_equal(secure.first, "127.0.0.5");
    assert_int_equal(peer->shared->asked_ad - asked, 2);
    assert_int_equal(peer->shared->edns - edns, 2);
    dns_free(dns);
    loop_free(loop);
}

static void same_questions_share_one_query_and_then_the_cache(void **state) {
    struct peer *peer = *state;
    struct waiting waiting = {0};
    struct loop *loop = loop_new();
    struct dns *dns = channel_new(loop, peer->port, 10);
    unsigned udp = peer->shared->udp;
    for (int i = 0; i < 5; i++) {
        dns_resolve(dns, i % 2 == 0 ? TEXT("found.test") : TEXT("FOUND.test."), DNS_ASK_A, remember, &waiting);
    }
    wait_for(loop, &waiting, 5);
    dns_resolve(dns, TEXT("found.test"), DNS_ASK_A, remember, &waiting);
    assert_int_equal(waiting.calls, 6);
    assert_int_equal(peer->shared->udp - udp, 1);
    assert_int_equal(waiting.count, 1);
    dns_free(dns);
    loop_free(loop);
}

/* The first refusal is c-ares' own matter; it then forgets about EDNS, and the next one is ours. */
static void a_server_without_edns_is_asked_plainly_each_time(void **state) {
    struct peer *peer = *state;
    struct waiting first = {0}, second = {0};
    struct loop *loop = loop_new();
    struct dns *dns = channel_new(loop, peer->port, 10);
    dns_resolve(dns, TEXT("noedns.test"), DNS_ASK_A, remember, &first);
    wait_for(loop, &first, 1);
    dns_resolve(dns, TEXT("noedns.other.test"), DNS_ASK_A, remember, &second);
    wait_for(loop, &second, 1);
    assert_int_equal(first.outcome, DNS_OUTCOME_FOUND);
    assert_int_equal(second.outcome, DNS_OUTCOME_FOUND);
    dns_free(dns);
    loop_free(loop);
}

static void different_questions_overlap(void **state) {
    struct peer *peer = *state;
    struct waiting silent = {0}, found = {0};
    struct loop *loop = loop_new();
    struct dns *dns = channel_new(loop, peer->port, 10);
    dns_resolve(dns, TEXT("silent.test"), DNS_ASK_A, remember, &silent);
    dns_resolve(dns, TEXT("found.test"), DNS_ASK_A, remember, &found);
    wait_for(loop, &found, 1);
    assert_int_equal(silent.calls, 0);
    dns_free(dns); /* with a question under way: dropped without a call, without a leak */
    loop_free(loop);
    assert_int_equal(silent.calls, 0);
}

static void a_server_that_is_not_there_is_silence(void **state) {
    (void)state;
    struct waiting waiting = {0};
    struct loop *loop = loop_new();
    struct dns *dns = channel_new(loop, 1, 10);
    dns_resolve(dns, TEXT("found.test"), DNS_ASK_A, remember, &waiting);
    wait_for(loop, &waiting, 1);
    assert_int_equal(waiting.outcome, DNS_OUTCOME_TIMEOUT);
    dns_free(dns);
    loop_free(loop);
}

/* The same server under two addresses; "servfail-once" fails at the first one only. */
static struct dns *channel_to_two(struct loop *loop, unsigned first, unsigned second) {
    char server[2][32];
    char *servers[2] = {server[0], server[1]};
    (void)snprintf(server[0], sizeof server[0], "127.0.0.1:%u", first);
    (void)snprintf(server[1], sizeof server[1], "127.0.0.1:%u", second);
    struct dns_settings settings = {
        .servers = servers, .server_count = 2, .timeout_ms = 150, .tries = 2, .cache_size = 10};
    return dns_new(loop, &settings);
}

static void another_server_is_asked_when_one_fails(void **state) {
    static const struct {
        const char *sentence, *name;
        enum dns_outcome outcome;
    } rows[] = {
        {"SERVFAIL here, an answer there", "servfail-once.test", DNS_OUTCOME_FOUND},
        {"SERVFAIL everywhere stays a failure", "servfail.test", DNS_OUTCOME_FAILED},
        {"REFUSED everywhere stays a failure", "refused.test", DNS_OUTCOME_FAILED},
        {"NXDOMAIN is believed at once", "nxdomain.test", DNS_OUTCOME_NO_NAME},
        {"silence everywhere stays a time-out", "silent.test", DNS_OUTCOME_TIMEOUT},
    };
    struct peer *peer = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct waiting waiting = {0};
        struct loop *loop = loop_new();
        struct dns *dns = channel_to_two(loop, peer->port, peer->second_port);
        print_message("  %s\n", rows[i].sentence);
        dns_resolve(dns, text_of(rows[i].name), DNS_ASK_A, remember, &waiting);
        wait_for(loop, &waiting, 1);
        assert_int_equal(waiting.outcome, rows[i].outcome);
        dns_free(dns);
        loop_free(loop);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_outcome_arrives_as_itself),
        cmocka_unit_test(the_ad_bit_is_asked_for_and_given),
        cmocka_unit_test(same_questions_share_one_query_and_then_the_cache),
        cmocka_unit_test(a_server_without_edns_is_asked_plainly_each_time),
        cmocka_unit_test(different_questions_overlap),
        cmocka_unit_test(a_server_that_is_not_there_is_silence),
        cmocka_unit_test(another_server_is_asked_when_one_fails),
    };
    log_start(2, "test_dns", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
