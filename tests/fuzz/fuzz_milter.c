/* SPDX-License-Identifier: MIT
 * Fuzz target: what milters answer, as packets one behind the other. A packet's answer lies within it; a reply for the
 * client is a 4xx or 5xx that can be written. And what we say of anything that clients said is whole packets. */
#include "fuzz.h"
#include "milter/packet.h"

static void fuzz_start(void) {
}

static bool lies_within(struct text part, struct text whole) {
    return part.length == 0 || (part.data >= whole.data && part.data + part.length <= whole.data + whole.length);
}

static void check_reply(struct text wire) {
    struct reply reply;
    struct buffer out;
    char line[64];

    if (!milter_reply_parse(wire, &reply))
        return;
    FUZZ_CHECK(reply.code >= 400 && reply.code < 600);
    buffer_init(&out, 8 * REPLY_TEXT_SIZE);
    FUZZ_CHECK(reply_format(&reply, &out));
    buffer_free(&out);
    FUZZ_CHECK(strlen(reply_line(&reply, line, sizeof line)) < sizeof line && strpbrk(line, "\r\n") == NULL);
    buffer_init(&out, wire.length / 2);
    FUZZ_CHECK(reply_format(&reply, &out) || out.length == 0);
    buffer_free(&out);
}

static void check_options(const struct milter_packet *packet) {
    static const struct milter_options offered = {.version = 6, .actions = 0x1ff, .steps = 0xfffff};
    struct milter_options options;

    if (!milter_options_parse(packet, &offered, &options))
        return;
    FUZZ_CHECK(options.version >= 2 && options.version <= 6 && (options.actions & ~offered.actions) == 0 &&
               (options.steps & ~offered.steps) == 0);
    for (size_t i = 0; i < MILTER_MACRO_STAGES; i++)
        FUZZ_CHECK(!options.named[i] || lies_within(options.macros[i], packet->data));
}

/* What we say is a packet each, holds what it was made of, and fits or is not there at all. */
static void check_builders(struct text input) {
    static const char commands[] = {MILTER_MACRO,   MILTER_HELO,    MILTER_OPTNEG,
                                    MILTER_CONNECT, MILTER_CONNECT, MILTER_BODY};
    uint8_t room = fuzz_byte(&input);
    const struct text strings[] = {fuzz_piece(&input), fuzz_piece(&input)};
    const struct milter_options options = {.version = 6, .actions = room, .steps = room};
    struct milter_packet packet;
    struct buffer out;
    size_t used, expected = 0;

    buffer_init(&out, room == 0 ? 8192 : room);
    bool written[] = {milter_write_macros(&out, MILTER_CONNECT, strings[0]),
                      milter_write_strings(&out, MILTER_HELO, strings, 2),
                      milter_write_options(&out, &options),
                      milter_write_connect(&out, strings[0], '4', 25, strings[1]),
                      milter_write_connect(&out, strings[0], 'U', 0, TEXT_NONE),
                      milter_write(&out, MILTER_BODY, input)};
    struct text rest = buffer_text(&out);
    while (milter_packet_next(rest, &packet, &used) == MILTER_PACKET) {
        while (!written[expected])
            expected++;
        FUZZ_CHECK(packet.command == commands[expected++]);
        rest = text_from(rest, used);
    }
    FUZZ_CHECK(rest.length == 0);
    buffer_free(&out);
}

static void fuzz_one(struct text input) {
    struct milter_packet packet;
    struct milter_answer answer;
    size_t used;

    check_builders(input);
    while (milter_packet_next(input, &packet, &used) == MILTER_PACKET) {
        FUZZ_CHECK(used == packet.data.length + MILTER_HEAD_SIZE && used <= input.length);
        check_options(&packet);
        if (milter_answer_parse(&packet, &answer)) {
            FUZZ_CHECK(lies_within(answer.first, packet.data) && lies_within(answer.second, packet.data));
            FUZZ_CHECK(milter_action_of(answer.kind) == 0 || milter_is_modification(answer.kind));
            if (answer.kind == MILTER_REPLY)
                check_reply(answer.first);
        }
        input = text_from(input, used);
    }
}
