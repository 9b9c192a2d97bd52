/* SPDX-License-Identifier: MIT
 * The frame of a process that others ask: it takes new askers from the hub, checks each request against the whitelist
 * and hands it to its row's handler. A peer that sends what it may not, or malformed bytes, is closed and logged. A
 * peer that does not read its answers is closed. The hub closing means the listener is gone: the service goes on until
 * its last peer is gone, then ends. */
#ifndef IPC_SERVICE_H
#define IPC_SERVICE_H
#include "base/loop.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "ipc/whitelist.h"
struct service;
struct service_peer {
    struct service *service;
    enum peer_kind kind;
    uint32_t pid;
    int fd;
    void *data; /* the service's own, freed in peer_gone */
    struct loop_watch *watch;
    struct service_peer *next, *previous;
};
/* values: the unpacked struct; its text lasts until the handler returns. message->fd is the handler's when it takes it
 * (sets it to -1), else it is closed. Returning false closes the peer. */
typedef bool service_handler(void *context, struct service_peer *peer, struct channel_message *message);
struct service_row {
    uint32_t kind;
    service_handler *handle;
};
struct service_definition {
    enum service_kind kind;
    const struct service_row *rows;
    size_t row_count;
    void (*after_round)(void *context); /* NULL, or: everything that has arrived was handed out */
    void (*peer_new)(void *context, struct service_peer *peer);  /* NULL, or … */
    void (*peer_gone)(void *context, struct service_peer *peer); /* NULL, or: before the peer is freed */
    void (*hub_gone)(void *context);                             /* NULL: go on until the last peer is gone */
    void (*rested)(void *context); /* NULL, or: nothing has come for a while; free memory is given back after it */
};
/* hub: becomes a peer of kind PEER_LISTENER (so HUB_* rows are handlers too; HUB_PEER, HUB_LOG, HUB_PING are built in).
 */
struct service *service_new(const struct service_definition *definition, int hub, void *context);
struct loop *service_loop(struct service *service);
struct service_peer *service_hub(struct service *service);
/* Adds an asker that did not come from the hub (an accepted control connection, a channel given at start). fd is owned.
 */
struct service_peer *service_add_peer(struct service *service, int fd, enum peer_kind kind, uint32_t pid);
void service_close_peer(struct service_peer *peer);
/* Sends to a peer without waiting; pass_fd stays the caller's. CHANNEL_AGAIN when the peer's buffer is full. */
enum channel_result service_send(struct service_peer *peer, uint32_t kind, uint32_t serial, const void *values,
                                 int pass_fd);
/* Answers a request; a peer that cannot take it is closed after this round. */
void service_answer(struct service_peer *peer, uint32_t kind, uint32_t serial, const void *values, int pass_fd);
/* Sends HUB_READY and serves until the end; exits the process with status OK. */
_Noreturn void service_run(struct service *service);
#endif
