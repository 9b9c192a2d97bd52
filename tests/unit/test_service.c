/* SPDX-License-Identifier: MIT
 * The frame of services: a small resolver in a child process, and askers that keep or break the rules. */
#include "base/clock.h"
#include "base/log.h"
#include "ipc/ask.h"
#include "ipc/service.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "resident.h"
#include "sanitized.h"

#define LIMIT 10000

/* ---- the service: answers in after_round, ttl tells how large the batch was ---- */

struct waiting {
    struct service_peer *peer;
    uint32_t serial;
};
static struct waiting batch[64];
static uint32_t batch_count, peers_gone;

static void answer_large(struct service_peer *peer, uint32_t serial) {
    static char bytes[100 * 1024];
    struct dns_answer answer = {.status = DNS_FOUND, .records = {bytes, sizeof bytes}};

    for (int i = 0; i < 20; i++)
        service_answer(peer, DNS_ANSWER, serial, &answer, -1);
}

/* Each of several pages, between blocks that stay. */
static void make_holes(void) {
    enum { HOLES = 256, SIZE = 16 * 1024 };
    static void **kept;
    char *blocks[HOLES];

    for (int i = 0; i < HOLES; i++) {
        blocks[i] = memset(malloc(SIZE), 1, SIZE);
        void **block = malloc(24);
        *block = kept;
        kept = block;
    }
    for (int i = 0; i < HOLES; i++)
        free(blocks[i]);
}

static bool take_question(void *context, struct service_peer *peer, struct channel_message *message) {
    struct text name = message->values->dns_ask.name;

    (void)context;
    if (text_equal(name, TEXT("end-me")))
        return false;
    if (text_equal(name, TEXT("flood-me"))) {
        answer_large(peer, message->serial);
        return true;
    }
    if (text_equal(name, TEXT("make-holes")))
        make_holes();
    batch[batch_count++] = (struct waiting){peer, message->serial};
    return true;
}

static void answer_batch(void *context) {
    struct dns_answer answer = {.status = DNS_NO_DATA, .ttl = batch_count, .authentic = peers_gone > 0};

    (void)context;
    for (uint32_t i = 0; i < batch_count; i++)
        service_answer(batch[i].peer, DNS_ANSWER, batch[i].serial, &answer, -1);
    batch_count = 0;
}

static void count_gone(void *context, struct service_peer *peer) {
    (void)context;
    (void)peer;
    peers_gone++;
}

static const struct service_row rows[] = {{DNS_ASK, take_question}};
static const struct service_definition definition = {
    .kind = SERVICE_RESOLVER, .rows = rows, .row_count = 1, .after_round = answer_batch, .peer_gone = count_gone};

/* ---- the test's side ---- */

static int hub;
static pid_t child;

static enum channel_result receive(int fd, struct channel_message *message, union channel_values *values) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];

    return channel_receive(fd, clock_deadline(LIMIT), storage, values, message);
}

static int start_service(void **state) {
    struct channel_message message;
    union channel_values values;
    int ends[2];

    (void)state;
    if (!channel_pair(ends))
        return -1;
    child = fork();
    if (child == 0) {
        close(ends[0]);
        service_run(service_new(&definition, ends[1], NULL));
    }
    close(ends[1]);
    hub = ends[0];
    return receive(hub, &message, &values) == CHANNEL_OK && message.kind == HUB_READY ? 0 : -1;
}

static int stop_service(void **state) {
    (void)state;
    if (hub >= 0)
        close(hub);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return 0;
}

static int new_asker_as(enum peer_kind kind) {
    struct hub_peer peer = {.peer = kind, .pid = 4711};
    int ends[2];

    assert_true(channel_pair(ends));
    assert_int_equal(channel_send(hub, HUB_PEER, 0, &peer, ends[1]), CHANNEL_OK);
    close(ends[1]);
    return ends[0];
}

