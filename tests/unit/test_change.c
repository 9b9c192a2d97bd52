/* SPDX-License-Identifier: MIT
 * Changes to a transaction: what becomes of envelope and message, wherever the message lies, and that changes which
 * come too early wait. Ledger and lookup are stand-ins in a process of their own. */
#include "base/file.h"
#include "base/memory.h"
#include "receiver/change.h"
#include "receiver/session.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static char server_name[] = "mail.example.test";
static struct config config = {.server_name = server_name,
                               .recipient_maximum = 3,
                               .expansion_maximum = 100,
                               .message_maximum = 4 << 20,
                               .journal_max_message = 256 << 10,
                               .receiver_timeout = 5};
static struct process_start start = {PROCESS_WITHOUT_DESCRIPTORS, .config = &config};
static struct session *session;
static pid_t services;

/* ---- the stand-ins: "team" leads to coco and mike, "late" cannot be looked up, "away" is sent on ---- */

static void add_target(struct buffer *targets, enum envelope_delivery delivery, struct text name, struct text sender) {
    assert_true(list_add_target(targets, &(struct address_target){delivery, name, sender}));
}

static void answer_lookup(int fd, const struct channel_message *message) {
    const struct lookup_address *question = &message->values->lookup_address;
    struct lookup_address_answer answer = {.standing = STANDING_MEMBER, .canonical = question->address};
    struct buffer targets, sender;

    buffer_init(&targets, 1024);
    buffer_init(&sender, 1024);
    (void)buffer_format(&sender, "srs+%.*s", TEXT_ARGS(question->sender));
    if (text_equal(question->address, TEXT("team@example.test"))) {
        add_target(&targets, DELIVERY_LOCAL, TEXT("coco@example.test"), TEXT_NONE);
        add_target(&targets, DELIVERY_LOCAL, TEXT("mike@example.test"), TEXT_NONE);
    } else if (text_equal(question->address, TEXT("away@example.test"))) {
        add_target(&targets, DELIVERY_REMOTE, TEXT("away@example.net"), buffer_text(&sender));
    } else if (text_equal(question->address, TEXT("late@example.test"))) {
        answer.standing = STANDING_TEMPFAIL;
    } else if (text_equal(question->address, TEXT("nobody@example.test"))) {
        answer.standing = STANDING_UNKNOWN;
    } else if (text_ends_nocase(question->address, TEXT("@example.test"))) {
        add_target(&targets, DELIVERY_LOCAL, question->address, TEXT_NONE);
    } else {
        answer.standing = STANDING_REMOTE;
    }
    answer.targets = buffer_text(&targets);
    (void)channel_send(fd, LOOKUP_ADDRESS_ANSWER, message->serial, &answer, -1);
    buffer_free(&targets);
    buffer_free(&sender);
}

static _Noreturn void run_services(int ledger, int lookup) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    struct pollfd polled[] = {{ledger, POLLIN, 0}, {lookup, POLLIN, 0}};
    union channel_values values;
    struct channel_message message;

    while (poll(polled, 2, -1) > 0)
        for (size_t i = 0; i < 2; i++) {
            if (polled[i].revents == 0)
                continue;
            if (channel_receive(polled[i].fd, 0, storage, &values, &message) != CHANNEL_OK)
                _exit(0);
            if (message.kind == LOOKUP_ADDRESS)
                answer_lookup(lookup, &message);
            else if (message.kind == SPOOL_OPEN)
                (void)channel_send(ledger, SPOOL_FILE, message.serial, &(struct spool_file){COMMIT_OK},
                                   file_memory("spool"));
        }
    _exit(1);
}

static int begin(void **state) {
    struct address from = {.local = "a", .domain = "example.net"};
    int ledger[2], lookup[2];

    (void)state;
    assert_true(channel_pair(ledger) && channel_pair(lookup));
    services = fork();
    if (services == 0) {
        (void)close(ledger[1]);
        (void)close(lookup[1]);
        run_services(ledger[0], lookup[0]);
    }
    (void)close(ledger[0]);
    (void)close(lookup[0]);
    start.ledger = ledger[1];
    start.lookup = lookup[1];
    session = memory_new(1, sizeof *session);
    session->start = &start;
    session->config = &config;
    session->state = SESSION_READY;
    session->facts.config = &config;
    buffer_init(&session->facts.sender_targets, 4096);
    buffer_init(&session->facts.recipient_targets, 4096);
    (void)text_copy(session->mail_id, sizeof session->mail_id, TEXT("1vMcGX-3kTz9Q-a7"));
    transaction_begin(session, &from);
    return 0;
}

