/* SPDX-License-Identifier: MIT
 * The client's messages of a SCRAM exchange (RFC 5802 7), taken apart. Parsers only: no I/O, no keys, nothing
 * allocated.
 */
#ifndef SMTP_SCRAM_MESSAGE_H
#define SMTP_SCRAM_MESSAGE_H
#include "base/text.h"

#define SCRAM_NAME_SIZE 512
#define SCRAM_NONCE_MAXIMUM 256 /* bytes of the client's part */

enum scram_binding_flag {
    SCRAM_BINDING_NONE,    /* n: the client can not bind to the channel */
    SCRAM_BINDING_UNSEEN,  /* y: it could, but believes that we can not */
    SCRAM_BINDING_REQUIRED /* p: it does */
};
struct scram_first { /* borrowed from the message, but for the names */
    enum scram_binding_flag binding;
    struct text binding_name;                              /* of the kind, with p */
    struct text gs2_header;                                /* with its last comma */
    struct text bare;                                      /* what is behind it */
    struct text nonce;                                     /* the client's */
    char identity[SCRAM_NAME_SIZE], user[SCRAM_NAME_SIZE]; /* decoded; identity "": none */
};
/* client-first-message = gs2-header client-first-message-bare. False: malformed, or with an extension (m=). */
bool scram_parse_first(struct text message, struct scram_first *first);
struct scram_final {
    struct text channel_binding; /* base64 */
    struct text nonce;           /* both parts */
    struct text without_proof, proof /* base64 */;
};
/* client-final-message = channel-binding "," nonce ["," extensions] "," proof */
bool scram_parse_final(struct text message, struct scram_final *final);
#endif
