/* SPDX-License-Identifier: MIT
 * A DNS answer as a value: items and the bytes they point into. Called by message.c and dns.c in the resolver,
 * unprivileged; bounded by the two maxima of reply.h; out of memory is fatal in base/memory. */
#include "dns/reply.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

struct dns_reply *dns_reply_new(enum dns_outcome outcome) {
    struct dns_reply *reply = memory_new(1, sizeof *reply);
    reply->outcome = outcome;
    return reply;
}

void dns_reply_free(struct dns_reply *reply) {
    if (reply == NULL) {
        return;
    }
    free(reply->items);
    free(reply->text);
    free(reply);
}

bool dns_reply_add(struct dns_reply *reply, unsigned preference, struct text value) {
    if (reply->count >= REPLY_ITEMS_MAXIMUM || value.length > REPLY_BYTES_MAXIMUM - reply->bytes) {
        return false;
    }
    reply->items = memory_resize(reply->items, reply->count + 1, sizeof *reply->items);
    reply->text = memory_resize(reply->text, reply->bytes + value.length + 1, 1);
    if (value.length > 0) {
        memcpy(reply->text + reply->bytes, value.data, value.length);
    }
    reply->bytes += value.length;
    reply->items[reply->count++] = (struct dns_item){.preference = preference, .value = {NULL, value.length}};
    return true;
}

void dns_reply_finish(struct dns_reply *reply) {
    size_t at = 0;
    for (size_t i = 0; i < reply->count; i++) {
        reply->items[i].value.data = reply->text + at;
        at += reply->items[i].value.length;
    }
}
