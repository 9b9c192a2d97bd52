/* SPDX-License-Identifier: MIT
 * Fuzz target: messages between our own processes, of which one may have been taken: bytes as they stand in the socket,
 * with any number of descriptors to a process that may have no room for them, and the lists inside. */
#include "base/clock.h"
#include "fuzz.h"
#include "ipc/list.h"
#include "ipc/messages.h"
#include "ipc/scratch.h"
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS_MAXIMUM 7

static int ends[2];

static void fuzz_start(void) {
    FUZZ_CHECK(channel_pair(ends));
}

static bool send_bytes(struct text bytes, size_t descriptors) {
    struct iovec part = {(void *)(uintptr_t)bytes.data, bytes.length};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAXIMUM * sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (descriptors > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(descriptors * sizeof(int));
        for (size_t i = 0; i < descriptors; i++)
            memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &ends[0], sizeof(int));
    }
    return sendmsg(ends[1], &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void limit_descriptors(rlim_t count) {
    static struct rlimit before;
    struct rlimit limit;

    if (before.rlim_cur == 0)
        FUZZ_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    limit = before;
    limit.rlim_cur = count > 0 ? count : before.rlim_cur;
    FUZZ_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* What was understood is sent and understood again; one that passes no bounds is not sent. */
static void send_again(const struct channel_message *message, union channel_values *values, char *storage) {
    struct channel_message again;
    const struct channel_type *type = &channel_types[message->kind];

    FUZZ_CHECK(channel_send(ends[1], message->kind, message->serial, message->values, message->fd) == CHANNEL_OK);
    FUZZ_CHECK(channel_receive(ends[0], 0, storage, values, &again) == CHANNEL_OK);
    FUZZ_CHECK(again.kind == message->kind && (again.fd >= 0) == (message->fd >= 0));
    if (again.fd >= 0)
        (void)close(again.fd);
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].type == FIELD_TEXT)
            ((struct text *)(void *)((char *)values + type->fields[i].offset))->length = type->fields[i].maximum + 1u;
        else if (type->fields[i].type == FIELD_I64 && type->fields[i].maximum > 0)
            *(int64_t *)(void *)((char *)values + type->fields[i].offset) = -1;
    (void)channel_send(ends[1], message->kind, 0, values, -1);
    while (channel_receive(ends[0], 0, storage, values, &again) == CHANNEL_OK)
        ;
}

static void receive(struct text input, uint8_t flags) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    union channel_values values;
    struct channel_message message;

    if (input.length == 0 || !send_bytes(input, flags % (DESCRIPTORS_MAXIMUM + 1)))
        return;
    if (flags & 64) /* no room for even one */
        limit_descriptors((rlim_t)ends[1] + 1);
    enum channel_result result = channel_receive(ends[0], 0, storage, &values, &message);
    limit_descriptors(0);
    if (result == CHANNEL_OK) {
        FUZZ_CHECK(message.kind < MESSAGE_KINDS && channel_types[message.kind].name != NULL);
        send_again(&message, &values, storage);
        if (message.fd >= 0)
            (void)close(message.fd);
    } else {
        FUZZ_CHECK(message.fd < 0);
    }
    int next = dup(ends[1]);
    FUZZ_CHECK(next == ends[1] + 1); /* none is left over */
    (void)close(next);
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

/* A channel whose other end reads nothing, or is gone. */
static void check_full(struct text input) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    const struct dns_ask ask = {.name = text_first(input, 200), .type = DNS_TYPE_A};
    const struct dns_ask long_ask = {.name = {input.data, (size_t)UINT32_MAX}, .type = DNS_TYPE_A};
    union channel_values values;
    struct channel_message message;
    int pair[2];

    FUZZ_CHECK(channel_pair(pair) && fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
    FUZZ_CHECK(channel_receive(pair[0], clock_deadline(1), storage, &values, &message) == CHANNEL_TIMEOUT);
    FUZZ_CHECK(scratch_send(pair[1], DNS_ASK, 1, &long_ask, -1, CLOCK_NEVER) == CHANNEL_BAD);
    FUZZ_CHECK(channel_send(pair[1], MESSAGE_KINDS, 1, &ask, -1) == CHANNEL_BAD);
    FUZZ_CHECK(channel_send(pair[1], DNS_ASK, 1, &ask, pair[1] + 100) == CHANNEL_BAD);
    while (channel_send(pair[1], DNS_ASK, 1, &ask, -1) == CHANNEL_OK)
        ;
    FUZZ_CHECK(scratch_send(pair[1], DNS_ASK, 1, &ask, -1, clock_deadline(1)) == CHANNEL_TIMEOUT);
    (void)close(pair[0]);
    FUZZ_CHECK(channel_send(pair[1], DNS_ASK, 1, &ask, -1) == CHANNEL_GONE);
    (void)close(pair[1]);
}

static void fuzz_one(struct text input) {
    READ_LIST(result_item, list_next_result, list_add_result);
    READ_LIST(parcel_item, list_next_parcel, list_add_parcel);
    READ_LIST(dns_record, list_next_record, list_add_record);
    READ_LIST(notice_item, list_next_notice, list_add_notice);
    READ_LIST(address_target, list_next_target, list_add_target);
    READ_LIST(fact_item, list_next_fact, list_add_fact);
    READ_LIST(job_recipient, list_next_job_recipient, list_add_job_recipient);
    receive(input, 0);
    if (input.length == 0)
        return;
    uint8_t last = (uint8_t)input.data[input.length - 1]; /* says how the rest is sent */
    receive(text_first(input, input.length - 1), last);
    if (last == 255)
        check_full(input);
}
