/* SPDX-License-Identifier: MIT
 * Orders about names: aliases and vacations. Only the shape of what is asked for is checked; whether a target exists is
 * seen when mail comes (`parcelpost alias test`). */
#include "base/clock.h"
#include "mail/address.h"
#include "orders/order.h"
#include "store/aliases.h"
#include <string.h>
#include <time.h>

#define NAME_SIZE 1024
#define DAYS_MAXIMUM 366

static bool is_plain(struct text text) {
    return text.length > 0 && text.length < NAME_SIZE && text_find(text, '\t') == text.length &&
           text_find(text, '\n') == text.length && text_find(text, '\0') == text.length;
}

static bool is_address(struct text text) {
    struct address address;
    return address_parse(text, true, &address) == ADDRESS_OK && address.domain[0] != '\0';
}

static bool is_domain(struct text text) {
    return text.length > 1 && text.data[0] == '@' && address_domain_is_valid(text_from(text, 1), true);
}

/* "@.name": in all domains below it; "@*": in any. */
static bool is_pattern(struct text text) {
    return text_equal(text, TEXT("@*")) || (text.length > 2 && text.data[0] == '@' && text.data[1] == '.' &&
                                            address_domain_is_valid(text_from(text, 2), true));
}

static bool is_target(struct text text) {
    bool other = text.length > 1 && (text.data[0] == '/' || text.data[0] == '|');
    return is_plain(text) && (other || is_domain(text) || is_address(text));
}

/* "ADDRESS TARGET"; without a target: rest is empty. */
static void split(const struct order *order, char address[NAME_SIZE], char target[NAME_SIZE]) {
    struct text argument = text_of(order->argument);
    size_t end = text_find(argument, ' ');
    (void)address_normal(text_first(argument, end), address, NAME_SIZE);
    (void)address_normal(text_from(argument, end + 1), target, NAME_SIZE);
}

static enum exit_status refuse(struct order *order, const char *what, const char *value) {
    buffer_format(order->answer, "\"%s\" is not %s", value, what);
    return EXIT_STATUS_USAGE;
}

enum exit_status order_alias_add(struct order *order) {
    char address[NAME_SIZE], target[NAME_SIZE];
    split(order, address, target);
    struct text from = text_of(address);
    if (!is_plain(from) || (!is_address(from) && !is_domain(from) && !is_pattern(from))) {
        return refuse(order, "an address, nor @ and a domain, @.domain or @*", address);
    }
    if (!is_target(text_of(target))) {
        return refuse(order, "an address, @domain, /file or |transport", target);
    }
    if (order->detail[0] != '\0' && !is_address(text_of(order->detail))) {
        return refuse(order, "an owner's address", order->detail);
    }
    if (!aliases_add(spool_database(order->spool), address, target, order->detail, (int64_t)time(NULL))) {
        return order_failed(order);
    }
    order->affected = 1;
    buffer_format(order->answer, "%s leads to %s", address, target);
    return EXIT_STATUS_OK;
}

enum exit_status order_alias_remove(struct order *order) {
    char address[NAME_SIZE], target[NAME_SIZE];
    split(order, address, target);
    if (!aliases_remove(spool_database(order->spool), address, target[0] != '\0' ? target : NULL, &order->affected)) {
        return order_failed(order);
    }
    if (order->affected == 0) {
        buffer_format(order->answer, "%s is no alias%s%s", address, target[0] != '\0' ? " to " : "", target);
        return EXIT_STATUS_NO_USER;
    }
    buffer_format(order->answer, "%lld target%s of %s removed", (long long)order->affected,
                  order->affected == 1 ? "" : "s", address);
    return EXIT_STATUS_OK;
}

static bool take_time(struct text line, int64_t *seconds) {
    char text[CLOCK_TEXT_SIZE];
    time_t parsed = 0;
    bool good = line.length == 0 || (text_copy(text, sizeof text, line) && clock_parse(text, &parsed));
    *seconds = (int64_t)parsed;
    return good;
}

/* detail: days, begin, end, subject, each in a line of its own, then the message. */
enum exit_status order_vacation_set(struct order *order) {
    struct text rest = text_of(order->detail), days = TEXT_NONE, starts = TEXT_NONE, ends = TEXT_NONE, line = TEXT_NONE;
    char subject[NAME_SIZE], address[NAME_SIZE];
    struct vacation_setting setting = {.address = address};
    uint64_t number = 0;
    bool whole = text_split(&rest, '\n', &days) && text_split(&rest, '\n', &starts) && text_split(&rest, '\n', &ends) &&
                 text_split(&rest, '\n', &line);
    if (!address_normal(text_of(order->argument), address, sizeof address) || !is_address(text_of(address))) {
        return refuse(order, "an address", order->argument);
    }
    if (!whole || !text_number(days, DAYS_MAXIMUM, &number) || number == 0 || !take_time(starts, &setting.starts_at) ||
        !take_time(ends, &setting.ends_at) || !text_copy(subject, sizeof subject, line) || !text_is_utf8(line) ||
        !text_is_utf8(rest)) {
        buffer_format(order->answer, "days are 1 to %d, times \"YYYY-MM-DD HH:MM:SS\" in UTC, words UTF-8",
                      DAYS_MAXIMUM);
        return EXIT_STATUS_USAGE;
    }
    setting.days = (int64_t)number;
    setting.subject = subject;
    setting.message = rest.data;
    if (!vacations_set(spool_database(order->spool), &setting, (int64_t)time(NULL))) {
        return order_failed(order);
    }
    order->affected = 1;
    buffer_format(order->answer, "whoever writes to %s hears of it, once in %lld days", order->argument,
                  (long long)setting.days);
    return EXIT_STATUS_OK;
}

enum exit_status order_vacation_off(struct order *order) {
    char address[NAME_SIZE];
    if (!address_normal(text_of(order->argument), address, sizeof address) ||
        !vacations_remove(spool_database(order->spool), address, &order->affected)) {
        return order_failed(order);
    }
    if (order->affected == 0) {
        buffer_format(order->answer, "%s is not away", order->argument);
        return EXIT_STATUS_NO_USER;
    }
    buffer_format(order->answer, "%s is back", order->argument);
    return EXIT_STATUS_OK;
}
