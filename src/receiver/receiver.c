/* SPDX-License-Identifier: MIT
 * The receiver process. Started by the listener as root (or as the caller, without root); drops everything before it
 * reads a byte, then waits, sandboxed, for a client. OpenSSL and libopendkim were made ready before the fork
 * (dkim_prepare). Ends after receiver_sessions clients, or when the listener is gone. */
#include "receiver/receiver.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "config/config.h"
#include "config/confinement.h"
#include "ipc/ask.h"
#include "receiver/hub.h"
#include "receiver/session.h"
#include "tls/tls.h"
#include <malloc.h>

static void close_others(const struct process_start *start) {
    const int keep[] = {start->hub,    start->ledger,    start->lookup,   start->resolver,
                        start->signer, start->connector, log_descriptor()};

    privilege_close_other_descriptors(keep, sizeof keep / sizeof keep[0]);
}

_Noreturn void receiver_main(const struct process_start *start) {
    struct hub_client client;
    int fd;

    log_set_program("receiver");
    privilege_drop(&start->user, start->chroot);
    close_others(start);
    tls_set_signer(ask_tls_signature, start->signer);
    confinement_enter(CONFINED_RECEIVER, start->config, NULL);
    for (long session = 1; hub_next_client(start->hub, &client, &fd); session++) {
        session_serve(start, &client, fd);
        if (session >= start->config->receiver_sessions)
            break;
        (void)malloc_trim(0);
        if (channel_send(start->hub, HUB_READY, 0, &(struct empty_message){0}, -1) != CHANNEL_OK)
            break;
    }
    sandbox_exit(EXIT_STATUS_OK);
}
