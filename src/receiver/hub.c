/* SPDX-License-Identifier: MIT
 * Messages of the listener to this receiver. Called between sessions, and within one when the hub becomes readable;
 * confined. Anything that the whitelist does not name ends the process. */
#include "receiver/hub.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "ipc/whitelist.h"
#include "tls/tls.h"
#include <malloc.h>
#include <unistd.h>

#define REST_AFTER_MS 250

/* Only the pages that a message touches become memory of ours. */
static char storage[CHANNEL_MESSAGE_MAXIMUM];

static void take_log(int fd) {
    if (fd < 0)
        return;
    int former = log_set_descriptor(fd);
    if (former > STDERR_FILENO)
        (void)close(former);
}

/* One message; false when there is none and never will be. */
static bool receive(int hub, int64_t deadline, union channel_values *values, struct channel_message *message) {
    enum channel_result result = channel_receive(hub, deadline, storage, values, message);

    if (result == CHANNEL_GONE)
        return false;
    if (result == CHANNEL_BAD ||
        (result == CHANNEL_OK && !whitelist_allows(SERVICE_RECEIVER, PEER_LISTENER, message->kind)))
        die_fatal(EXIT_STATUS_PROTOCOL, "the listener sent what it may not");
    if (result != CHANNEL_OK)
        message->kind = 0;
    else if (message->kind == HUB_LOG)
        take_log(message->fd);
    return true;
}

void hub_rest(void) {
    tls_give_back();
    (void)malloc_trim(0);
}

bool hub_next_client(int hub, struct hub_client *client, int *fd) {
    static bool served;
    union channel_values values;
    struct channel_message message;
    int64_t deadline = served ? clock_deadline(REST_AFTER_MS) : CLOCK_NEVER; /* the next one may be there already */

    while (receive(hub, deadline, &values, &message)) {
        if (message.kind == 0) { /* nobody so far */
            hub_rest();
            deadline = CLOCK_NEVER;
        }
        if (message.kind != HUB_CLIENT || message.fd < 0)
            continue;
        served = true;
        *client = values.hub_client;
        *fd = message.fd;
        return true;
    }
    return false;
}

bool hub_goes_on(int hub) {
    union channel_values values;
    struct channel_message message;

    if (!receive(hub, 0, &values, &message))
        return false;
    if (message.kind == HUB_CLIENT)
        die_fatal(EXIT_STATUS_PROTOCOL, "the listener sent a second client");
    return true;
}
