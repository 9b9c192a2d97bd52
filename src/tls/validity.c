/* SPDX-License-Identifier: MIT
 * The time for which each certificate of the server is valid, held against the machine's clock: told at the start, and
 * when it ends or begins while the server runs, also because somebody set the clock. Handshakes go on, for most other
 * servers look at no certificate. Called by the listener; allocates nothing once a certificate has been added. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "tls/server.h"
#include <stdlib.h>

static int64_t seconds_of(const ASN1_TIME *time, int64_t otherwise) {
    struct tm date;

    return ASN1_TIME_to_tm(time, &date) == 1 ? (int64_t)timegm(&date) : otherwise;
}

void validity_add(struct tls_server *server, const X509 *certificate, const char *file) {
    server->periods = memory_resize(server->periods, server->period_count + 1, sizeof *server->periods);
    server->periods[server->period_count++] =
        (struct validity_period){.file = memory_string(text_of(file)),
                                 .begins = seconds_of(X509_get0_notBefore(certificate), INT64_MIN),
                                 .ends = seconds_of(X509_get0_notAfter(certificate), INT64_MAX)};
}

void validity_free(struct tls_server *server) {
    for (size_t i = 0; i < server->period_count; i++)
        free(server->periods[i].file);
    free(server->periods);
}

static enum validity validity_at(const struct validity_period *period, int64_t now) {
    return now < period->begins ? VALIDITY_NOT_YET : now > period->ends ? VALIDITY_OVER : VALIDITY_NOW;
}

void tls_server_watch_validity(struct tls_server *server, int64_t now) {
    for (size_t i = 0; i < server->period_count; i++) {
        struct validity_period *period = &server->periods[i];
        enum validity former = period->state;
        char when[CLOCK_TEXT_SIZE];

        period->state = validity_at(period, now);
        if (period->state == former)
            continue;
        clock_text((time_t)(period->state == VALIDITY_NOT_YET ? period->begins : period->ends), when);
        if (period->state == VALIDITY_NOW)
            log_info("certificate %s is valid now, until %s", period->file, when);
        else
            log_warn("certificate %s %s %s UTC: who verifies it will not talk to us", period->file,
                     period->state == VALIDITY_OVER ? "expired at" : "is not valid before", when);
    }
}