static int new_asker(void) {
    return new_asker_as(PEER_RECEIVER);
}

static enum channel_result ask(int asker, const char *name, struct dns_answer *answer) {
    struct dns_ask question = {.name = text_of(name), .type = DNS_TYPE_A};

    return channel_ask(asker, DNS_ASK, &question, -1, DNS_ANSWER, answer, NULL, clock_deadline(LIMIT));
}

static void assert_serves(int asker) {
    struct dns_answer answer;

    assert_int_equal(ask(asker, "a.example", &answer), CHANNEL_OK);
    assert_int_equal(answer.status, DNS_NO_DATA);
}

static void assert_closed(int asker) {
    struct channel_message message;
    union channel_values values;

    assert_int_equal(receive(asker, &message, &values), CHANNEL_GONE);
    close(asker);
}

static int exit_status(void) {
    int status = 0;

    for (int i = 0; i < LIMIT / 10; i++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            child = -1;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        usleep(10000);
    }
    return -2;
}

/* ---- the tests ---- */

static void an_asker_from_the_hub_is_served(void **state) {
    int asker = new_asker();

    (void)state;
    assert_serves(asker);
    assert_serves(asker);
    close(asker);
}

/* Returns once the service stands still: a signal takes its time. */
static void hold_service(void) {
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
}

static void what_arrived_together_is_one_batch(void **state) {
    int askers[8];
    struct dns_ask question = {.name = TEXT("a.example"), .type = DNS_TYPE_A};
    struct channel_message message;
    union channel_values values;
    uint32_t largest = 0;

    (void)state;
    for (int i = 0; i < 8; i++)
        askers[i] = new_asker();
    assert_serves(askers[7]);
    hold_service();
    for (int i = 0; i < 8; i++)
        assert_int_equal(channel_send(askers[i], DNS_ASK, 0, &question, -1), CHANNEL_OK);
    kill(child, SIGCONT);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(receive(askers[i], &message, &values), CHANNEL_OK);
        largest = values.dns_answer.ttl > largest ? values.dns_answer.ttl : largest;
    }
    assert_int_equal(largest, 8);
    for (int i = 0; i < 8; i++)
        close(askers[i]);
}

static void one_talker_gets_a_bounded_share_of_a_round(void **state) {
    int asker = new_asker();
    struct dns_ask question = {.name = TEXT("a.example"), .type = DNS_TYPE_A};
    struct channel_message message;
    union channel_values values;

    (void)state;
    assert_serves(asker);
    hold_service();
    for (uint32_t k = 0; k < 60; k++)
        assert_int_equal(channel_send(asker, DNS_ASK, k, &question, -1), CHANNEL_OK);
    kill(child, SIGCONT);
    for (int k = 0; k < 60; k++) {
        assert_int_equal(receive(asker, &message, &values), CHANNEL_OK);
        assert_in_range(values.dns_answer.ttl, 1, 32);
    }
    close(asker);
}

static void who_breaks_the_rules_is_closed_and_others_go_on(void **state) {
    struct mail_fetch forbidden = {.mail_id = TEXT("x")};
    int good = new_asker(), rude = new_asker(), garbled = new_asker(), ended = new_asker();
    int posing = new_asker_as(PEER_LISTENER);
    struct dns_ask question = {.name = TEXT("end-me"), .type = DNS_TYPE_A};
    struct dns_answer answer;

    (void)state;
    assert_serves(good);
    assert_int_equal(channel_send(rude, MAIL_FETCH, 1, &forbidden, -1), CHANNEL_OK);
    assert_closed(rude);
    assert_int_equal(write(garbled, "garbled", 7), 7);
    assert_closed(garbled);
    assert_int_equal(channel_send(ended, DNS_ASK, 1, &question, -1), CHANNEL_OK);
    assert_closed(ended);
    assert_closed(posing); /* nobody but the hub is the listener */
    assert_int_equal(ask(good, "a.example", &answer), CHANNEL_OK);
    assert_int_equal(answer.authentic, 1); /* peer_gone was called */
    close(good);
}

