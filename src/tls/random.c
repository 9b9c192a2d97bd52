/* SPDX-License-Identifier: MIT
 * Randomness of OpenSSL's, in listener and receivers: the kernel's, with a system call each time. Its own generators
 * are three a process, each made anew from the kernel's in every receiver before the first handshake, and copied for
 * it. Nothing is kept that a fork could double or whoever takes a receiver could look back with. Called while the
 * listener makes a server's contexts; needs getrandom(2), which every filter allows. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the successor is a provider, which would do the same in ten times the lines */
#include "base/random.h"
#include "tls/server.h"
#include <openssl/rand.h>

static int fill_bytes(unsigned char *bytes, int length) {
    if (length > 0)
        random_fill(bytes, (size_t)length);
    return 1;
}

static int is_ready(void) {
    return 1;
}

bool random_prepare(void) {
    static const RAND_METHOD kernels = {.bytes = fill_bytes, .pseudorand = fill_bytes, .status = is_ready};

    return RAND_set_rand_method(&kernels) == 1;
}
