/* SPDX-License-Identifier: MIT
 * Private to tls/: what OpenSSL makes between these two, and every handshake writes to, lies close together. */
#ifndef TLS_REGION_H
#define TLS_REGION_H
#include <stdbool.h>

/* Before OpenSSL is used for anything, or nothing comes of it. */
void region_open(void);
void region_close(void);
#endif
