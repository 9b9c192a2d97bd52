/* SPDX-License-Identifier: MIT
 * The null transport: takes every message and keeps none. For tests and measurements, and the example to copy for a
 * new transport. Runs as the network user; never fails. */
#include "agent/transport.h"
#include <stdio.h>

static bool null_deliver(struct transport_context *context, struct delivery *delivery) {
    (void)context;
    snprintf(delivery->route, sizeof delivery->route, "null");
    delivery_set_remaining(delivery, RESULT_DELIVERED, "250 2.0.0 discarded");
    return true;
}

const struct transport transport_null = {
    .name = "null",
    .wants_tls = false,
    .network = true,
    .deliver = null_deliver,
    .close = NULL,
};
