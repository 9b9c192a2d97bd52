/* SPDX-License-Identifier: MIT
 * Unpredictable numbers from getrandom(2). Called by any process, also inside the sandbox; failure is fatal. */
#include "base/random.h"
#include "base/exit_status.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

void random_fill(void *destination, size_t length) {
    unsigned char *at = destination;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            die_fatal(EXIT_STATUS_SYSTEM, "getrandom: %s", strerror(errno));
        }
        at += got;
        length -= (size_t)got;
    }
}

uint64_t random_below(uint64_t bound) {
    if (bound == 0) {
        die_panic("random_below: the bound is 0");
    }
    /* Values below 2^64 mod bound would make the first residues likelier than the others. */
    uint64_t unfair = (UINT64_MAX - bound + 1) % bound;
    uint64_t value;
    do {
        random_fill(&value, sizeof value);
    } while (value < unfair);
    return value % bound;
}
