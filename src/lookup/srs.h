/* SPDX-License-Identifier: MIT
 * The Sender Rewriting Scheme (M. Wong, "Sender Rewriting Scheme", 2003): a forwarded message gets a reverse-path in a
 * domain of ours, so that SPF of the original sender's domain is not asked about us, and what comes back to it leads to
 * the original sender. Values, no I/O. Private to this folder. */
#ifndef LOOKUP_SRS_H
#define LOOKUP_SRS_H
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

#define SRS_SECRETS_MAXIMUM 4u
#define SRS_SECRET_SIZE 128u
#define SRS_ADDRESS_SIZE 512u
#define SRS_VALID_DAYS 21 /* as the paper's authors had it */

struct srs {
    char secrets[SRS_SECRETS_MAXIMUM][SRS_SECRET_SIZE]; /* the first signs, each is believed */
    unsigned secret_count;                              /* 0: nothing is rewritten, nothing believed */
    unsigned hash_length;                               /* characters of the hash: 6; 4 in the paper */
    const char *domain;
};
/* "local@domain" becomes "SRS0=HASH=DAY=domain=local@ours"; what another forwarder made so becomes SRS1, which leads
 * back past him. now: seconds since 1970. False when it cannot be: no secret, no domain, or longer than a local part
 * may be (RFC 5321 4.5.3.1.1). */
bool srs_forward(const struct srs *srs, struct text sender, int64_t now, char rewritten[SRS_ADDRESS_SIZE]);
enum srs_outcome {
    SRS_NONE,   /* no address of this kind, or not in our domain */
    SRS_BACK,   /* ours: original is where it leads */
    SRS_FORGED, /* in our domain, but not made by us */
    SRS_OLD     /* made by us, longer ago than SRS_VALID_DAYS */
};
enum srs_outcome srs_reverse(const struct srs *srs, struct text address, int64_t now, char original[SRS_ADDRESS_SIZE]);
#endif
