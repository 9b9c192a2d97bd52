/* SPDX-License-Identifier: MIT
 * Questions without an answer, and those that go out behind another one, so that the service is woken once for both.
 * The service is played here: its answers lie ready before they are waited for. */
#include "ipc/ask.h"
#include "ipc/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void answer_address(int fd, uint32_t serial, enum address_standing standing) {
    const struct lookup_address_answer answer = {
        .standing = (uint32_t)standing, .canonical = TEXT_NONE, .targets = TEXT_NONE};
    assert_int_equal(channel_send(fd, LOOKUP_ADDRESS_ANSWER, serial, &answer, -1), CHANNEL_OK);
}

/* The address that the next question at `fd` is about; "" when there is none, or another one. */
static const char *asked_about(int fd) {
    static char about[64], bytes[CHANNEL_MESSAGE_MAXIMUM];
    union channel_values values;
    struct channel_message message;
    about[0] = '\0';
    if (channel_receive(fd, 0, bytes, &values, &message) == CHANNEL_OK && message.kind == LOOKUP_ADDRESS)
        assert_true(text_copy(about, sizeof about, values.lookup_address.address));
    return about;
}

static void what_is_asked_next_goes_along_and_is_asked_again_where_its_answer_was_lost(void **state) {
    struct address_known first = {.next = "r@b.example", .next_sender = "s@a.example"}, second = {.targets = NULL};
    static const struct {
        const char *sentence, *address, *sender;
        bool between, another, again;
    } rows[] = {
        {"it has gone along", "r@b.example", "s@a.example", false, false, false},
        {"another question to lookup came between", "r@b.example", "s@a.example", true, false, true},
        {"another client's session came between", "r@b.example", "s@a.example", false, true, true},
        {"it is another address in the end", "q@b.example", "s@a.example", false, false, true},
        {"it is another reverse-path", "r@b.example", "t@a.example", false, false, true},
    };
    char account[64];
    int ends[2];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].sentence);
        assert_true(channel_pair(ends));
        uint32_t serial = scratch_serial(); /* those of the questions follow it */
        answer_address(ends[1], serial + 1, STANDING_REMOTE);
        assert_int_equal(ask_address(ends[0], "s@a.example", "", &first), STANDING_REMOTE);
        assert_string_equal(asked_about(ends[1]), "s@a.example");
        assert_string_equal(asked_about(ends[1]), "r@b.example");
        answer_address(ends[1], serial + 2, STANDING_MEMBER);
        if (rows[i].between) {
            answer_address(ends[1], serial + 3, STANDING_REMOTE); /* of another kind: no answer */
            assert_int_equal(ask_login(ends[0], TEXT("u"), TEXT("p"), account, sizeof account), LOGIN_TEMPFAIL);
            assert_string_equal(asked_about(ends[1]), "");
        }
        if (rows[i].another)
            ask_forget();
        if (rows[i].again)
            answer_address(ends[1], serial + (rows[i].between ? 4 : 3), STANDING_UNKNOWN);
        assert_int_equal(ask_address(ends[0], rows[i].address, rows[i].sender, &second),
                         rows[i].again ? STANDING_UNKNOWN : STANDING_MEMBER);
        assert_string_equal(asked_about(ends[1]), rows[i].again ? rows[i].address : "");
        close(ends[0]);
        close(ends[1]);
    }
}

static void a_service_that_is_gone_gives_the_temporary_outcome(void **state) {
    struct address_known known = {.targets = NULL};
    struct contact_state contact;
    struct mail_commit commit = {.place = CARGO_INLINE};
    struct sign_mail sign = {.place = CARGO_INLINE};
    struct buffer headers;
    enum commit_outcome outcome;
    char text[64];
    int ends[2];

    (void)state;
    assert_true(channel_pair(ends));
    close(ends[1]);
    buffer_init(&headers, 100);
    assert_int_equal(ask_address(ends[0], "a@b.example", "", &known), STANDING_TEMPFAIL);
    assert_int_equal(ask_login(ends[0], TEXT("u"), TEXT("p"), text, sizeof text), LOGIN_TEMPFAIL);
    assert_int_equal(ask_may_send(ends[0], "u", "a@b.example"), LOGIN_TEMPFAIL);
    assert_false(ask_contact_open(
        ends[0], &(struct contact_open){.contact = TEXT("::1"), .network = TEXT_NONE, .port = 25}, &contact));
    assert_int_equal(ask_spool_file(ends[0], "x", &outcome), -1);
    assert_int_equal(outcome, COMMIT_FAILED);
    assert_int_equal(ask_commit(ends[0], &commit, -1), COMMIT_UNKNOWN);
    assert_false(ask_signature(ends[0], &sign, -1, &headers));
    close(ends[0]);
}

/* It may have flushed before it died: that is neither saved nor failed. */
static void a_commit_that_was_taken_but_not_answered_is_unknown(void **state) {
    static char room[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct mail_commit commit = {.place = CARGO_INLINE, .cargo = TEXT("cargo")};
    struct channel_message message;
    int ends[2];

    (void)state;
    assert_true(channel_pair(ends));
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0); /* it reads, but says nothing any more */
    assert_int_equal(ask_commit(ends[0], &commit, -1), COMMIT_UNKNOWN);
    assert_int_equal(channel_receive(ends[1], 0, room, &values, &message), CHANNEL_OK);
    assert_int_equal(message.kind, MAIL_COMMIT);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_next_goes_along_and_is_asked_again_where_its_answer_was_lost),
        cmocka_unit_test(a_service_that_is_gone_gives_the_temporary_outcome),
        cmocka_unit_test(a_commit_that_was_taken_but_not_answered_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