static int end(void **state) {
    (void)state;
    transaction_free(&session->transaction);
    change_forget(session);
    buffer_free(&session->facts.sender_targets);
    buffer_free(&session->facts.recipient_targets);
    (void)close(start.ledger);
    (void)close(start.lookup);
    assert_int_equal(waitpid(services, NULL, 0), services);
    free(session);
    return 0;
}

/* ---- recipients and sender ---- */

/* "to_url>target" of each, with the reverse-path where it has one of its own. */
static const char *recipients(void) {
    static char shown[1024];
    const struct envelope *envelope = &session->transaction.envelope;
    size_t used = 0;

    shown[0] = '\0';
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct envelope_recipient *to = &envelope->recipients[i];
        used += (size_t)snprintf(shown + used, sizeof shown - used, "%s%s>%s%s%s", i > 0 ? " " : "", to->to_url,
                                 to->target, to->sender[0] != '\0' ? " by " : "", to->sender);
    }
    return shown;
}

static enum change_outcome add(const char *address) {
    return change_add_recipient(session, text_of(address), TEXT_NONE);
}

static void an_added_recipient_is_looked_up_like_any_other(void **state) {
    (void)state;
    assert_int_equal(add("<coco@example.test>"), CHANGE_DONE);
    assert_int_equal(add("far@example.net"), CHANGE_DONE);
    assert_int_equal(add("coco@EXAMPLE.test"), CHANGE_DONE);
    assert_string_equal(recipients(), "coco@example.test>coco@example.test far@example.net>far@example.net");
    assert_int_equal(session->transaction.envelope.recipients[0].delivery, DELIVERY_LOCAL);
    assert_int_equal(session->transaction.envelope.recipients[1].delivery, DELIVERY_REMOTE);
}

static void parameters_of_an_added_recipient_are_kept(void **state) {
    (void)state;
    assert_int_equal(
        change_add_recipient(session, TEXT("coco@example.test"), TEXT("NOTIFY=NEVER ORCPT=rfc822;x@example.net")),
        CHANGE_DONE);
    assert_string_equal(session->transaction.envelope.recipients[0].notify, "NEVER");
    assert_string_equal(session->transaction.envelope.recipients[0].orcpt, "rfc822;x@example.net");
    assert_int_equal(change_add_recipient(session, TEXT("mike@example.test"), TEXT("NOTIFY=PERHAPS")), CHANGE_REFUSED);
}

