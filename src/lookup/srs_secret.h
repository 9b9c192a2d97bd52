/* SPDX-License-Identifier: MIT
 * The secret that senders are rewritten with. Private to this folder. */
#ifndef LOOKUP_SRS_SECRET_H
#define LOOKUP_SRS_SECRET_H
#include "lookup/srs.h"
/* Fills srs; without a secret mail is forwarded with its own sender, and nothing that comes back is believed. domain
 * and file are borrowed; NULL: none. */
void srs_secret_read(struct srs *srs, const char *domain, const char *file);
#endif
