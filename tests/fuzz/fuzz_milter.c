/* SPDX-License-Identifier: MIT
 * Fuzz target: what milters answer, as packets one behind the other. A packet's answer lies within it; a reply for the
 * client is a 4xx or 5xx that can be written. */
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

    if (!milter_reply_parse(wire, &reply))
        return;
    FUZZ_CHECK(reply.code >= 400 && reply.code < 600);
    buffer_init(&out, 8 * REPLY_TEXT_SIZE);
    FUZZ_CHECK(reply_format(&reply, &out));
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

static void fuzz_one(struct text input) {
    struct milter_packet packet;
    struct milter_answer answer;
    size_t used;

    while (milter_packet_next(input, &packet, &used) == MILTER_PACKET) {
        FUZZ_CHECK(used == packet.data.length + MILTER_HEAD_SIZE && used <= input.length);
        check_options(&packet);
        if (milter_answer_parse(&packet, &answer)) {
            FUZZ_CHECK(lies_within(answer.first, packet.data) && lies_within(answer.second, packet.data));
            if (answer.kind == MILTER_REPLY)
                check_reply(answer.first);
        }
        input = text_from(input, used);
    }
}
