/* SPDX-License-Identifier: MIT
 * The table of messages is complete and means what the structs say. */
#include "ipc/channel.h"
#include "ipc/messages.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void every_kind_has_a_row_with_a_name_of_its_own(void **state) {
    (void)state;
    assert_null(channel_types[0].name);
    for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
        if (channel_types[kind].name == NULL)
            fail_msg("kind %u has no row", kind);
        for (uint32_t other = 1; other < kind; other++)
            assert_string_not_equal(channel_types[kind].name, channel_types[other].name);
    }
}

static size_t field_size(enum channel_field_type type) {
    return type == FIELD_U32 ? sizeof(uint32_t) : type == FIELD_I64 ? sizeof(int64_t) : sizeof(struct text);
}

/* Fields may stand in any order, overlap nowhere, and lie inside; what they leave free is padding. */
static void check_layout(const struct channel_type *type) {
    unsigned char covered[sizeof(union channel_values)] = {0};
    size_t total = 0;

    for (size_t i = 0; i < type->field_count; i++) {
        const struct channel_field *field = &type->fields[i];
        size_t size = field_size(field->type);
        total += size;
        if (field->offset + size > type->size)
            fail_msg("%s: field %zu lies outside", type->name, i);
        for (size_t k = 0; k < size; k++)
            if (covered[field->offset + k]++ != 0)
                fail_msg("%s: field %zu overlaps another", type->name, i);
    }
    /* At most 4 bytes of padding for each number of 4 bytes. */
    if (type->field_count > 0 && type->size - total > 4 * type->field_count)
        fail_msg("%s: a field of the struct is not in the table", type->name);
    for (size_t at = 0; at + 8 <= type->size; at += 8) {
        bool any = false;
        for (size_t k = 0; k < 8; k++)
            any |= covered[at + k] != 0;
        if (!any && type->field_count > 0)
            fail_msg("%s: nothing in the table covers bytes %zu to %zu", type->name, at, at + 7);
    }
}

static void every_field_of_a_struct_is_in_its_table(void **state) {
    (void)state;
    for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
        assert_true(channel_types[kind].size <= sizeof(union channel_values));
        check_layout(&channel_types[kind]);
    }
}

static void every_text_has_a_bound_that_fits_a_message(void **state) {
    (void)state;
    for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++)
        for (size_t i = 0; i < channel_types[kind].field_count; i++)
            if (channel_types[kind].fields[i].type == FIELD_TEXT)
                assert_in_range(channel_types[kind].fields[i].maximum, 1, CHANNEL_MESSAGE_MAXIMUM);
}

/* Every kind, each text at its bound as far as a message goes, each number at its largest. */
static void every_kind_goes_through_a_channel(void **state) {
    static char bytes[CHANNEL_MESSAGE_MAXIMUM], storage[CHANNEL_MESSAGE_MAXIMUM];
    int ends[2];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    assert_true(channel_pair(ends));
    for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
        const struct channel_type *type = &channel_types[kind];
        unsigned char sent[sizeof(union channel_values)] = {0};
        union channel_values got;
        struct channel_message message;
        size_t room = CHANNEL_MESSAGE_MAXIMUM - 512;
        for (size_t i = 0; i < type->field_count; i++) {
            const struct channel_field *field = &type->fields[i];
            struct text text = {bytes, field->maximum < room ? field->maximum : room};
            uint32_t small = field->maximum != 0 ? field->maximum : UINT32_MAX;
            int64_t large = field->maximum != 0 ? (int64_t)field->maximum : INT64_MIN;
            room -= field->type == FIELD_TEXT ? text.length : 0;
            memcpy(sent + field->offset,
                   field->type == FIELD_TEXT  ? (void *)&text
                   : field->type == FIELD_U32 ? (void *)&small
                                              : (void *)&large,
                   field_size(field->type));
        }
        assert_int_equal(channel_send(ends[0], kind, kind, sent, -1), CHANNEL_OK);
        assert_int_equal(channel_receive(ends[1], 0, storage, &got, &message), CHANNEL_OK);
        assert_int_equal(message.kind, kind);
        for (size_t i = 0; i < type->field_count; i++) {
            const struct channel_field *field = &type->fields[i];
            const unsigned char *place = (const unsigned char *)&got + field->offset;
            if (field->type == FIELD_TEXT)
                assert_int_equal(((const struct text *)(const void *)place)->length,
                                 ((const struct text *)(const void *)(sent + field->offset))->length);
            else
                assert_memory_equal(place, sent + field->offset, field_size(field->type));
        }
    }
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_row_with_a_name_of_its_own),
        cmocka_unit_test(every_field_of_a_struct_is_in_its_table),
        cmocka_unit_test(every_text_has_a_bound_that_fits_a_message),
        cmocka_unit_test(every_kind_goes_through_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
