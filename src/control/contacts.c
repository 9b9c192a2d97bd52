/* SPDX-License-Identifier: MIT
 * `parcelpost contacts …`: who has connected, how they behaved, who is locked out. Changes are the ledger's (change.h).
 */
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include "control/table.h"
#include <stdio.h>
#include <string.h>

#define LOCK_SECONDS_MAXIMUM (365u * 24 * 3600)

/* The name a contact's row has: IPv6 addresses are cut to their prefix. */
static bool contact_name(const struct config *config, const char *word, char name[NETWORK_IP_SIZE]) {
    struct network_address address;
    struct text ip = text_first(text_of(word), text_find(text_of(word), '/'));
    if (!network_parse_ip(ip, 0, &address)) {
        return false;
    }
    network_contact(&address, (unsigned)config->contact_prefix_v6, name);
    return true;
}

static int no_address(const char *word) {
    return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not an IP address", word);
}

int control_contacts_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"CONTACT",      "CONNECTIONS",   "VIOLATIONS", "LOCKOUTS",
                                         "LOCKED UNTIL", "LAST ACCEPTED", "CHANGED",    NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_CONTACTS, NULL, titles, "Nobody has connected yet.");
}

static bool show_contact(void *context, const struct report_row *row) {
    bool *found = context;
    *found = true;
    return table_print_fields(stdout, row);
}

int control_contacts_show(struct control *control, int count, char **arguments) {
    static const char *const violations[] = {"TIME",    "PORT",    "VERB",    "RULE", "REPLY",
                                             "ACCOUNT", "MAIL ID", "COUNTED", NULL};
    static const char *const mails[] = {"TIME", "MAIL ID", "FROM", "TO", "STATE", "ANSWER", NULL};
    char contact[NETWORK_IP_SIZE];
    bool found = false;
    (void)count;
    if (!contact_name(control->config, arguments[0], contact)) {
        return no_address(arguments[0]);
    }
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    bool good = report_run(database, REPORT_CONTACT, contact, show_contact, &found) &&
                report_show_part(database, REPORT_VIOLATIONS, contact, "Violations, the latest first", violations) &&
                report_show_part(database, REPORT_FROM_CONTACT, contact, "Mail from there, the latest first", mails);
    int status = EXIT_STATUS_OK;
    if (!good) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else if (!found) {
        status = control_fail(EXIT_STATUS_NO_USER, "%s has never connected", contact);
    }
    database_close(database);
    return status;
}

int control_contacts_lock(struct control *control, int count, char **arguments) {
    char contact[NETWORK_IP_SIZE], seconds[24];
    uint64_t number = (uint64_t)control->config->prohibited_seconds;
    if (!contact_name(control->config, arguments[0], contact)) {
        return no_address(arguments[0]);
    }
    if (count > 1 && (!text_number(text_of(arguments[1]), LOCK_SECONDS_MAXIMUM, &number) || number == 0)) {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not a number of seconds, 1 to %u", arguments[1],
                            LOCK_SECONDS_MAXIMUM);
    }
    snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)number);
    return change_ask(control, "contacts lock", contact, seconds);
}

int control_contacts_forgive(struct control *control, int count, char **arguments) {
    char contact[NETWORK_IP_SIZE];
    (void)count;
    if (strcmp(arguments[0], "all") == 0) {
        return change_ask(control, "contacts forgive", "all", "");
    }
    if (!contact_name(control->config, arguments[0], contact)) {
        return no_address(arguments[0]);
    }
    return change_ask(control, "contacts forgive", contact, "");
}
