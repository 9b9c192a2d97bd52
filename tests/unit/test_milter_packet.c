/* SPDX-License-Identifier: MIT
 * The milter protocol's packets: what we say byte for byte, and what milters may answer, cut and damaged in all ways.
 */
#include "base/random.h"
#include "milter/packet.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define BYTES(literal) ((struct text){(literal), sizeof(literal) - 1})

static void what_we_say_is_written_as_the_protocol_wants_it(void **state) {
    const struct milter_options offered = {.version = 6, .actions = 0x1ff, .steps = 0x1fffff};
    const struct text strings[] = {TEXT("<a@b>"), TEXT("SIZE=1"), BYTES("cut\0here")};
    struct buffer out;

    (void)state;
    buffer_init(&out, 1024);
    assert_true(milter_write_options(&out, &offered));
    assert_true(milter_write_strings(&out, MILTER_MAIL, strings, 3));
    assert_true(milter_write_connect(&out, TEXT("host"), '4', 0x1234, TEXT("192.0.2.1")));
    assert_true(milter_write_connect(&out, TEXT("host"), 'U', 0, TEXT_NONE));
    assert_true(milter_write_macros(&out, MILTER_RCPT, BYTES("i\0x\0")));
    assert_true(milter_write(&out, MILTER_QUIT, TEXT_NONE));
    const struct text wanted = BYTES("\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"
                                     "\0\0\0\x12M<a@b>\0SIZE=1\0cut\0"
                                     "\0\0\0\x13"
                                     "Chost\0"
                                     "4\x12\x34"
                                     "192.0.2.1\0"
                                     "\0\0\0\7"
                                     "Chost\0U"
                                     "\0\0\0\6DRi\0x\0"
                                     "\0\0\0\1Q");
    assert_true(text_equal(buffer_text(&out), wanted));
    buffer_free(&out);
}

static void what_does_not_fit_is_not_written(void **state) {
    struct buffer out;

    (void)state;
    buffer_init(&out, 8);
    assert_false(milter_write(&out, MILTER_BODY, TEXT("1234")));
    assert_int_equal(out.length, 0);
    assert_true(milter_write(&out, MILTER_BODY, TEXT("123")));
    buffer_free(&out);
}

static void packets_are_taken_whole_in_every_split(void **state) {
    const struct text bytes = BYTES("\0\0\0\1c\0\0\0\5hA\0B\0");
    struct milter_packet packet;
    size_t used;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(milter_packet_next(text_first(bytes, i), &packet, &used), MILTER_MORE);
    assert_int_equal(milter_packet_next(bytes, &packet, &used), MILTER_PACKET);
    assert_int_equal(packet.command, 'c');
    assert_int_equal(used, 5);
    for (size_t i = 5; i < bytes.length; i++)
        assert_int_equal(milter_packet_next(text_from(text_first(bytes, i), 5), &packet, &used), MILTER_MORE);
    assert_int_equal(milter_packet_next(text_from(bytes, 5), &packet, &used), MILTER_PACKET);
    assert_true(text_equal(packet.data, BYTES("A\0B\0")));
    assert_int_equal(milter_packet_next(BYTES("\0\0\0\0"), &packet, &used), MILTER_BAD);
    assert_int_equal(milter_packet_next(BYTES("\0\2\0\1"), &packet, &used), MILTER_BAD); /* above the maximum */
    assert_int_equal(milter_packet_next(BYTES("\xff\xff\xff\xff"), &packet, &used), MILTER_BAD);
}

