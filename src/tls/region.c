/* SPDX-License-Identifier: MIT
 * Where OpenSSL's blocks lie. It has made thousands of small ones when receivers are forked, and a handshake writes to
 * some hundred of them (counts of references, locks, random generators), of which each receiver copies the page: those
 * lie side by side here, in a region of their own. Called by OpenSSL, which names the file of its source that asks,
 * while the listener makes a server's contexts; what it asks for at any other time comes from malloc, as does all when
 * it names no files, or other ones: that costs memory, and nothing else. One thread, as everything that makes
 * contexts. */
#include "tls/region.h"
#include "tls/tls.h"
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define UNIT 16u           /* bytes; what is asked for is a number of these, and aligned so */
#define LARGEST_UNITS 128u /* connections, and lists of everything, are larger */
#define ZONE_UNITS 16384u  /* 256 KiB each: hundreds of certificates; what nobody asks for costs nothing */

/* Of an algorithm there is one block for each that OpenSSL knows, of which a handshake uses a few. */
enum zone_name { ZONE_USED, ZONE_ALGORITHMS, ZONES };

static struct zone {
    _Alignas(PAGE) unsigned char bytes[ZONE_UNITS * UNIT];
    uint8_t units[ZONE_UNITS];         /* how long the block is that begins there */
    uint16_t freed[LARGEST_UNITS + 1]; /* by length: 1 + the first one's unit, which holds the next one's so */
    uint16_t used;                     /* units from the beginning */
} zones[ZONES];

static const struct source {
    const char *words; /* in the file's name */
    enum zone_name zone;
} sources[] = {
    {"crypto/threads_pthread.c", ZONE_USED},
    {"providers/implementations/rands/", ZONE_USED},
    {"providers/implementations/ciphers/", ZONE_USED}, /* the generators' */
    {"crypto/err/", ZONE_USED},
    {"crypto/context.c", ZONE_USED},
    {"crypto/provider_core.c", ZONE_USED},
    {"crypto/evp/p_lib.c", ZONE_USED},     /* keys */
    {"crypto/asn1/tasn_new.c", ZONE_USED}, /* certificates */
    {"ssl/ssl_lib.c", ZONE_USED},
    {"ssl/ssl_cert.c", ZONE_USED},
    {"crypto/evp/evp_enc.c", ZONE_ALGORITHMS},
    {"crypto/evp/digest.c", ZONE_ALGORITHMS},
    {"crypto/evp/keymgmt_meth.c", ZONE_ALGORITHMS},
    {"crypto/evp/signature.c", ZONE_ALGORITHMS},
    {"crypto/evp/evp_rand.c", ZONE_ALGORITHMS},
    {"crypto/evp/exchange.c", ZONE_ALGORITHMS},
    {"crypto/evp/kdf_meth.c", ZONE_ALGORITHMS},
    {"crypto/evp/mac_meth.c", ZONE_ALGORITHMS},
};

/* Later, in receivers and agents: the buffers of a handshake and of records. Between the small blocks that a connection
 * keeps they would leave holes, and those the pages around them. */
#define LARGE_LEAST 4096u
#define LARGE_PAGES 6u /* OpenSSL's largest: 16 KiB and a third */
static struct large { _Alignas(PAGE) unsigned char bytes[LARGE_PAGES * PAGE]; } larges[8];
static struct { bool in_use, was_used; /* since its pages were given back */ } large_states[COUNT_OF(larges)];

static bool is_open;
static enum zone_name latest; /* ZONES: it came from malloc */

static enum zone_name zone_of(size_t size, const char *file) {
    if (size > LARGEST_UNITS * UNIT || file == NULL)
        return ZONES;
    /* An algorithm's own lock, made right behind it, is for machines that cannot count in one step. */
    if (latest == ZONE_ALGORITHMS && strstr(file, sources[0].words) != NULL)
        return ZONES;
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (strstr(file, sources[i].words) != NULL)
            return sources[i].zone;
    return ZONES;
}

static void *take(struct zone *zone, size_t size) {
    size_t units = (size + UNIT - 1) / UNIT;
    size_t first = zone->freed[units];

    if (first > 0) {
        first--;
        memcpy(&zone->freed[units], zone->bytes + first * UNIT, sizeof zone->freed[units]);
        return zone->bytes + first * UNIT;
    }
    if (zone->used + units > ZONE_UNITS)
        return NULL;
    first = zone->used;
    zone->used = (uint16_t)(first + units);
    zone->units[first] = (uint8_t)units;
    return zone->bytes + first * UNIT;
}

static void *take_large(size_t size) {
    for (size_t i = 0; i < COUNT_OF(larges) && size <= sizeof larges->bytes; i++)
        if (!large_states[i].in_use) {
            large_states[i].in_use = large_states[i].was_used = true;
            return larges[i].bytes;
        }
    return NULL;
}

static bool is_large(const void *block) {
    return (uintptr_t)block - (uintptr_t)larges < sizeof larges;
}

void tls_give_back(void) {
    for (size_t i = 0; i < COUNT_OF(larges); i++)
        if (large_states[i].was_used && !large_states[i].in_use) {
            large_states[i].was_used = false;
            (void)madvise(larges[i].bytes, sizeof larges[i].bytes, MADV_DONTNEED);
        }
}

static struct zone *zone_with(const void *block) {
    for (size_t i = 0; i < ZONES; i++)
        if ((uintptr_t)block - (uintptr_t)zones[i].bytes < sizeof zones[i].bytes)
            return &zones[i];
    return NULL;
}

static size_t unit_of(const struct zone *zone, const void *block) {
    return (size_t)((const unsigned char *)block - zone->bytes) / UNIT;
}

static void *allocate(size_t size, const char *file, int line) {
    void *block = NULL;

    (void)line;
    if (size == 0)
        return NULL; /* as OpenSSL's own would */
    if (is_open) {   /* nothing is written to after the fork */
        latest = zone_of(size, file);
        block = latest != ZONES ? take(&zones[latest], size) : NULL;
    } else if (size >= LARGE_LEAST) {
        block = take_large(size);
    }
    return block != NULL ? block : malloc(size);
}

static void release(void *block, const char *file, int line) {
    struct zone *zone = zone_with(block);

    (void)file;
    (void)line;
    if (is_large(block))
        large_states[((uintptr_t)block - (uintptr_t)larges) / sizeof *larges].in_use = false;
    else if (zone == NULL)
        free(block);
    if (zone == NULL)
        return;
    size_t first = unit_of(zone, block);
    uint16_t *freed = &zone->freed[zone->units[first]];
    memcpy(block, freed, sizeof *freed);
    *freed = (uint16_t)(first + 1);
}

static void *resize(void *block, size_t size, const char *file, int line) {
    const struct zone *zone = zone_with(block);
    size_t held = zone != NULL ? (size_t)zone->units[unit_of(zone, block)] * UNIT : sizeof larges->bytes;

    if (zone == NULL && !is_large(block))
        return realloc(block, size);
    if (size > 0 && size <= held)
        return block;
    void *moved = allocate(size, file, line);
    if (moved != NULL)
        memcpy(moved, block, held < size ? held : size);
    if (moved != NULL || size == 0)
        release(block, file, line);
    return moved;
}

void region_open(void) {
    static bool tried, is_ours;

    if (!tried)
        is_ours = CRYPTO_set_mem_functions(allocate, resize, release) == 1; /* not once OpenSSL has been used */
    tried = true;
    latest = ZONES;
    is_open = is_ours;
}

void region_close(void) {
    is_open = false;
}
