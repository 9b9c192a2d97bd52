/* SPDX-License-Identifier: MIT
 * The smuggling table: every string of up to MAXIMUM of the bytes CR, LF, NUL, '.' and 'x' as mail data, with a command
 * and the true end of data behind it, in every split over packets, compared with an independent reading. The same
 * strings go through the chunk decoder, and through the encoder of what we send. */
#include "smtp/chunk_decoder.h"
#include "smtp/data_encoder.h"
#include "smuggling_table.h"

#define MAXIMUM 6 /* 5^6 strings, 2^6 splits each */
#define SMUGGLED "MAIL FROM:<s@x>\r\n"

/* ---- DATA ---- */

static void collect(void *context, struct text piece) {
    put(context, piece.data, piece.length);
}

/* Bit i of splits: a packet ends behind byte i. */
static size_t decode(const struct bytes *wire, size_t splits, bool normalise, struct data_decoder *decoder,
                     struct bytes *message) {
    size_t from = 0, consumed = 0;

    data_decoder_init(decoder, normalise);
    message->length = 0;
    for (size_t i = 0; i < wire->length; i++) {
        size_t to = i < 64 && (splits >> i) == 0 ? wire->length : i + 1; /* no packet ends behind this byte */
        if (to == i + 1 && i < 64 && !(splits >> i & 1))
            continue;
        struct text packet = {wire->data + from, to - from};
        enum data_decoder_result result = data_decoder_feed(decoder, packet, collect, message, &consumed);
        from += consumed;
        i = to - 1;
        if (result == DATA_DECODER_END)
            return from;
    }
    return 0;
}

static void check_split(const struct bytes *string, const struct bytes *wire, size_t splits, bool normalise,
                        const struct reading *wanted) {
    struct data_decoder decoder;
    struct bytes message;

    if (decode(wire, splits, normalise, &decoder, &message) != wanted->end)
        tell(string, splits, "the data ends elsewhere");
    if (decoder.fault != wanted->fault)
        tell(string, splits, "another fault");
    if (wanted->fault == DATA_FAULT_NONE &&
        (message.length != wanted->message.length || memcmp(message.data, wanted->message.data, message.length) != 0))
        tell(string, splits, "another message");
}

static void check_wire(const struct bytes *string, const struct bytes *wire, bool normalise) {
    struct reading wanted = read_whole(wire->data, wire->length, normalise);

    for (size_t splits = 0; splits < (size_t)1 << string->length; splits++)
        check_split(string, wire, splits, normalise, &wanted);
    check_split(string, wire, SIZE_MAX, normalise, &wanted); /* each byte alone */
}

/* The string in the middle of the data, and at its beginning; what would be smuggled and the true end behind it. */
static void check_data(const struct bytes *string) {
    struct bytes inside, first;

    inside.length = first.length = 0;
    put(&inside, "x", 1);
    put(&inside, string->data, string->length);
    put(&first, string->data, string->length);
    struct bytes *const wires[] = {&inside, &first};
    for (size_t i = 0; i < 2; i++) {
        put(wires[i], SMUGGLED END "NOOP\r\n", sizeof SMUGGLED END "NOOP\r\n" - 1);
        check_wire(string, wires[i], false);
        check_wire(string, wires[i], true);
    }
}

static void every_end_of_data_in_every_split_is_read_as_the_standard_says(void **state) {
    (void)state;
    for_each_string(MAXIMUM, check_data);
}

/* ---- BDAT ---- */

static void put_normalised(struct bytes *output, const struct bytes *string) {
    for (size_t i = 0; i < string->length; i++) {
        bool pair = string->data[i] == '\r' && i + 1 < string->length && string->data[i + 1] == '\n';
        if (string->data[i] == '\r' || string->data[i] == '\n')
            put(output, "\r\n", 2);
        else
            put(output, string->data + i, 1);
        i += pair;
    }
}

