/* SPDX-License-Identifier: MIT
 * DNS answers: reading messages byte by byte, and the channel against a small server of this test on loopback (UDP and
 * TCP), which answers by the first label of the name asked. */
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "dns/dns.h"
#include "dns/message.h"
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

/* A message under construction. */
struct message {
    unsigned char bytes[4096];
    size_t length;
};

static void put(struct message *message, const void *bytes, size_t length) {
    assert_true(length <= sizeof message->bytes - message->length);
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void put16(struct message *message, unsigned number) {
    unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};
    put(message, bytes, 2);
}

static void put_name(struct message *message, const char *name) {
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        unsigned char count = (unsigned char)length;
        put(message, &count, 1);
        put(message, name, length);
        name += length + (name[length] == '.');
    }
    put(message, "", 1);
}

static void put_start(struct message *message, unsigned flags, unsigned answers, unsigned authority) {
    message->length = 0;
    put16(message, 7);
    put16(message, 0x8180u | flags);
    put16(message, 1);
    put16(message, answers);
    put16(message, authority);
    put16(message, 0);
}

static void put_question(struct message *message, const char *name, unsigned type) {
    put_name(message, name);
    put16(message, type);
    put16(message, 1);
}

static void put_record(struct message *message, const char *owner, unsigned type, unsigned ttl, const void *data,
                       size_t length) {
    put_name(message, owner);
    put16(message, type);
    put16(message, 1);
    put16(message, 0);
    put16(message, ttl);
    put16(message, (unsigned)length);
    put(message, data, length);
}

static void put_soa(struct message *message, unsigned ttl, unsigned minimum) {
    unsigned char data[22] = {0};
    data[20] = (unsigned char)(minimum >> 8);
    data[21] = (unsigned char)minimum;
    put_record(message, "test", 6, ttl, data, sizeof data);
}

static void an_address_is_read_through_its_cname_chain(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0x20, 4, 0);
    put_question(&m, "www.test", DNS_ASK_A);
    put_record(&m, "b.test", DNS_ASK_A, 300, "\x7f\0\0\x02", 4);
    put_record(&m, "WWW.test", 5, 200, "\1a\4test", 8);
    put_record(&m, "a.test", 5, 100, "\1b\4test", 8);
    put_record(&m, "other.test", DNS_ASK_A, 5, "\x7f\0\0\x09", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "www.test", DNS_ASK_A);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FOUND);
    assert_int_equal(reply->count, 1);
    assert_true(text_equal(reply->items[0].value, TEXT("127.0.0.2")));
    assert_int_equal(reply->ttl, 100);
    assert_true(reply->authentic);
    dns_reply_free(reply);
}

static void a_null_mx_is_one_record_with_a_dot(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 1, 0);
    put_question(&m, "null.test", DNS_ASK_MX);
    put_record(&m, "null.test", DNS_ASK_MX, 300, "\0\0\0", 3);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "null.test", DNS_ASK_MX);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FOUND);
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->items[0].preference, 0);
    assert_true(text_equal(reply->items[0].value, TEXT(".")));
    dns_reply_free(reply);
}

static void strings_of_a_text_record_are_joined_and_keep_every_byte(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "t.test", DNS_ASK_TXT);
    put_record(&m, "t.test", DNS_ASK_TXT, 300, "\3v=s\0\5\xff\0 -a", 11);
    put_record(&m, "t.test", DNS_ASK_TXT, 300, "\1x", 2);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "t.test", DNS_ASK_TXT);
    assert_int_equal(reply->count, 2);
    assert_int_equal(reply->items[0].value.length, 8);
    assert_memory_equal(reply->items[0].value.data, "v=s\xff\0 -a", 8);
    assert_true(text_equal(reply->items[1].value, TEXT("x")));
    dns_reply_free(reply);
}

