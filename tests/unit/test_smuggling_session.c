/* SPDX-License-Identifier: MIT
 * Smuggling through a whole session, over a socket pair: each string of the table stands in the data before a second
 * transaction, in every split over packets. One message or one refusal results, as an independent reading says, and
 * never a second transaction. */
#include "session_stage.h"
#include "smuggling_table.h"

#define MAXIMUM 3
#define ENVELOPE "MAIL FROM:<a@example.net>\r\nRCPT TO:<coco@example.test>\r\nDATA\r\n"
#define SMUGGLED                                                                                                       \
    "\r\nMAIL FROM:<smuggled@example.net>\r\nRCPT TO:<mike@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\n"
#define PROMPT "354 Enter message, ending with \".\" on a line by itself\r\n"

static struct talk talk;

/* What is taken for an end of data somewhere, or has been. */
static const struct text variants[] = {
    TEXT("\n.\n"),
    TEXT("\n.\r\n"),
    TEXT("\r\n.\n"),
    TEXT("\r.\r"),
    TEXT("\r.\r\n"),
    TEXT("\r\n.\r"),
    TEXT("\r\n.\r\r\n"),
    TEXT("\r\n\0.\r\n"),
    TEXT("\r\n.\0\r\n"),
    TEXT("\r\n.\r\0\n"),
    TEXT("\r\0\n.\r\n"),
    TEXT("\n\n.\r\n"),
    TEXT("\r\r\n.\n"),
    TEXT("\r.\r\n.\n"),
    TEXT("\r\n..\r\n"),
    TEXT("\r\n. \r\n"),
    TEXT("\r\n .\r\n"),
    TEXT("\r\n.\t\r\n"),
    TEXT("\r\n.\n.\r"),
    TEXT("\n.\r.\n"),
    TEXT("\r\n.\r.\r\n"),
    TEXT("\r\n.x\r\n"),
    TEXT("\r\n.\n\r\n"),
    TEXT("\n\r.\n\r"),
    TEXT("\r\n.\x85"),
    TEXT("\r\n\xc2\x85.\xc2\x85"),
    TEXT("\x0b.\x0b"),
    TEXT("\r\n.\x0b\n"),
    TEXT("\x8d\x8a.\x8d\x8a"),
};

static const char *wanted_reply(enum data_fault fault) {
    return fault == DATA_FAULT_NONE ? "250 2.0.0 OK id=" : fault == DATA_FAULT_NUL ? "550 5.6.0 " : "550 5.6.11 ";
}

/* The string behind "x", then the second transaction, the true end, and a command. */
static void make_wire(const struct bytes *string, struct bytes *wire) {
    wire->length = 0;
    put(wire, "x", 1);
    put(wire, string->data, string->length);
    put(wire, SMUGGLED END "NOOP\r\n", sizeof SMUGGLED END "NOOP\r\n" - 1);
}

/* Bit i of splits: a packet ends behind byte i. */
static void say_in_packets(const struct bytes *wire, size_t first, size_t splits) {
    size_t from = 0;

    for (size_t i = 0; i < first; i++) {
        if (!(splits >> i & 1))
            continue;
        say(&talk, (struct text){wire->data + from, i + 1 - from});
        from = i + 1;
    }
    say(&talk, (struct text){wire->data + from, wire->length - from});
}

static void check_split(const struct bytes *string, const struct bytes *wire, size_t splits,
                        const struct reading *wanted) {
    unsigned commits = seen->commits;

    say(&talk, TEXT(ENVELOPE));
    read_until(&talk, PROMPT);
    buffer_clear(&talk.replies);
    say_in_packets(wire, string->length + 1, splits);
    read_until(&talk, "250 2.0.0 OK\r\n");
    const char *replies = buffer_string(&talk.replies);
    if (strncmp(replies, wanted_reply(wanted->fault), strlen(wanted_reply(wanted->fault))) != 0 ||
        strcmp(strstr(replies, "\r\n"), "\r\n250 2.0.0 OK\r\n") != 0)
        tell(string, splits, replies);
    if (seen->commits != commits + (wanted->fault == DATA_FAULT_NONE))
        tell(string, splits, "another number of messages");
    if (wanted->fault == DATA_FAULT_NONE &&
        !text_equal(committed_message(), (struct text){wanted->message.data, wanted->message.length}))
        tell(string, splits, "another message");
    buffer_clear(&talk.replies);
}

/* Where the true end is in it already, what follows is the client's own next transaction: nothing is smuggled. */
static void check(const struct bytes *string) {
    struct bytes wire;

    make_wire(string, &wire);
    struct reading wanted = read_whole(wire.data, wire.length, config.bare_line_ends == BARE_LINE_ENDS_NORMALISED);
    if (wanted.end + sizeof "NOOP\r\n" - 1 != wire.length)
        return;
    for (size_t splits = 0; splits < (size_t)1 << (string->length + 1); splits++)
        check_split(string, &wire, splits, &wanted);
}

static void check_all(enum bare_line_ends mode) {
    struct bytes string;

    config.bare_line_ends = mode;
    start_talk(&talk, 0);
    read_greeting(&talk);
    say(&talk, TEXT("HELO client.example.net\r\n"));
    read_until(&talk, "192.0.2.1\r\n");
    buffer_clear(&talk.replies);
    for_each_string(MAXIMUM, check);
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        string.length = 0;
        put(&string, variants[i].data, variants[i].length);
        check(&string);
    }
    (void)end_talk(&talk);
    buffer_free(&talk.replies);
    config.bare_line_ends = BARE_LINE_ENDS_REFUSED;
}

static void no_end_of_data_but_the_true_one_lets_a_second_transaction_in(void **state) {
    (void)state;
    check_all(BARE_LINE_ENDS_REFUSED);
}

static void neither_does_one_that_is_normalised(void **state) {
    (void)state;
    check_all(BARE_LINE_ENDS_NORMALISED);
}

/* Data behind DATA in one packet, behind a pipelined envelope, or there when DATA is read. */
static void talk_before_the_354_is_refused_and_ends_the_session(void **state) {
    static const char *const said[] = {
        ENVELOPE "Subject: x\r\n\r\ntext\r\n.\r\nMAIL FROM:<smuggled@example.net>\r\n",
        ENVELOPE ".\r\n",
        ENVELOPE "\n",
        ENVELOPE "QUIT\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        start_talk(&talk, 0);
        read_greeting(&talk);
        say(&talk, TEXT("HELO client.example.net\r\n"));
        read_until(&talk, "192.0.2.1\r\n");
        buffer_clear(&talk.replies);
        say(&talk, text_of(said[i]));
        const char *replies = end_talk(&talk);
        assert_string_equal(replies, "250 2.1.0 OK\r\n250 2.1.5 ACCEPTED\r\n"
                                     "554 5.5.1 mail.example.test you talked before the 354\r\n");
        assert_int_equal(seen->commits, 0);
        assert_int_equal(seen->violations, 1);
        buffer_free(&talk.replies);
    }
}

static int map_shared(void **state) {
    (void)state;
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return seen == MAP_FAILED ? -1 : 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_end_of_data_but_the_true_one_lets_a_second_transaction_in),
        cmocka_unit_test(neither_does_one_that_is_normalised),
        cmocka_unit_test(talk_before_the_354_is_refused_and_ends_the_session),
    };
    return cmocka_run_group_tests(tests, map_shared, NULL);
}