static void only_the_hub_may_introduce_askers(void **state) {
    struct hub_peer peer = {.peer = PEER_OPERATOR, .pid = 1};
    int asker = new_asker(), ends[2];

    (void)state;
    assert_true(channel_pair(ends));
    assert_int_equal(channel_send(asker, HUB_PEER, 0, &peer, ends[1]), CHANNEL_OK);
    close(ends[1]);
    assert_closed(asker);
    assert_closed(ends[0]);
}

static enum channel_result introduce(int nursery, enum peer_kind kind, int *asker) {
    const struct hub_peer peer = {(uint32_t)kind, 7};
    int ends[2];

    assert_true(channel_pair(ends));
    enum channel_result result = channel_send(nursery, HUB_PEER, 0, &peer, ends[1]);
    close(ends[1]);
    *asker = ends[0];
    return result;
}

static void the_nursery_introduces_receivers_and_nobody_else(void **state) {
    static const enum peer_kind others[] = {PEER_OPERATOR, PEER_AGENT, PEER_RUNNER, PEER_LISTENER, PEER_NURSERY};
    int nursery = new_asker_as(PEER_NURSERY), receiver, other;

    (void)state;
    assert_int_equal(introduce(nursery, PEER_RECEIVER, &receiver), CHANNEL_OK);
    assert_serves(receiver);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(introduce(nursery, others[i], &other), CHANNEL_OK);
        assert_closed(other);
        close(other);
    }
    assert_serves(receiver);
    close(receiver);
    close(nursery);
}

static void who_does_not_read_answers_is_closed_and_others_go_on(void **state) {
    struct dns_ask question = {.name = TEXT("flood-me"), .type = DNS_TYPE_A};
    int good = new_asker(), deaf = new_asker();
    struct channel_message message;
    union channel_values values;
    enum channel_result result;

    (void)state;
    assert_serves(good);
    assert_int_equal(channel_send(deaf, DNS_ASK, 1, &question, -1), CHANNEL_OK);
    assert_serves(good);
    assert_serves(good);
    do
        result = receive(deaf, &message, &values);
    while (result == CHANNEL_OK);
    assert_int_equal(result, CHANNEL_GONE);
    assert_serves(good);
    close(good);
    close(deaf);
}

static void a_passed_descriptor_that_no_handler_takes_is_closed(void **state) {
    int asker = new_asker(), pipe_ends[2];
    struct dns_ask question = {.name = TEXT("a.example"), .type = DNS_TYPE_A};
    struct dns_answer answer;
    char byte;

    (void)state;
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(
        channel_ask(asker, DNS_ASK, &question, pipe_ends[1], DNS_ANSWER, &answer, NULL, clock_deadline(LIMIT)),
        CHANNEL_OK);
    close(pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* the service holds no writing end */
    close(pipe_ends[0]);
    close(asker);
}

static void signals_from_a_terminal_do_not_end_a_service(void **state) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    int asker = new_asker();

    (void)state;
    for (size_t i = 0; i < 4; i++)
        kill(child, signals[i]);
    assert_serves(asker);
    close(asker);
}

static void without_hub_and_peers_it_ends_with_status_ok(void **state) {
    (void)state;
    close(hub);
    hub = -1;
    assert_int_equal(exit_status(), 0);
}

static void without_hub_it_serves_until_its_last_peer_is_gone(void **state) {
    int asker = new_asker(), other = new_asker();

    (void)state;
    assert_serves(asker);
    close(hub);
    hub = -1;
    assert_serves(other);
    close(other);
    assert_serves(asker);
    close(asker);
    assert_int_equal(exit_status(), 0);
}

static void a_peer_that_came_before_the_hub_went_is_still_taken(void **state) {
    int asker = new_asker();

    (void)state;
    close(hub);
    hub = -1;
    assert_serves(asker);
    close(asker);
    assert_int_equal(exit_status(), 0);
}