static void what_cannot_be_a_recipient_is_not_added(void **state) {
    static const char *const wrong[] = {"", "<>", "no domain", "nobody@example.test", "a@b@c"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(add(wrong[i]), CHANGE_REFUSED);
    assert_string_equal(recipients(), "");
    assert_false(change_is_put_off(session));
    assert_int_equal(add("late@example.test"), CHANGE_TEMPFAIL);
    assert_true(change_is_put_off(session));
}

static void recipients_are_not_added_without_end(void **state) {
    (void)state;
    assert_int_equal(add("a@example.net"), CHANGE_DONE);
    assert_int_equal(add("b@example.net"), CHANGE_DONE);
    assert_int_equal(add("c@example.net"), CHANGE_DONE);
    assert_int_equal(add("d@example.net"), CHANGE_REFUSED);
}

static void what_a_removed_recipient_shares_with_another_stays(void **state) {
    (void)state;
    (void)add("team@example.test");
    (void)add("coco@example.test");
    assert_string_equal(recipients(), "team@example.test>coco@example.test team@example.test>mike@example.test");
    assert_int_equal(change_remove_recipient(session, TEXT("<team@example.test>")), CHANGE_DONE);
    assert_string_equal(recipients(), "coco@example.test>coco@example.test");
    assert_int_equal(change_remove_recipient(session, TEXT("team@example.test")), CHANGE_REFUSED);
    assert_int_equal(change_remove_recipient(session, TEXT("coco@example.test")), CHANGE_DONE);
    assert_string_equal(recipients(), "");
}

static void a_changed_sender_is_that_of_what_is_sent_on_too(void **state) {
    (void)state;
    (void)add("away@example.test");
    assert_string_equal(recipients(), "away@example.test>away@example.net by srs+a@example.net");
    assert_int_equal(change_sender(session, TEXT("<b@example.org>"), TEXT("RET=HDRS ENVID=x1")), CHANGE_DONE);
    assert_string_equal(session->transaction.from_text, "b@example.org");
    assert_string_equal(session->transaction.envelope.ret, "HDRS");
    assert_string_equal(session->transaction.envelope.envid, "x1");
    assert_string_equal(recipients(), "away@example.test>away@example.net by srs+b@example.org");
    assert_int_equal(change_sender(session, TEXT("<>"), TEXT_NONE), CHANGE_DONE);
    assert_string_equal(session->transaction.from_text, "");
    assert_int_equal(change_sender(session, TEXT("no address"), TEXT_NONE), CHANGE_REFUSED);
}

static void changes_that_come_too_early_wait(void **state) {
    struct address in_hand = {.local = "coco", .domain = "example.test"};

    (void)state;
    session->facts.recipient = &in_hand;
    assert_int_equal(add("mike@example.test"), CHANGE_DONE);
    assert_int_equal(change_add_header(session, TEXT("X-A"), TEXT("1")), CHANGE_DONE);
    assert_string_equal(recipients(), "");
    session->facts.recipient = NULL;
    change_settle(session);
    assert_string_equal(recipients(), "mike@example.test>mike@example.test");
    message_write(&session->transaction.message, TEXT("A: 1\r\n\r\nbody\r\n"), 0);
    message_finish(&session->transaction.message);
    session->transaction.changeable = true;
    change_settle(session);
    assert_true(text_equal(message_header(&session->transaction.message), TEXT("A: 1\r\nX-A: 1\r\n")));
}

static void the_first_reason_to_hold_counts(void **state) {
    (void)state;
    assert_string_equal(change_hold_reason(session), "");
    change_hold(session, TEXT("looks\todd"));
    change_hold(session, TEXT("again"));
    assert_string_equal(change_hold_reason(session), "looks\\x09odd");
    assert_string_equal(change_discard_reason(session), "");
}

/* ---- header and body ---- */

#define FILLER_MAXIMUM (600u * 1024)

/* A body of lines; its length decides where the message lies. */
static struct text filler(size_t length) {
    static char bytes[FILLER_MAXIMUM];

    for (size_t i = 0; i < length; i++)
        bytes[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + i / 64 % 26);
    memcpy(bytes + length - 2, "\r\n", 2);
    return (struct text){bytes, length};
}

static void receive(struct text header, struct text body) {
    struct message *message = &session->transaction.message;

    message_write(message, header, 0);
    message_write(message, TEXT("\r\n"), 0);
    while (body.length > 0) {
        struct text piece = text_first(body, 40000);
        message_write(message, piece, 0);
        body = text_from(body, piece.length);
    }
    message_finish(message);
    assert_int_equal(message->problem, MESSAGE_OK);
    session->transaction.changeable = true;
}

/* What would be committed, without the tail. */
static void assert_stored(const char *header, struct text body) {
    struct message *message = &session->transaction.message;
    static char bytes[FILLER_MAXIMUM + 4096];
    struct buffer wanted;
    struct text cargo;

    buffer_init(&wanted, sizeof bytes);
    assert_true(buffer_format(&wanted, "%s\r\n", header) && buffer_append_text(&wanted, body));
    assert_true(message_append_tail(message, TEXT("TAIL"), &cargo));
    assert_int_equal(message->length, wanted.length);
    assert_true(buffer_append_string(&wanted, "TAIL"));
    if (message->place == CARGO_INLINE) {
        assert_true(text_equal(cargo, buffer_text(&wanted)));
    } else {
        assert_int_equal(file_size(message->fd), (int64_t)wanted.length);
        assert_true(file_pread_all(message->fd, bytes, wanted.length, 0));
        assert_memory_equal(bytes, wanted.data, wanted.length);
    }
    buffer_free(&wanted);
}

static const struct place {
    size_t length;
    enum cargo_place place;
} places[] = {{100, CARGO_INLINE}, {130000, CARGO_MEMFD}, {FILLER_MAXIMUM, CARGO_SPOOL_FILE}};

static void again(void **state) {
    (void)end(state);
    (void)begin(state);
}

static void header_fields_change_wherever_the_message_lies(void **state) {
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct text body = filler(places[i].length);
        again(state);
        receive(TEXT("A: 1\r\nB: 2\r\nA: 3\r\nSubject: x\r\n y\r\n"), body);
        assert_int_equal(change_add_header(session, TEXT("Z"), TEXT("end")), CHANGE_DONE);
        assert_int_equal(change_insert_header(session, 0, TEXT("Top"), TEXT("first\n\tfolded\nmore\n")), CHANGE_DONE);
        assert_int_equal(change_insert_header(session, 2, TEXT("Third"), TEXT("")), CHANGE_DONE);
        assert_int_equal(change_insert_header(session, 99, TEXT("Last"), TEXT(" led")), CHANGE_DONE);
        assert_int_equal(change_replace_header(session, 2, TEXT("a"), TEXT("three")), CHANGE_DONE);
        assert_int_equal(change_replace_header(session, 1, TEXT("B"), TEXT_NONE), CHANGE_DONE);
        assert_int_equal(change_replace_header(session, 4, TEXT("B"), TEXT_NONE), CHANGE_DONE);
        assert_int_equal(change_replace_header(session, 0, TEXT("New"), TEXT("n")), CHANGE_DONE);
        assert_stored("Top: first\r\n\tfolded\r\n\tmore\r\nA: 1\r\nThird: \r\na: three\r\nSubject: x\r\n y\r\n"
                      "Z: end\r\nLast: led\r\nNew: n\r\n",
                      body);
        assert_int_equal(session->transaction.message.place, places[i].place);
    }
}