static void preferences_and_compressed_names_are_read(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "d.test", DNS_ASK_MX);
    put_record(&m, "d.test", DNS_ASK_MX, 300, "\1\2\2mx\xc0\x0c", 7);
    put_record(&m, "d.test", DNS_ASK_MX, 300, "\0\5\xc0\x0e", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "d.test", DNS_ASK_MX);
    assert_int_equal(reply->count, 2);
    assert_int_equal(reply->items[0].preference, 258);
    assert_true(text_equal(reply->items[0].value, TEXT("mx.d.test")));
    assert_true(text_equal(reply->items[1].value, TEXT("test")));
    dns_reply_free(reply);
}

struct negative_row {
    const char *sentence;
    unsigned flags; /* AA 0x400, rcode */
    bool soa, servers, chain;
    unsigned soa_ttl, soa_minimum;
    enum dns_outcome outcome;
    uint32_t ttl;
};
static const struct negative_row negative_rows[] = {
    {"NXDOMAIN is no name", 3, true, false, false, 600, 900, DNS_OUTCOME_NO_NAME, 600},
    {"an empty answer is no data", 0, true, false, false, 900, 300, DNS_OUTCOME_NO_DATA, 300},
    {"a negative answer without SOA lives a minute", 3, false, false, false, 0, 0, DNS_OUTCOME_NO_NAME, 60},
    {"an alias that leads nowhere is no name", 3, true, false, true, 70, 900, DNS_OUTCOME_NO_NAME, 70},
    {"an alias without such data is no data", 0, true, false, true, 70, 900, DNS_OUTCOME_NO_DATA, 70},
    {"a referral proves nothing", 0, false, true, false, 0, 0, DNS_OUTCOME_FAILED, 60},
    {"an empty answer with authority is no data", 0x400, false, true, false, 0, 0, DNS_OUTCOME_NO_DATA, 60},
    {"SERVFAIL is a failure", 2, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
    {"REFUSED is a failure", 5, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
    {"FORMERR is a failure", 1, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
};

static void ways_of_not_finding_are_never_mixed_up(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof negative_rows / sizeof *negative_rows; i++) {
        const struct negative_row *row = &negative_rows[i];
        struct message m;
        print_message("  %s\n", row->sentence);
        put_start(&m, row->flags, row->chain, row->soa + row->servers);
        put_question(&m, "x.test", DNS_ASK_A);
        if (row->chain) {
            put_record(&m, "x.test", 5, 5, "\1b\4test", 8);
        }
        if (row->soa) {
            put_soa(&m, row->soa_ttl, row->soa_minimum);
        }
        if (row->servers) {
            put_record(&m, "test", 2, 600, "\2ns\4test", 9);
        }
        struct dns_reply *reply = dns_message_read(m.bytes, m.length, "x.test", DNS_ASK_A);
        assert_int_equal(reply->outcome, row->outcome);
        assert_int_equal(reply->ttl, row->ttl);
        assert_int_equal(reply->count, 0);
        dns_reply_free(reply);
    }
}

struct broken_row {
    const char *sentence;
    const char *data;
    size_t length;
    unsigned type;
};
static const struct broken_row broken_rows[] = {
    {"an address of three bytes", "\x7f\0\0", 3, DNS_ASK_A},
    {"an MX without a name", "\0\1", 2, DNS_ASK_MX},
    {"a name that points at itself", "\0\1\xc0\x2c", 4, DNS_ASK_MX},
    {"a name that points forward", "\0\1\xc0\x7f", 4, DNS_ASK_MX},
    {"a name that leaves its record", "\0\1\5abc", 6, DNS_ASK_MX},
    {"a name with a dot inside a label", "\0\1\3a.b\0", 7, DNS_ASK_MX},
    {"a name with a NUL", "\0\1\3a\0b\0", 7, DNS_ASK_MX},
    {"a string longer than its record", "\5abc", 4, DNS_ASK_TXT},
};

static void broken_records_are_failures_and_not_absence(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof *broken_rows; i++) {
        const struct broken_row *row = &broken_rows[i];
        struct message m;
        print_message("  %s\n", row->sentence);
        put_start(&m, 0, 1, 0);
        put_question(&m, "x.test", row->type);
        put_record(&m, "x.test", row->type, 300, row->data, row->length);
        struct dns_reply *reply = dns_message_read(m.bytes, m.length, "x.test", (enum dns_question_type)row->type);
        assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
        assert_int_equal(reply->count, 0);
        dns_reply_free(reply);
    }
}

static void a_cut_message_at_any_place_is_a_failure(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "x.test", DNS_ASK_MX);
    put_record(&m, "x.test", 5, 200, "\1a\4test", 8);
    put_record(&m, "a.test", DNS_ASK_MX, 300, "\0\1\2mx\xc0\x0c", 7);
    for (size_t length = 0; length < m.length; length++) {
        unsigned char *exact = malloc(length > 0 ? length : 1); /* so that the sanitizer sees a byte too far */
        memcpy(exact, m.bytes, length);
        struct dns_reply *reply = dns_message_read(exact, length, "x.test", DNS_ASK_MX);
        assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
        dns_reply_free(reply);
        free(exact);
    }
}

