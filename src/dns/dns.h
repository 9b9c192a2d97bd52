/* SPDX-License-Identifier: MIT
 * DNS questions with c-ares, inside an event loop, with a cache; same questions under way share one query. The only
 * folder that includes ares.h. NXDOMAIN, no data, a failing server and silence are never mixed up. EDNS and the AD bit
 * are asked for, truncated answers come again over TCP, CNAMEs are followed within the server's answer. */
#ifndef DNS_DNS_H
#define DNS_DNS_H
#include "base/loop.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define DNS_NAME_SIZE 256 /* a name as text: at most 253 bytes, and NUL */

enum dns_outcome {
    DNS_OUTCOME_FOUND,
    DNS_OUTCOME_NO_DATA,  /* the name exists, this type does not */
    DNS_OUTCOME_NO_NAME,  /* NXDOMAIN */
    DNS_OUTCOME_FAILED,   /* a server said that it failed or refused, or answered nonsense */
    DNS_OUTCOME_TIMEOUT,  /* nobody answered */
    DNS_OUTCOME_BAD_NAME, /* not a name that can be asked */
    DNS_OUTCOMES
};
/* RFC 1035 3.2.2, RFC 3596: what can be asked. */
enum dns_question_type { DNS_ASK_A = 1, DNS_ASK_PTR = 12, DNS_ASK_MX = 15, DNS_ASK_TXT = 16, DNS_ASK_AAAA = 28 };

/* A, AAAA: the address as text. PTR, MX: the name without final dot; the root is "." (so a null MX, RFC 7505, is one
 * item with preference 0 and value "."). TXT: the record's strings joined, any bytes. */
struct dns_item {
    unsigned preference; /* MX */
    struct text value;
};
struct dns_reply {
    enum dns_outcome outcome;
    uint32_t ttl;   /* seconds this may be kept: the smallest of the answer's records, or the negative TTL (RFC 2308) */
    bool authentic; /* the server set AD: as good as the way to that server */
    size_t count, bytes;
    struct dns_item *items;
    char *text; /* what the items' values point into */
};
void dns_reply_free(struct dns_reply *reply);

struct dns_settings {
    char *const *servers; /* "ip", "ip:port" or "[v6]:port"; none: those of resolv.conf */
    size_t server_count;
    int timeout_ms, tries; /* of one try at one server (doubled each round), and rounds */
    size_t cache_size;     /* answers kept */
};
struct dns;
/* Called once for each question, perhaps before dns_resolve returns. reply is borrowed until it returns. */
typedef void dns_done(void *context, const struct dns_reply *reply);

/* Makes the channel; reads /etc/resolv.conf, so before a chroot, and after the fork. Dies when c-ares cannot start. */
struct dns *dns_new(struct loop *loop, const struct dns_settings *settings);
/* Ends everything; questions under way are dropped without a call. */
void dns_free(struct dns *dns);
/* Asks; name with or without final dot, any case. */
void dns_resolve(struct dns *dns, struct text name, enum dns_question_type type, dns_done *done, void *context);
#endif
