/* SPDX-License-Identifier: MIT
 * The set of locked-out contacts: a sorted array. Called by contact.c in the ledger; cannot fail. */
#include "ledger/locked.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct locked *locked, const char *contact, bool *found) {
    size_t low = 0, high = locked->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(locked->items[middle].contact, contact);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct locked_contact *insert(struct locked *locked, size_t at, const char *contact) {
    if (locked->count == locked->room) {
        locked->room = locked->room ? locked->room * 2 : 64;
        locked->items = memory_resize(locked->items, locked->room, sizeof *locked->items);
    }
    memmove(&locked->items[at + 1], &locked->items[at], (locked->count - at) * sizeof *locked->items);
    locked->count++;
    locked->items[at] = (struct locked_contact){.news = LOCKED_TOLD};
    (void)text_copy(locked->items[at].contact, NETWORK_IP_SIZE, text_of(contact));
    return &locked->items[at];
}

static bool is_untold(const struct locked_contact *item) {
    return item->news != LOCKED_TOLD || item->command != LOCKED_TOLD;
}

static void set_news(struct locked *locked, struct locked_contact *item, enum locked_news news) {
    locked->untold += !is_untold(item);
    item->news = news;
}

/* A command that has not run yet and its opposite make none: a firewall must not get two of a kind in a row. */
static void set_command(struct locked_contact *item, enum locked_news command) {
    item->command = item->command == LOCKED_TOLD ? command : LOCKED_TOLD;
}

bool locked_put(struct locked *locked, const char *contact, int64_t until, int64_t began) {
    bool found;
    size_t at = place_of(locked, contact, &found);
    struct locked_contact *item = found ? &locked->items[at] : insert(locked, at, contact);
    bool is_new = !found || item->over;
    if (is_new || item->until != until || item->began != began) {
        item->until = until;
        item->began = began;
        set_news(locked, item, LOCKED_TELL);
    }
    if (is_new) {
        item->over = false;
        set_command(item, LOCKED_TELL);
    }
    item->seen = true;
    return is_new;
}

static void end(struct locked *locked, struct locked_contact *item) {
    set_news(locked, item, LOCKED_TELL_END);
    item->over = true;
    set_command(item, LOCKED_TELL_END);
}

bool locked_end(struct locked *locked, const char *contact) {
    bool found;
    size_t at = place_of(locked, contact, &found);
    if (!found || locked->items[at].over) {
        return false;
    }
    end(locked, &locked->items[at]);
    return true;
}

void locked_put_over(struct locked *locked, const char *contact) {
    bool found;
    size_t at = place_of(locked, contact, &found);
    if (!found) {
        end(locked, insert(locked, at, contact));
    }
}

void locked_begin(struct locked *locked) {
    for (size_t i = 0; i < locked->count; i++) {
        locked->items[i].seen = false;
    }
}

bool locked_see(struct locked *locked, const char *contact, int64_t until, int64_t began) {
    return locked_put(locked, contact, until, began);
}

void locked_sweep(struct locked *locked, locked_ended *ended, void *context) {
    for (size_t i = 0; i < locked->count; i++) {
        struct locked_contact *item = &locked->items[i];
        if (!item->seen && !item->over) {
            end(locked, item);
            ended(context, item->contact);
        }
    }
}

/* False: the other side takes no more now. */
static bool tell_item(struct locked_contact *item, locked_tell *tell, locked_tell *tell_command, void *context) {
    if (item->news != LOCKED_TOLD) {
        if (!tell(context, item)) {
            return false;
        }
        item->news = LOCKED_TOLD;
    }
    if (item->command != LOCKED_TOLD) {
        if (!tell_command(context, item)) {
            return false;
        }
        item->command = LOCKED_TOLD;
    }
    return true;
}

void locked_tell_all(struct locked *locked, locked_tell *tell, locked_tell *tell_command, void *context) {
    size_t kept = 0;
    bool takes = true;
    if (locked->untold == 0) {
        return;
    }
    locked->untold = 0;
    for (size_t i = 0; i < locked->count; i++) {
        struct locked_contact *item = &locked->items[i];
        takes = takes && tell_item(item, tell, tell_command, context);
        if (item->over && !is_untold(item)) {
            continue;
        }
        locked->untold += is_untold(item);
        if (kept != i) {
            locked->items[kept] = *item;
        }
        kept++;
    }
    locked->count = kept;
}

void locked_free(struct locked *locked) {
    free(locked->items);
    *locked = (struct locked){.items = NULL};
}
