/* SPDX-License-Identifier: MIT
 * Orders about contacts: locking one out, forgiving one or all. */
#include "base/clock.h"
#include "orders/order.h"
#include <string.h>
#include <time.h>

enum exit_status order_contacts_lock(struct order *order) {
    struct contacts_policy policy = order->policy;
    struct network network;
    uint64_t seconds;
    char end[CLOCK_TEXT_SIZE];
    if (!network_parse(text_of(order->argument), &network)) {
        buffer_format(order->answer, "\"%s\" is no address", order->argument);
        return EXIT_STATUS_USAGE;
    }
    if (text_number(text_of(order->detail), INT32_MAX, &seconds) && seconds > 0) {
        policy.prohibited_seconds = (int64_t)seconds;
    }
    if (!contacts_lock(spool_database(order->spool), &policy, text_of(order->argument), (int64_t)time(NULL),
                       &order->contact)) {
        return order_failed(order);
    }
    order->affected = 1;
    order->effects = ORDER_CONTACT;
    clock_text((time_t)order->contact.expires_at, end);
    buffer_format(order->answer, "%s is locked out until %s UTC", order->argument, end);
    return EXIT_STATUS_OK;
}

/* Without a server the lockout's end stays in the row: the next start runs unlock_command by it. */
enum exit_status order_contacts_forgive(struct order *order) {
    bool all = strcmp(order->argument, "all") == 0;
    const char *contact = all ? NULL : order->argument;
    struct database *database = spool_database(order->spool);
    bool good = order->resident ? contacts_forgive(database, contact, (int64_t)time(NULL), &order->affected)
                                : contacts_pardon(database, contact, (int64_t)time(NULL), &order->affected);
    if (!good) {
        return order_failed(order);
    }
    order->effects = ORDER_CONTACTS;
    buffer_format(order->answer, "%lld contact%s forgiven", (long long)order->affected,
                  order->affected == 1 ? "" : "s");
    return order->affected > 0 || all ? EXIT_STATUS_OK : EXIT_STATUS_NO_USER;
}