static void a_header_that_shrinks_draws_the_body_up(void **state) {
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct text body = filler(places[i].length);
        again(state);
        receive(TEXT("A: 1\r\nLong: 0123456789012345678901234567890123456789\r\nB: 2\r\n"), body);
        assert_int_equal(change_replace_header(session, 1, TEXT("long"), TEXT_NONE), CHANGE_DONE);
        assert_stored("A: 1\r\nB: 2\r\n", body);
    }
}

static void a_body_is_replaced_wherever_the_old_and_the_new_one_lie(void **state) {
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (size_t j = 0; j < COUNT_OF(places); j++) {
            again(state);
            receive(TEXT("A: 1\r\n"), filler(places[i].length));
            struct text body = filler(places[j].length - 7), rest = body;
            assert_int_equal(change_begin_body(session), CHANGE_DONE);
            for (size_t k = 0; rest.length > 0; k++) {
                if (k == 1) /* in between */
                    assert_int_equal(change_add_header(session, TEXT("Between"), TEXT("yes")), CHANGE_DONE);
                assert_int_equal(change_body(session, text_first(rest, 30001)), CHANGE_DONE);
                rest = text_from(rest, 30001);
            }
            assert_int_equal(change_end_body(session), CHANGE_DONE);
            assert_stored(body.length > 30001 ? "A: 1\r\nBetween: yes\r\n" : "A: 1\r\n", body);
        }
}

