/* SPDX-License-Identifier: MIT
 * Gathering targets; see targets.h. Called by alias.c in lookup, as parcelpost-auth. Forwarded mail of a stranger gets
 * a reverse-path in our own domain (SRS), a list's mail its owner's; everything else keeps the sender's. */
#include "lookup/targets.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/address.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

void targets_init(struct targets *targets, struct lookup *lookup, struct text sender) {
    *targets = (struct targets){.lookup = lookup, .sender = sender, .maximum = lookup->expansion_maximum};
}

void targets_free(struct targets *targets) {
    for (size_t i = 0; i < targets->count; i++) {
        free(targets->items[i].address);
        free(targets->items[i].sender);
    }
    free(targets->items);
    free(targets->places);
    targets->items = NULL;
    targets->places = NULL;
    targets->room = 0;
    targets->count = 0;
}

/* FNV-1a without case: equal addresses have equal hashes. */
static uint32_t hash_of(struct text text) {
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        hash = (hash ^ (unsigned char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte)) * 0x01000193u;
    }
    return hash;
}

/* What a sender becomes when his mail is forwarded, worked out once a message. */
static void learn_sender(struct targets *targets) {
    struct text domain = address_domain_of(targets->sender);
    const struct srs *srs = &targets->lookup->srs;
    enum users_found found = USERS_YES;
    if (!text_equal_nocase(domain, text_of(srs->domain))) {
        found = local_domain(targets->lookup, domain);
    }
    targets->sender_known = true;
    targets->sender_is_ours = found == USERS_YES;
    targets->failed = targets->failed || found == USERS_ERROR;
    if (found == USERS_NO && !srs_forward(srs, targets->sender, (int64_t)time(NULL), targets->rewritten)) {
        log_warn("mail from <%.*s> is forwarded with its own sender: %s", TEXT_ARGS(targets->sender),
                 srs->secret_count == 0 ? "there is no srs_secret_file" : "it cannot be rewritten");
        targets->rewritten[0] = '\0';
    }
}

static struct text sender_for(struct targets *targets, enum envelope_delivery delivery, struct text owner) {
    if (targets->sender.length == 0) {
        return TEXT_NONE; /* a notice stays one */
    }
    if (owner.length > 0) {
        return owner;
    }
    if (delivery != DELIVERY_REMOTE) {
        return TEXT_NONE;
    }
    if (!targets->sender_known) {
        learn_sender(targets);
    }
    return text_of(targets->rewritten);
}

/* Where it stands among the places, or the free one where it would. */
static size_t place_of(const struct targets *targets, const struct target *wanted) {
    size_t mask = 2 * targets->room - 1, place = wanted->hash & mask;
    while (targets->places[place] != 0) {
        const struct target *item = &targets->items[targets->places[place] - 1];
        if (item->hash == wanted->hash && text_equal_nocase(text_of(item->address), text_of(wanted->address)) &&
            text_equal(text_of(item->sender), text_of(wanted->sender))) {
            break;
        }
        place = (place + 1) & mask;
    }
    return place;
}

static void grow(struct targets *targets) {
    targets->room = targets->room == 0 ? 4 : 2 * targets->room;
    targets->items = memory_resize(targets->items, targets->room, sizeof *targets->items);
    free(targets->places);
    targets->places = memory_new(2 * targets->room, sizeof *targets->places);
    for (size_t i = 0; i < targets->count; i++) {
        targets->places[place_of(targets, &targets->items[i])] = (uint32_t)i + 1;
    }
}

void targets_add(struct targets *targets, enum envelope_delivery delivery, struct text address, struct text owner) {
    struct text sender = sender_for(targets, delivery, owner);
    struct target added = {.delivery = delivery,
                           .address = memory_string(address),
                           .sender = memory_string(sender),
                           .hash = hash_of(address)};
    if (targets->count == targets->room) {
        grow(targets);
    }
    size_t place = place_of(targets, &added);
    bool known = targets->places[place] != 0;
    targets->overflow = targets->overflow || (!known && targets->maximum > 0 && targets->count >= targets->maximum);
    if (known || targets->overflow) {
        free(added.address);
        free(added.sender);
        return;
    }
    targets->items[targets->count++] = added;
    targets->places[place] = (uint32_t)targets->count;
}

bool targets_pack(const struct targets *targets, uint32_t skip, struct buffer *list) {
    for (size_t i = skip; i < targets->count; i++) {
        const struct target *item = &targets->items[i];
        const struct address_target packed = {
            .delivery = item->delivery, .target = text_of(item->address), .sender = text_of(item->sender)};
        if (!list_add_target(list, &packed)) {
            return true;
        }
    }
    return false;
}
