/* SPDX-License-Identifier: MIT
 * Reads the DKIM keys at the signer's start, with the privileges it was forked with, and finds those of a domain. A key
 * that cannot be read or cannot sign is a sentence that ends the start. */
#include "signer/keys.h"
#include "base/memory.h"
#include <stdlib.h>

static bool try_key(const struct dkim_key *key, struct buffer *error) {
    static const char body[] = "\r\n";
    struct buffer field;
    const struct dkim_source source = {
        .headers = TEXT("From: a@b.test\r\n"), .fd = -1, .length = sizeof body - 1, .body = TEXT(body)};
    buffer_init(&field, 16384);
    bool good = dkim_sign_message(key, &source, &field);
    buffer_free(&field);
    if (!good) {
        buffer_format(error, "the DKIM key of %s with selector %s cannot sign", dkim_key_domain(key),
                      dkim_key_selector(key));
    }
    return good;
}

static bool add_key(struct keys *keys, const char *file, const char *domain, const char *selector,
                    struct buffer *error) {
    struct dkim_key *key = dkim_key_read(file, domain, selector, error);
    if (key == NULL) {
        return false;
    }
    keys->items = memory_resize(keys->items, keys->count + 1, sizeof *keys->items);
    keys->items[keys->count++] = key;
    return try_key(key, error);
}

bool keys_read(struct keys *keys, const struct config *config, struct buffer *error) {
    struct config_dkim row;
    *keys = (struct keys){0};
    for (size_t at = 0; config_dkim_next(config, &at, &row);) {
        if (!add_key(keys, row.private_key_file, row.domain, row.selector, error)) {
            return false;
        }
    }
    return true;
}

void keys_free(struct keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        dkim_key_free(keys->items[i]);
    }
    free(keys->items);
    *keys = (struct keys){0};
}

static bool has_domain(const struct keys *keys, struct text domain) {
    for (size_t i = 0; i < keys->count; i++) {
        if (text_equal_nocase(text_of(dkim_key_domain(keys->items[i])), domain)) {
            return true;
        }
    }
    return false;
}

struct text keys_domain(const struct keys *keys, struct text domain) {
    while (domain.length > 0 && !has_domain(keys, domain)) {
        size_t dot = text_find(domain, '.');
        domain = text_from(domain, dot + 1);
    }
    return domain.length > 0 ? domain : TEXT_NONE;
}
