/* SPDX-License-Identifier: MIT
 * `parcelpost tls …`: which domains' servers have shown TLS, so that mail waits where it is suddenly missing, and
 * forgetting that; and which certificates our own clients are shown. Changes are the ledger's (change.h). */
#include "base/text.h"
#include "config/certificates.h"
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include "control/table.h"
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

/* ---- certificates ---- */

/* False when a file cannot be read, which is told. */
static bool add_certificates(struct table *table, const char *name, const struct config_strings *files) {
    struct tls_certificate certificate;
    struct buffer error;
    bool good = true;
    buffer_init(&error, 4096);
    for (size_t i = 0; i < files->count; i++) {
        if (!tls_certificate_read(files->items[i], &certificate, &error)) {
            control_fail(0, "%s", buffer_string(&error));
            buffer_clear(&error);
            good = false;
            continue;
        }
        const char *values[] = {name,
                                certificate.key,
                                certificate.names[0] != '\0' ? certificate.names : certificate.subject,
                                certificate.until,
                                certificate.expired ? "expired" : "",
                                files->items[i],
                                certificate.fingerprint};
        table_add(table, values);
    }
    buffer_free(&error);
    return good;
}

int control_tls_certificate(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"ASKED FOR", "KEY", "NAMES", "UNTIL", "", "FILE", "SHA-256", NULL};
    const struct config *config = control->config;
    struct table *table = table_new(titles);
    bool good = true;
    if (count > 0) {
        good = add_certificates(table, arguments[0], config_certificates_for(config, text_of(arguments[0])));
    } else {
        good = add_certificates(table, "(any other)", &config->certificate);
        for (size_t i = 0; i < config->certificate_count; i++) {
            good &= add_certificates(table, config->certificates[i].name, &config->certificates[i].certificate);
        }
    }
    table_print(table, stdout);
    if (table_count(table) == 0 && good) {
        puts(config->self_signed_certificate ? "No certificate is configured: the server makes a self-signed one."
                                             : "No certificate is configured: there is no TLS.");
    }
    table_free(table);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
}
