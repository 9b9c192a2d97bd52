/* SPDX-License-Identifier: MIT
 * The receiver process. Forked by the nursery, unprivileged and sandboxed from its first moment, with nothing open
 * but what is its own; waits for a client. OpenSSL and libopendkim were made ready before (dkim_prepare). Ends after
 * receiver_sessions clients, or when the listener is gone. */
#include "receiver/receiver.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "config/config.h"
#include "ipc/ask.h"
#include "receiver/hub.h"
#include "receiver/session.h"
#include "tls/tls.h"

_Noreturn void receiver_main(const struct process_start *start) {
    struct hub_client client;
    int fd;

    tls_set_signer(ask_tls_signature, start->signer);
    for (long session = 1; hub_next_client(start->hub, &client, &fd); session++) {
        session_serve(start, &client, fd);
        if (session >= start->config->receiver_sessions)
            break;
        if (channel_send(start->hub, HUB_READY, 0, &(struct empty_message){0}, -1) != CHANNEL_OK)
            break;
    }
    sandbox_exit(EXIT_STATUS_OK);
}
