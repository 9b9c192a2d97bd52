/* SPDX-License-Identifier: MIT
 * Fuzz target: messages between our own processes, of which one may have been taken: bytes as they stand in the socket,
 * and the lists inside. */
#include "fuzz.h"
#include "ipc/list.h"
#include "ipc/messages.h"
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];

static void fuzz_start(void) {
    FUZZ_CHECK(channel_pair(ends));
}

/* Reads a list to its end or its first fault; what was read is a list of the same items when it is written. */
#define READ_LIST(type, next, add)                                                                                     \
    do {                                                                                                               \
        struct text list = input;                                                                                      \
        struct type item;                                                                                              \
        struct buffer again;                                                                                           \
        bool bad = false;                                                                                              \
        buffer_init(&again, 1u << 20);                                                                                 \
        while (next(&list, &item, &bad)) {                                                                             \
            FUZZ_CHECK(list.length < input.length);                                                                    \
            FUZZ_CHECK(add(&again, &item));                                                                            \
        }                                                                                                              \
        FUZZ_CHECK(bad || text_equal(buffer_text(&again), input));                                                     \
        buffer_free(&again);                                                                                           \
    } while (0)

static void fuzz_one(struct text input) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    union channel_values values;
    struct channel_message message;

    READ_LIST(result_item, list_next_result, list_add_result);
    READ_LIST(parcel_item, list_next_parcel, list_add_parcel);
    READ_LIST(dns_record, list_next_record, list_add_record);
    READ_LIST(notice_item, list_next_notice, list_add_notice);
    READ_LIST(address_target, list_next_target, list_add_target);
    READ_LIST(fact_item, list_next_fact, list_add_fact);
    READ_LIST(job_recipient, list_next_job_recipient, list_add_job_recipient);
    if (input.length == 0 || send(ends[1], input.data, input.length, MSG_DONTWAIT) < 0)
        return;
    if (channel_receive(ends[0], 0, storage, &values, &message) == CHANNEL_OK) {
        FUZZ_CHECK(message.kind < MESSAGE_KINDS && channel_types[message.kind].name != NULL);
        FUZZ_CHECK(channel_send(ends[1], message.kind, message.serial, message.values, -1) == CHANNEL_OK);
        FUZZ_CHECK(channel_receive(ends[0], 0, storage, &values, &message) == CHANNEL_OK);
    }
}
