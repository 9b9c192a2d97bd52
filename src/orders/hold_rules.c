/* SPDX-License-Identifier: MIT
 * Orders about hold rules: which mail is held when it comes. The spool's copy of the rules is read anew at once. */
#include "store/hold_rules.h"
#include "orders/order.h"
#include <time.h>

/* "KIND PATTERN": false after saying what is wrong. */
static bool read_rule(struct order *order, enum hold_kind *kind, const char **pattern) {
    struct text rest = text_of(order->argument), word = TEXT_NONE;
    (void)text_split(&rest, ' ', &word);
    *pattern = rest.data;
    if (!hold_kind_parse(word, kind)) {
        buffer_format(order->answer, "\"%.*s\" is no kind of hold rule: sender, recipient, domain, account or ip are",
                      TEXT_ARGS(word));
        return false;
    }
    if (rest.length == 0 || !hold_pattern_is_valid(*kind, *pattern)) {
        buffer_format(order->answer, "\"%s\" is not what \"hold-rule %s\" takes%s", rest.length > 0 ? *pattern : "",
                      hold_kind_name(*kind), *kind == HOLD_IP ? ": an address, or a network as 192.0.2.0/24" : "");
        return false;
    }
    return true;
}

static enum exit_status reread(struct order *order) {
    return spool_read_hold_rules(order->spool) ? EXIT_STATUS_OK : order_failed(order);
}

enum exit_status order_hold_rule_add(struct order *order) {
    enum hold_kind kind;
    const char *pattern;
    if (!read_rule(order, &kind, &pattern)) {
        return EXIT_STATUS_USAGE;
    }
    if (!hold_rules_add(spool_database(order->spool), kind, pattern, order->detail, (int64_t)time(NULL))) {
        return order_failed(order);
    }
    order->affected = 1;
    buffer_format(order->answer, "mail of %s %s is held from now on", hold_kind_name(kind), pattern);
    return reread(order);
}

enum exit_status order_hold_rule_remove(struct order *order) {
    enum hold_kind kind;
    const char *pattern;
    if (!read_rule(order, &kind, &pattern)) {
        return EXIT_STATUS_USAGE;
    }
    if (!hold_rules_remove(spool_database(order->spool), kind, pattern, &order->affected)) {
        return order_failed(order);
    }
    if (order->affected == 0) {
        buffer_format(order->answer, "there is no hold rule %s %s", hold_kind_name(kind), pattern);
        return EXIT_STATUS_NO_USER;
    }
    buffer_format(order->answer, "mail of %s %s is no longer held; what is held stays so until it is released",
                  hold_kind_name(kind), pattern);
    return reread(order);
}
