/* SPDX-License-Identifier: MIT
 * What rules may call besides SQLite's own functions: in_network(ip, network). Called by SQLite while a rule is asked,
 * on what strangers and the operator's tables say; an argument that is no network is an error of the rule's. */
#include "base/network.h"
#include "store/sql_rules_private.h"
#include <sqlite3.h>
#include <stdio.h>

static struct text argument(sqlite3_value *value) {
    return text_of((const char *)sqlite3_value_text(value)); /* NULL is none */
}

/* 1 or 0; an address that is none, as a local program's, is in no network. */
static void in_network(sqlite3_context *context, int count, sqlite3_value **values) {
    struct text ip = argument(values[0]), name = argument(values[1]);
    struct network_address address;
    struct network network;
    char problem[128];
    (void)count;
    if (!network_parse(name, &network)) {
        (void)snprintf(problem, sizeof problem, "in_network: \"%.60s\" is no network", name.data);
        sqlite3_result_error(context, problem, -1);
        return;
    }
    sqlite3_result_int(context, network_parse_ip(ip, 0, &address) && network_contains(&network, &address));
}

void sql_add_functions(struct sqlite3 *handle) {
    (void)sqlite3_create_function(handle, "in_network", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, in_network, NULL,
                                  NULL);
}