static void a_new_body_can_be_read_by_the_next(void **state) {
    char bytes[64];

    (void)state;
    receive(TEXT("A: 1\r\n"), filler(130000));
    (void)change_begin_body(session);
    (void)change_body(session, TEXT("new\r\n"));
    (void)change_end_body(session);
    (void)change_insert_header(session, 0, TEXT("B"), TEXT("2"));
    assert_int_equal(message_read_body(&session->transaction.message, 0, bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "new\r\n", 5);
    assert_int_equal(message_read_body(&session->transaction.message, 5, bytes, sizeof bytes), 0);
}

/* Under the sanitizers: nothing is copied from where nothing is kept. */
static void a_message_of_no_byte_has_a_body_of_none(void **state) {
    struct message *message = &session->transaction.message;
    char byte = 'x';

    (void)state;
    message_finish(message);
    assert_int_equal(message_read_body(message, 0, &byte, 1), 0);
    assert_int_equal(byte, 'x');
}

static void line_ends_of_a_new_body_are_made_whole(void **state) {
    static const char *const pieces[] = {"a\nb\rc\r", "\nd\r", "\re\n\n", "f"};

    (void)state;
    receive(TEXT("A: 1\r\n"), TEXT("old\r\n"));
    (void)change_begin_body(session);
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        assert_int_equal(change_body(session, text_of(pieces[i])), CHANGE_DONE);
    assert_int_equal(change_body(session, (struct text){"\0", 1}), CHANGE_REFUSED);
    (void)change_end_body(session);
    assert_stored("A: 1\r\n", TEXT("a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\nf\r\n"));
}

static void a_new_body_above_the_maximum_is_refused(void **state) {
    enum change_outcome outcome = CHANGE_DONE;

    (void)state;
    receive(TEXT("A: 1\r\n"), TEXT("old\r\n"));
    (void)change_begin_body(session);
    for (unsigned i = 0; i < 12 && outcome == CHANGE_DONE; i++)
        outcome = change_body(session, filler(FILLER_MAXIMUM));
    assert_int_equal(outcome, CHANGE_TEMPFAIL);
    assert_int_equal(session->transaction.message.problem, MESSAGE_TOO_LARGE);
}

/* As when the ledger had no file for the new body of the milter before. */
static void a_message_that_could_not_be_kept_gets_no_new_body(void **state) {
    (void)state;
    receive(TEXT("A: 1\r\n"), TEXT("old\r\n"));
    message_drop(&session->transaction.message);
    assert_int_equal(change_begin_body(session), CHANGE_TEMPFAIL);
}

static void what_is_no_header_field_is_refused(void **state) {
    static char large[70 * 1024];

    (void)state;
    receive(TEXT("A: 1\r\n"), TEXT("x\r\n"));
    memset(large, 'x', sizeof large);
    assert_int_equal(change_add_header(session, TEXT(""), TEXT("x")), CHANGE_REFUSED);
    assert_int_equal(change_add_header(session, TEXT("A b"), TEXT("x")), CHANGE_REFUSED);
    assert_int_equal(change_add_header(session, TEXT("A:b"), TEXT("x")), CHANGE_REFUSED);
    assert_int_equal(change_add_header(session, TEXT("A"), (struct text){large, sizeof large}), CHANGE_REFUSED);
    assert_int_equal(change_add_header(session, TEXT("A"), (struct text){"a\0b", 3}), CHANGE_REFUSED);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(change_add_header(session, TEXT("L"), (struct text){large, 60 * 1024}), CHANGE_DONE);
    for (unsigned i = 0; i < 2; i++) /* the section would be above 256 KiB */
        assert_int_equal(change_add_header(session, TEXT("L"), (struct text){large, 64 * 1024}),
                         i == 0 ? CHANGE_DONE : CHANGE_REFUSED);
    assert_int_equal(session->transaction.message.problem, MESSAGE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_added_recipient_is_looked_up_like_any_other),
        TEST(parameters_of_an_added_recipient_are_kept),
        TEST(what_cannot_be_a_recipient_is_not_added),
        TEST(recipients_are_not_added_without_end),
        TEST(what_a_removed_recipient_shares_with_another_stays),
        TEST(a_changed_sender_is_that_of_what_is_sent_on_too),
        TEST(changes_that_come_too_early_wait),
        TEST(the_first_reason_to_hold_counts),
        TEST(header_fields_change_wherever_the_message_lies),
        TEST(a_header_that_shrinks_draws_the_body_up),
        TEST(a_body_is_replaced_wherever_the_old_and_the_new_one_lie),
        TEST(a_new_body_can_be_read_by_the_next),
        TEST(a_message_of_no_byte_has_a_body_of_none),
        TEST(line_ends_of_a_new_body_are_made_whole),
        TEST(a_new_body_above_the_maximum_is_refused),
        TEST(a_message_that_could_not_be_kept_gets_no_new_body),
        TEST(what_is_no_header_field_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
