/* SPDX-License-Identifier: MIT
 * Where one address's mail goes, gathered while names are followed: each place once, with the reverse-path that it
 * gets. Private to this folder. */
#ifndef LOOKUP_TARGETS_H
#define LOOKUP_TARGETS_H
#include "base/buffer.h"
#include "ipc/list.h"
#include "lookup/answers.h"
#include "mail/envelope.h"

struct target {
    enum envelope_delivery delivery;
    char *address; /* or "|NAME" */
    char *sender;  /* "" for the message's own */
    uint32_t hash;
};
struct targets {
    struct lookup *lookup;
    struct text sender; /* the message's reverse-path, "" for <> */
    struct target *items;
    size_t count, maximum, room; /* room: a power of two */
    uint32_t *places;            /* by hash: number of an item + 1, 0 for none; twice as many as there is room */
    bool overflow;               /* there were more */
    bool sender_known;           /* the next two are worked out */
    bool sender_is_ours;         /* in a domain of ours: it stays as it is when mail is forwarded */
    bool failed;                 /* the lookup for that could not be made */
    char rewritten[SRS_ADDRESS_SIZE];
};
void targets_init(struct targets *targets, struct lookup *lookup, struct text sender);
void targets_free(struct targets *targets);
/* owner: of the list that leads there, "" for none. */
void targets_add(struct targets *targets, enum envelope_delivery delivery, struct text address, struct text owner);
/* Appends struct address_target items from number `skip` on, as many as fit; returns whether there are more. */
bool targets_pack(const struct targets *targets, uint32_t skip, struct buffer *list);
#endif