static void changed_bytes_never_crash_the_reader(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 1);
    put_question(&m, "x.test", DNS_ASK_MX);
    put_record(&m, "x.test", 5, 200, "\1a\xc0\x0e", 4);
    put_record(&m, "a.test", DNS_ASK_MX, 300, "\0\1\2mx\xc0\x0c", 7);
    put_soa(&m, 5, 6);
    for (size_t at = 0; at < m.length; at++) {
        for (unsigned value = 0; value < 256; value += 3) {
            struct message changed = m;
            changed.bytes[at] = (unsigned char)value;
            dns_reply_free(dns_message_read(changed.bytes, changed.length, "x.test", DNS_ASK_MX));
        }
    }
}

struct name_row {
    const char *sentence, *name, *prepared; /* NULL: refused */
};
static const struct name_row name_rows[] = {
    {"a name is compared in lower case", "WWW.Example.TEST", "www.example.test"},
    {"a final dot goes", "a.test.", "a.test"},
    {"one label may be asked", "localhost", "localhost"},
    {"an underscore may be asked", "s._domainkey.test", "s._domainkey.test"},
    {"nothing is no name", "", NULL},
    {"the root is not asked", ".", NULL},
    {"an empty label is no name", "a..test", NULL},
    {"a leading dot is no name", ".test", NULL},
    {"a blank is no name", "a b.test", NULL},
    {"a backslash is no name", "a\\046b.test", NULL},
    {"eight-bit bytes are no name", "m\xc3\xbcller.test", NULL},
    {"a label of 63 bytes is a name", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg.test",
     "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg.test"},
    {"a label of 64 bytes is not", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.test", NULL},
};

static void names_are_checked_before_they_are_asked(void **state) {
    (void)state;
    char prepared[DNS_NAME_SIZE], long_name[300];
    for (size_t i = 0; i < sizeof name_rows / sizeof *name_rows; i++) {
        const struct name_row *row = &name_rows[i];
        print_message("  %s\n", row->sentence);
        assert_int_equal(dns_name_prepare(text_of(row->name), prepared), row->prepared != NULL);
        if (row->prepared != NULL) {
            assert_string_equal(prepared, row->prepared);
        }
    }
    for (size_t i = 0; i < sizeof long_name; i++) {
        long_name[i] = i % 2 == 0 ? 'a' : '.';
    }
    assert_true(dns_name_prepare((struct text){long_name, 253}, prepared));
    assert_false(dns_name_prepare((struct text){long_name, 255}, prepared));
}

/* The server of the tests below, in a process of its own. */
struct shared {
    volatile unsigned udp, tcp, edns, asked_ad;
};
struct peer {
    struct shared *shared;
    pid_t pid;
    unsigned port;
};

static bool label_is(const unsigned char *question, const char *label) {
    return question[0] == strlen(label) && memcmp(question + 1, label, question[0]) == 0;
}

/* Makes the answer for the question in `asked`; false for silence. */
static bool peer_answer(const unsigned char *asked, size_t length, bool tcp, struct shared *shared,
                        struct message *answer) {
    const unsigned char *question = asked + 12;
    size_t name_length = strlen((const char *)question) + 1;
    bool edns = length > 12 + name_length + 4;
    unsigned flags = 0, count = 0;
    shared->edns += edns;
    shared->asked_ad += (asked[3] & 0x20) != 0;
    flags |= label_is(question, "servfail") ? 2u : 0;
    flags |= label_is(question, "refused") ? 5u : 0;
    flags |= label_is(question, "nxdomain") ? 3u : 0;
    flags |= label_is(question, "noedns") && edns ? 1u : 0;
    flags |= label_is(question, "signed") ? 0x20u : 0;
    flags |= label_is(question, "big") && !tcp ? 0x200u : 0;
    count = flags == 0 || flags == 0x20u;
    count = label_is(question, "nodata") ? 0 : count;
    put_start(answer, flags, count, 0);
    memcpy(answer->bytes, asked, 2);
    put(answer, question, name_length + 4);
    if (count > 0) {
        put(answer, "\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x7f\0\0\x05", 16);
    }
    return !label_is(question, "silent");
}

static void peer_serve_tcp(int listening, struct shared *shared) {
    unsigned char asked[1024];
    struct message answer;
    int fd = accept(listening, NULL, NULL);
    ssize_t got = recv(fd, asked, sizeof asked, 0);
    shared->tcp++;
    if (got > 2 && peer_answer(asked + 2, (size_t)got - 2, true, shared, &answer)) {
        unsigned char prefix[2] = {(unsigned char)(answer.length >> 8), (unsigned char)answer.length};
        (void)!write(fd, prefix, 2);
        (void)!write(fd, answer.bytes, answer.length);
        (void)recv(fd, asked, sizeof asked, 0);
    }
    close(fd);
}

static _Noreturn void peer_main(int udp, int listening, struct shared *shared) {
    for (;;) {
        struct pollfd ready[2] = {{.fd = udp, .events = POLLIN}, {.fd = listening, .events = POLLIN}};
        unsigned char asked[1024];
        struct message answer;
        struct sockaddr_in from;
        socklen_t from_length = sizeof from;
        (void)poll(ready, 2, -1);
        if ((ready[1].revents & POLLIN) != 0) {
            peer_serve_tcp(listening, shared);
        }
        if ((ready[0].revents & POLLIN) != 0) {
            ssize_t got = recvfrom(udp, asked, sizeof asked - 1, 0, (struct sockaddr *)&from, &from_length);
            shared->udp++;
            asked[got > 0 ? got : 0] = '\0';
            if (got > 12 && peer_answer(asked, (size_t)got, false, shared, &answer)) {
                (void)sendto(udp, answer.bytes, answer.length, 0, (struct sockaddr *)&from, from_length);
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
    peer.pid = fork();
    if (peer.pid == 0) {
        peer_main(udp, tcp, peer.shared);
    }
    close(udp);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_through_its_cname_chain),
        cmocka_unit_test(a_null_mx_is_one_record_with_a_dot),
        cmocka_unit_test(strings_of_a_text_record_are_joined_and_keep_every_byte),
        cmocka_unit_test(preferences_and_compressed_names_are_read),
        cmocka_unit_test(ways_of_not_finding_are_never_mixed_up),
        cmocka_unit_test(broken_records_are_failures_and_not_absence),
        cmocka_unit_test(a_cut_message_at_any_place_is_a_failure),
        cmocka_unit_test(changed_bytes_never_crash_the_reader),
        cmocka_unit_test(names_are_checked_before_they_are_asked),
        cmocka_unit_test(every_outcome_arrives_as_itself),
        cmocka_unit_test(the_ad_bit_is_asked_for_and_given),
        cmocka_unit_test(same_questions_share_one_query_and_then_the_cache),
        cmocka_unit_test(different_questions_overlap),
        cmocka_unit_test(a_server_that_is_not_there_is_silence),
    };
    log_start(2, "test_dns", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
