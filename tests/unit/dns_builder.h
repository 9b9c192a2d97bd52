/* SPDX-License-Identifier: MIT
 * For tests: DNS messages put together byte by byte (RFC 1035 4). Asserts come from the test that includes this after
 * cmocka.h. */
#ifndef TESTS_DNS_BUILDER_H
#define TESTS_DNS_BUILDER_H
#include <stddef.h>
#include <string.h>

/* A message under construction. */
struct message {
    unsigned char bytes[4096];
    size_t length;
};

static inline void put(struct message *message, const void *bytes, size_t length) {
    assert_true(length <= sizeof message->bytes - message->length);
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static inline void put16(struct message *message, unsigned number) {
    unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};
    put(message, bytes, 2);
}

static inline void put_name(struct message *message, const char *name) {
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        unsigned char count = (unsigned char)length;
        put(message, &count, 1);
        put(message, name, length);
        name += length + (name[length] == '.');
    }
    put(message, "", 1);
}

static inline void put_start(struct message *message, unsigned flags, unsigned answers, unsigned authority) {
    message->length = 0;
    put16(message, 7);
    put16(message, 0x8180u | flags);
    put16(message, 1);
    put16(message, answers);
    put16(message, authority);
    put16(message, 0);
}

static inline void put_question(struct message *message, const char *name, unsigned type) {
    put_name(message, name);
    put16(message, type);
    put16(message, 1);
}

static inline void put_record(struct message *message, const char *owner, unsigned type, unsigned ttl, const void *data,
                              size_t length) {
    put_name(message, owner);
    put16(message, type);
    put16(message, 1);
    put16(message, 0);
    put16(message, ttl);
    put16(message, (unsigned)length);
    put(message, data, length);
}

static inline void put_soa(struct message *message, unsigned ttl, unsigned minimum) {
    unsigned char data[22] = {0};
    data[20] = (unsigned char)(minimum >> 8);
    data[21] = (unsigned char)minimum;
    put_record(message, "test", 6, ttl, data, sizeof data);
}

#endif
