/* SPDX-License-Identifier: MIT
 * What each kind of process may ask of which: the table that every service consults before it reads a request. */
#ifndef IPC_WHITELIST_H
#define IPC_WHITELIST_H
#include <stdbool.h>
#include <stdint.h>
enum peer_kind {
    PEER_LISTENER,
    PEER_RECEIVER,
    PEER_AGENT,
    PEER_RUNNER,
    PEER_OPERATOR,
    PEER_LEDGER,
    PEER_SERVICE /* lookup, resolver, signer or connector, to the listener */,
    PEER_NURSERY,
    PEER_KINDS
};
enum service_kind {
    SERVICE_LISTENER,
    SERVICE_LEDGER,
    SERVICE_LOOKUP,
    SERVICE_RESOLVER,
    SERVICE_SIGNER,
    SERVICE_CONNECTOR,
    SERVICE_RUNNER,
    SERVICE_AGENT,
    SERVICE_RECEIVER,
    SERVICE_NURSERY,
    SERVICE_KINDS
};
/* True when a peer of this kind may send this service a message of this kind. */
bool whitelist_allows(enum service_kind service, enum peer_kind peer, uint32_t message_kind);
#endif