static const struct answer {
    const char *name;
    char command;
    struct text data;
    bool good;
    uint32_t number;
    struct text first, second;
} answers[] = {
    {"continue", 'c', {"", 0}, true, 0, {"", 0}, {"", 0}},
    {"a verdict with a NUL behind it", 'a', BYTES("\0"), true, 0, {"", 0}, {"", 0}},
    {"an added header", 'h', BYTES("A\0b\0"), true, 0, TEXT("A"), TEXT("b")},
    {"an added header without an end", 'h', BYTES("A\0b"), false, 0, {"", 0}, {"", 0}},
    {"an added header without a value", 'h', BYTES("A\0"), false, 0, {"", 0}, {"", 0}},
    {"an inserted header", 'i', BYTES("\0\0\1\2A\0\0"), true, 258, TEXT("A"), TEXT("")},
    {"an inserted header cut in its number", 'i', BYTES("\0\0\1"), false, 0, {"", 0}, {"", 0}},
    {"a changed header", 'm', BYTES("\0\0\0\1A\0b\0"), true, 1, TEXT("A"), TEXT("b")},
    {"a sender", 'e', BYTES("<a@b>\0"), true, 0, TEXT("<a@b>"), {"", 0}},
    {"a sender with arguments", 'e', BYTES("<a@b>\0RET=HDRS\0"), true, 0, TEXT("<a@b>"), TEXT("RET=HDRS")},
    {"a sender with arguments without an end", 'e', BYTES("<a@b>\0RET"), false, 0, {"", 0}, {"", 0}},
    {"a recipient", '+', BYTES("<a@b>\0"), true, 0, TEXT("<a@b>"), {"", 0}},
    {"a recipient with arguments", '2', BYTES("<a@b>\0X=Y\0"), true, 0, TEXT("<a@b>"), TEXT("X=Y")},
    {"a recipient less", '-', BYTES("<a@b>\0"), true, 0, TEXT("<a@b>"), {"", 0}},
    {"a recipient without an end", '-', BYTES("<a@b>"), false, 0, {"", 0}, {"", 0}},
    {"a body with NUL", 'b', BYTES("a\0b"), true, 0, BYTES("a\0b"), {"", 0}},
    {"a quarantine", 'q', BYTES("why\0"), true, 0, TEXT("why"), {"", 0}},
    {"a reply", 'y', BYTES("550 no\0"), true, 0, TEXT("550 no"), {"", 0}},
    {"a reply without an end", 'y', BYTES("550 no"), false, 0, {"", 0}, {"", 0}},
    {"no answer", 'Z', {"", 0}, false, 0, {"", 0}, {"", 0}},
    {"a command of ours", 'M', BYTES("<a@b>\0"), false, 0, {"", 0}, {"", 0}},
};

static void answers_are_taken_apart_or_refused(void **state) {
    struct milter_answer answer;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct answer *row = &answers[i];
        const struct milter_packet packet = {row->command, row->data};
        bool good = milter_answer_parse(&packet, &answer);
        if (good != row->good)
            fail_msg("%s: %s", row->name, good ? "taken" : "refused");
        if (good && (answer.number != row->number || !text_equal(answer.first, row->first) ||
                     !text_equal(answer.second, row->second)))
            fail_msg("%s: taken as something else", row->name);
    }
}

