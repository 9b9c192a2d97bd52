/* SPDX-License-Identifier: MIT
 * `parcelpost tls …`: which domains' servers have shown TLS, so that mail waits where it is suddenly missing, and
 * forgetting that. Changes are the ledger's (change.h). */
#include "base/text.h"
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include "mail/address.h"
#include <string.h>

int control_tls_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"DOMAIN", "HAS SHOWN", "LAST", NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_TLS, NULL, titles, "No domain's server has shown TLS yet.");
}

int control_tls_forgive(struct control *control, int count, char **arguments) {
    (void)count;
    bool all = strcmp(arguments[0], "all") == 0;
    if (!all && !address_domain_is_valid(text_of(arguments[0]), true) && !address_is_literal(text_of(arguments[0]))) {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not a domain", arguments[0]);
    }
    return change_ask(control, "tls forgive", arguments[0], "");
}