static void log_lines_go_to_the_log_that_the_hub_sent(void **state) {
    struct empty_message nothing = {0};
    int log = memfd_create("log", MFD_CLOEXEC), asker = new_asker();
    char text[512] = "";

    (void)state;
    assert_int_equal(channel_send(hub, HUB_LOG, 0, &nothing, log), CHANNEL_OK);
    assert_serves(asker);
    assert_int_equal(write(asker, "garbled", 7), 7);
    assert_closed(asker);
    assert_true(pread(log, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "receiver[4711] sent a malformed message"));
    close(log);
}

/* ---- questions that overlap (ipc/ask.h) ---- */

static void overlapping_questions_are_each_answered(void **state) {
    struct dns_question questions[3] = {0};
    char large[300];
    int asker = new_asker();

    (void)state;
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    assert_true(dns_question_ask(asker, &questions[0], "a.example", DNS_TYPE_A));
    assert_true(dns_question_ask(asker, &questions[1], large, DNS_TYPE_A));
    assert_true(dns_question_ask(asker, &questions[2], "b.example", DNS_TYPE_MX));
    dns_question_collect(asker, questions, 3);
    assert_int_equal(questions[0].answer.status, DNS_NO_DATA);
    assert_int_equal(questions[1].answer.status, DNS_BAD_NAME);
    assert_int_equal(questions[2].answer.status, DNS_NO_DATA);
    for (int i = 0; i < 3; i++)
        dns_question_free(&questions[i]);
    close(asker);
}

static void a_resolver_that_is_gone_answers_timeout(void **state) {
    struct dns_question question;
    int asker = new_asker();

    (void)state;
    assert_int_equal(dns_lookup(asker, "end-me", DNS_TYPE_A, &question), DNS_TIMEOUT);
    dns_question_free(&question);
    assert_int_equal(dns_lookup(asker, "a.example", DNS_TYPE_A, &question), DNS_TIMEOUT);
    dns_question_free(&question);
    close(asker);
}

static void what_is_free_goes_back_when_nobody_asks_any_more(void **state) {
    struct dns_answer answer;
    size_t before = resident_kib(child), last = 0;

    (void)state;
    if (is_watched())
        skip(); /* another malloc */
    int asker = new_asker();
    assert_int_equal(ask(asker, "make-holes", &answer), CHANNEL_OK);
    assert_true(resident_kib(child) > before + 3000);
    for (int i = 0; i < LIMIT / 10 && (last = resident_kib(child)) > before + 1500; i++)
        usleep(10000);
    assert_true(last <= before + 1500); /* pages in which a block stays */
    assert_serves(asker);
    close(asker);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start_service, stop_service)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_asker_from_the_hub_is_served),
        TEST(what_arrived_together_is_one_batch),
        TEST(one_talker_gets_a_bounded_share_of_a_round),
        TEST(who_breaks_the_rules_is_closed_and_others_go_on),
        TEST(only_the_hub_may_introduce_askers),
        TEST(the_nursery_introduces_receivers_and_nobody_else),
        TEST(who_does_not_read_answers_is_closed_and_others_go_on),
        TEST(a_passed_descriptor_that_no_handler_takes_is_closed),
        TEST(signals_from_a_terminal_do_not_end_a_service),
        TEST(without_hub_and_peers_it_ends_with_status_ok),
        TEST(without_hub_it_serves_until_its_last_peer_is_gone),
        TEST(a_peer_that_came_before_the_hub_went_is_still_taken),
        TEST(log_lines_go_to_the_log_that_the_hub_sent),
        TEST(overlapping_questions_are_each_answered),
        TEST(a_resolver_that_is_gone_answers_timeout),
        TEST(what_is_free_goes_back_when_nobody_asks_any_more),
    };
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(silent, "test", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
