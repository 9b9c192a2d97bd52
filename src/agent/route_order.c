/* SPDX-License-Identifier: MIT
 * Ordering mail exchangers: preference, chance among equals, ourselves out. Called by route.c; values only. */
#include "agent/route.h"
#include "base/random.h"
#include <string.h>

static void swap(struct route_host *a, struct route_host *b) {
    struct route_host kept = *a;
    *a = *b;
    *b = kept;
}

/* Fisher-Yates first, then a stable sort: equals stay in their random order. */
static void sort_by_preference(struct route_host *hosts, size_t count) {
    for (size_t i = count; i > 1; i--) {
        swap(&hosts[i - 1], &hosts[random_below(i)]);
    }
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && hosts[j].preference < hosts[j - 1].preference; j--) {
            swap(&hosts[j], &hosts[j - 1]);
        }
    }
}

static size_t drop_nameless(struct route_host *hosts, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (hosts[i].name[0] != '\0') {
            if (kept != i) {
                hosts[kept] = hosts[i];
            }
            kept++;
        }
    }
    return kept;
}

enum route_order route_order(struct route_host *hosts, size_t *count, const char *own_name) {
    bool null_mx = *count == 1 && hosts[0].name[0] == '\0'; /* RFC 7505 3: the only one, "." */
    *count = drop_nameless(hosts, *count);
    if (*count == 0) {
        return null_mx ? ROUTE_ORDER_NULL_MX : ROUTE_ORDER_NONE;
    }
    sort_by_preference(hosts, *count);
    for (size_t i = 0; i < *count; i++) {
        if (!text_equal_nocase(text_of(hosts[i].name), text_of(own_name))) {
            continue;
        }
        while (i > 0 && hosts[i - 1].preference == hosts[i].preference) {
            i--;
        }
        *count = i;
    }
    return *count == 0 ? ROUTE_ORDER_LOOP : ROUTE_ORDER_OK;
}