static void only_what_was_offered_is_agreed_on(void **state) {
    const struct milter_options offered = {.version = 6, .actions = 0xff, .steps = 0xfff};
    struct milter_options options;
    const struct milter_packet good = {'O', BYTES("\0\0\0\6\0\0\0\x11\0\0\0\1\0\0\0\2i j\0\0\0\0\5\0")};
    const struct milter_packet bad[] = {
        {'c', BYTES("\0\0\0\6\0\0\0\0\0\0\0\0")},            /* another command */
        {'O', BYTES("\0\0\0\6\0\0\0\0\0\0\0")},              /* cut */
        {'O', BYTES("\0\0\0\7\0\0\0\0\0\0\0\0")},            /* a newer version */
        {'O', BYTES("\0\0\0\1\0\0\0\0\0\0\0\0")},            /* one that nobody speaks */
        {'O', BYTES("\0\0\0\6\0\0\1\0\0\0\0\0")},            /* an action */
        {'O', BYTES("\0\0\0\6\0\0\0\0\0\0\x10\0")},          /* a step */
        {'O', BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7i\0")}, /* macros of no stage */
        {'O', BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1i")},   /* macros without an end */
    };

    (void)state;
    assert_true(milter_options_parse(&good, &offered, &options));
    assert_int_equal(options.actions, 0x11);
    assert_int_equal(options.steps, 1);
    assert_true(options.named[MILTER_MACROS_MAIL] && text_equal(options.macros[MILTER_MACROS_MAIL], TEXT("i j")));
    assert_true(options.named[MILTER_MACROS_END] && options.macros[MILTER_MACROS_END].length == 0);
    assert_false(options.named[MILTER_MACROS_RCPT]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(milter_options_parse(&bad[i], &offered, &options));
}

static const struct wire {
    struct text wire;
    unsigned code; /* 0: refused */
    const char *enhanced, *text;
} wires[] = {
    {TEXT("550 no"), 550, "", "no"},
    {TEXT("550 5.7.1 100%% no"), 550, "5.7.1", "100% no"},
    {TEXT("451-4.2.1 first\r\n451-4.2.1 second\r\n451 4.2.1 third"), 451, "4.2.1", "first\nsecond\nthird"},
    {TEXT("550-one\n550 two"), 550, "", "one\ntwo"},
    {TEXT("550"), 550, "", ""},
    {TEXT("550 5.7.1"), 550, "5.7.1", ""},
    {TEXT("250 fine"), 0, "", ""},
    {TEXT("650 more"), 0, "", ""},
    {TEXT("550 4.7.1 both"), 0, "", ""},
    {TEXT("550-one\r\n450 two"), 0, "", ""},
    {TEXT("no"), 0, "", ""},
    {TEXT(""), 0, "", ""},
};

static void replies_for_the_client_are_4xx_or_5xx(void **state) {
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        bool good = milter_reply_parse(wires[i].wire, &reply);
        if (good != (wires[i].code != 0))
            fail_msg("%.*s: %s", TEXT_ARGS(wires[i].wire), good ? "taken" : "refused");
        if (!good)
            continue;
        assert_int_equal(reply.code, wires[i].code);
        assert_string_equal(reply.enhanced, wires[i].enhanced);
        assert_string_equal(reply.text, wires[i].text);
    }
}

static void a_long_reply_is_cut(void **state) {
    char wire[40 * 100 + 1];
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        memset(wire + 100 * i, 'x', 100);
        memcpy(wire + 100 * i, i < 39 ? "550-" : "550 ", 4);
        memcpy(wire + 100 * i + 98, "\r\n", 2);
    }
    assert_true(milter_reply_parse((struct text){wire, 40 * 100}, &reply));
    assert_int_equal(strlen(reply.text), REPLY_TEXT_SIZE - 1);
}

/* Whatever bytes come: nothing is read beyond them (under the sanitizers), and lengths add up. */
static void random_bytes_are_taken_apart_within_their_bounds(void **state) {
    static const char commands[] = "+-24abcdefhilmpqrstyO";
    const struct milter_options offered = {.version = 6, .actions = 0x1ff, .steps = 0x1fffff};
    char bytes[64];
    struct milter_packet packet;
    struct milter_answer answer;
    struct milter_options options;
    struct reply reply;
    size_t used;

    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        random_fill(bytes, sizeof bytes);
        bytes[0] = bytes[1] = bytes[2] = 0;
        bytes[3] = (char)(bytes[3] & 0x3f);
        bytes[4] = commands[(unsigned char)bytes[4] % (sizeof commands - 1)];
        for (size_t i = 5; i < sizeof bytes; i++)
            bytes[i] = (char)(bytes[i] & 3 ? bytes[i] : 0);
        if (milter_packet_next((struct text){bytes, sizeof bytes}, &packet, &used) != MILTER_PACKET)
            continue;
        assert_true(used <= sizeof bytes && packet.data.length + 5 == used);
        if (milter_answer_parse(&packet, &answer)) {
            assert_true(answer.first.length + answer.second.length <= packet.data.length);
            (void)milter_reply_parse(answer.first, &reply);
        }
        (void)milter_options_parse(&packet, &offered, &options);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_say_is_written_as_the_protocol_wants_it),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(packets_are_taken_whole_in_every_split),
        cmocka_unit_test(answers_are_taken_apart_or_refused),
        cmocka_unit_test(only_what_was_offered_is_agreed_on),
        cmocka_unit_test(replies_for_the_client_are_4xx_or_5xx),
        cmocka_unit_test(a_long_reply_is_cut),
        cmocka_unit_test(random_bytes_are_taken_apart_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
