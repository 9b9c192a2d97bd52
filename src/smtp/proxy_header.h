/* SPDX-License-Identifier: MIT
 * The header that a proxy sends before a connection's own bytes (the PROXY protocol of HAProxy, versions 1 and 2): whom
 * it speaks for. A parser of bytes alone: no I/O, no policy. */
#ifndef SMTP_PROXY_HEADER_H
#define SMTP_PROXY_HEADER_H
#include "base/network.h"

#define PROXY_HEADER_MAXIMUM 1024 /* bytes; version 1 has 107 at most, version 2 is mostly TLVs that we pass over */

enum proxy_header_result {
    PROXY_HEADER_ITEM,
    PROXY_HEADER_MORE, /* what there is could be the beginning of one */
    PROXY_HEADER_BAD
};
struct proxy_header {
    bool proxied; /* false: the proxy speaks for itself (LOCAL), or does not say for whom (UNKNOWN) */
    struct network_address client, server; /* whom it speaks for, and where that one connected to */
};
/* Takes one header off the front of bytes: *consumed says how long it is. */
enum proxy_header_result proxy_header_parse(struct text bytes, struct proxy_header *header, size_t *consumed);
#endif
