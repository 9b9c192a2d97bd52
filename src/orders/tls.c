/* SPDX-License-Identifier: MIT
 * The order about TLS of other servers: no longer to expect of a domain what it has shown before. */
#include "orders/order.h"
#include "store/tls_memory.h"
#include <string.h>
#include <time.h>

enum exit_status order_tls_forgive(struct order *order) {
    bool all = strcmp(order->argument, "all") == 0;
    if (!tls_memory_forgive(spool_database(order->spool), all ? NULL : order->argument, (int64_t)time(NULL),
                            &order->affected)) {
        return order_failed(order);
    }
    if (order->affected == 0 && !all) {
        buffer_format(order->answer, "nothing is remembered of the TLS of %s", order->argument);
        return EXIT_STATUS_NO_USER;
    }
    order->effects = ORDER_RUNNER;
    buffer_format(order->answer, "%lld domain%s forgiven", (long long)order->affected, order->affected == 1 ? "" : "s");
    if (!all) {
        buffer_format(order->answer, "; to try its mail now: parcelpost queue retry domain=%s", order->argument);
    }
    return EXIT_STATUS_OK;
}
