/* SPDX-License-Identifier: MIT
 * The listener's side of the nursery: starts it, introduces it to those whom receivers ask, asks it for receivers. One
 * that dies is started again like any service; the receivers that it has forked are the listener's, and live on. */
#include "base/log.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool introduce(struct child *nursery, struct child *service) {
    const struct hub_channel message = {service->kind};
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel from the nursery to the %s: %s", process_names[service->kind], strerror(errno));
        return false;
    }
    bool given = service_give_peer(service, PEER_NURSERY, nursery->pid, &ends[0]) &&
                 child_send(nursery, HUB_CHANNEL, &message, ends[1]);
    close(ends[1]);
    return given;
}

static bool introduce_all(struct supervisor *supervisor, struct child *nursery) {
    for (size_t place = 0; place < SLOTS; place++) {
        struct child *service = supervisor->slots[place].child;
        if (service != NULL && slot_is_asked(place) && !introduce(nursery, service)) {
            return false;
        }
    }
    return true;
}

struct child *nursery_start(struct supervisor *supervisor, struct process_start *start) {
    supervisor->unborn = 0; /* what another was asked for will not come */
    struct child *nursery = child_fork(supervisor, PROCESS_NURSERY, start);
    if (nursery != NULL && !introduce_all(supervisor, nursery)) {
        log_error("the nursery cannot be introduced to all whom receivers ask: another is started");
        child_retire(nursery);
        return NULL;
    }
    return nursery;
}

void nursery_ask(struct supervisor *supervisor, size_t count) {
    const struct hub_fork wanted = {(uint32_t)count};
    if (child_send(supervisor->slots[SLOT_NURSERY].child, HUB_FORK, &wanted, -1)) {
        supervisor->unborn += count;
    }
}
