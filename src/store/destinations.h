/* SPDX-License-Identifier: MIT
 * Rows of destinations: how other servers do. Read by the queue runner; written by the ledger in the transaction of the
 * result that showed it. */
#ifndef STORE_DESTINATIONS_H
#define STORE_DESTINATIONS_H
#include "base/text.h"
#include "store/database.h"
enum destinations_tls { DESTINATIONS_TLS_NONE, DESTINATIONS_TLS_OFFERED, DESTINATIONS_TLS_VERIFIED };
enum destinations_found { DESTINATIONS_YES, DESTINATIONS_NO, DESTINATIONS_ERROR };
struct destinations_row {
    uint32_t failures;        /* attempts in a row that found no server */
    int64_t retry_at, tls_at; /* seconds since 1970; 0: none */
    uint32_t tls;             /* enum destinations_tls */
    char reason[512];
};
enum destinations_found destinations_find(struct database *database, struct text name, struct destinations_row *row);
/* One more attempt found no server. */
bool destinations_failed(struct database *database, struct text name, int64_t retry_at, struct text reason,
                         int64_t now);
/* Where a mail goes may be tried at once. */
bool destinations_allow(struct database *database, const char *mail_id, int64_t now);
/* A server answered; tls: what it showed, NONE leaves what is remembered. */
bool destinations_answered(struct database *database, struct text name, uint32_t tls, int64_t now);
#endif