/* Bit i of splits: a packet ends behind byte i; cut: where the first chunk ends. */
static void check_chunks(const struct bytes *string, size_t cut, size_t splits, bool normalise) {
    struct chunk_decoder decoder = {.normalise = normalise};
    struct bytes message, wanted;
    size_t consumed;

    message.length = wanted.length = 0;
    chunk_decoder_begin(&decoder, cut);
    for (size_t i = 0, from = 0; i < string->length; i++) {
        if (i == cut)
            chunk_decoder_begin(&decoder, string->length - cut);
        if (i + 1 < string->length && i + 1 != cut && !(splits >> i & 1))
            continue;
        (void)chunk_decoder_feed(&decoder, (struct text){string->data + from, i + 1 - from}, collect, &message,
                                 &consumed);
        from += consumed;
    }
    chunk_decoder_finish(&decoder, collect, &message);
    enum data_fault fault = first_fault(string->data, string->length);
    if (normalise) {
        put_normalised(&wanted, string);
        fault = memchr(string->data, '\0', string->length) == NULL ? DATA_FAULT_NONE : DATA_FAULT_NUL;
    } else {
        put(&wanted, string->data, string->length);
    }
    if (decoder.fault != fault)
        tell(string, splits, "another fault in chunks");
    if (message.length != wanted.length || memcmp(message.data, wanted.data, wanted.length) != 0)
        tell(string, splits, "another message in chunks");
}

static void check_every_chunk(const struct bytes *string) {
    for (size_t cut = 0; cut <= string->length; cut++)
        for (size_t splits = 0; splits < (size_t)1 << string->length; splits++)
            for (int normalise = 0; normalise < 2; normalise++)
                check_chunks(string, cut, splits, normalise != 0);
}

static void every_line_end_in_chunks_is_refused_or_normalised(void **state) {
    (void)state;
    for_each_string(MAXIMUM - 1, check_every_chunk);
}

/* ---- what we send ---- */

static void encode(const struct bytes *string, size_t splits, struct buffer *wire) {
    struct data_encoder encoder;

    buffer_clear(wire);
    data_encoder_init(&encoder);
    for (size_t i = 0, from = 0; i < string->length; i++) {
        if (i + 1 < string->length && !(splits >> i & 1))
            continue;
        assert_true(data_encoder_piece(&encoder, (struct text){string->data + from, i + 1 - from}, wire));
        from = i + 1;
    }
    assert_true(data_encoder_end(&encoder, wire));
}

/* Whatever lies in the spool: one CRLF.CRLF, at the end, and no CR or LF alone; read again it is the message with every
 * line end CRLF. */
static void check_encoder(const struct bytes *string) {
    static struct buffer wire;
    struct bytes wanted;

    wanted.length = 0;
    if (wire.maximum == 0)
        buffer_init(&wire, ROOM);
    put_normalised(&wanted, string);
    if (wanted.length > 0 && wanted.data[wanted.length - 1] != '\n')
        put(&wanted, "\r\n", 2);
    for (size_t splits = 0; splits < (size_t)1 << string->length; splits++) {
        encode(string, splits, &wire);
        struct reading read = read_whole(wire.data, wire.length, false);
        if (read.end != wire.length)
            tell(string, splits, "what is sent ends before its end");
        enum data_fault fault = first_fault(wire.data, wire.length);
        if (fault == DATA_FAULT_BARE_CR || fault == DATA_FAULT_BARE_LF)
            tell(string, splits, "what is sent holds a bare CR or LF");
        if (read.message.length != wanted.length || memcmp(read.message.data, wanted.data, wanted.length) != 0)
            tell(string, splits, "another message is sent");
    }
}

static void nothing_that_is_sent_holds_an_end_or_a_bare_line_end(void **state) {
    (void)state;
    for_each_string(MAXIMUM, check_encoder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_of_data_in_every_split_is_read_as_the_standard_says),
        cmocka_unit_test(every_line_end_in_chunks_is_refused_or_normalised),
        cmocka_unit_test(nothing_that_is_sent_holds_an_end_or_a_bare_line_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
