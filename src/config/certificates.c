/* SPDX-License-Identifier: MIT
 * From keys and tls_certificate blocks to the certificates of a server. Called by the listener at start and on SIGHUP,
 * and by `parcelpost`; what is wrong with a block is a line of the report, with a file a sentence. */
#include "config/certificates.h"
#include "base/memory.h"
#include "config/reading.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LABEL_SIZE 512

void check_certificates(struct reading *reading) {
    struct config *config = reading->config;
    char label[LABEL_SIZE];

    for (size_t i = 0; i < config->certificate_count; i++) {
        struct config_certificate *block = &config->certificates[i];
        unsigned line = reading_line(reading, "tls_certificate", i, NULL);
        reading_label(label, sizeof label, config_block_find("tls_certificate"), block->name, NULL);
        text_lower(block->name);
        if (!tls_name_is_valid(text_of(block->name)))
            reading_add_error(reading, line, label, "a server name, or *.NAME for one label below",
                              "is no server name");
        if (block->certificate.count == 0 || block->certificate.count != block->private_key.count)
            reading_add_error(reading, line, label, "as many of certificate as of private_key",
                              "lacks one of its keys");
    }
    if (config->certificate_count > 0 && config->certificate.count == 0 && !config->self_signed_certificate)
        reading_add_error(reading, reading_line(reading, "tls_certificate", 0, NULL), "tls_certificate",
                          "certificate = PATH outside of blocks", "other names would have no certificate");
    if (config->client_ca[0] != '\0' && config->client_certificates == 0)
        reading_add_error(reading, reading_line(reading, NULL, 0, "client_ca"), "client_ca",
                          "client_certificates = ask", "clients are not asked for certificates");
}

bool config_has_certificate(const struct config *config) {
    return config->certificate.count > 0 && (access(config->certificate.items[0], F_OK) == 0 || errno != ENOENT);
}

static struct tls_identity identity_of(const char *name, const struct config_strings *certificates,
                                       const struct config_strings *keys) {
    return (struct tls_identity){.name = name,
                                 .certificates = (const char *const *)certificates->items,
                                 .private_keys = (const char *const *)keys->items,
                                 .count = certificates->count};
}

/* The identities are the caller's to free. */
static struct tls_settings settings_of(const struct config *config, struct tls_identity **identities) {
    size_t count = config->certificate_count + 1;
    struct tls_identity *all = memory_new(count, sizeof *all);

    all[0] = identity_of("", &config->certificate, &config->private_key);
    if (!config_has_certificate(config))
        all[0].count = 0;
    for (size_t i = 1; i < count; i++) {
        const struct config_certificate *block = &config->certificates[i - 1];
        all[i] = identity_of(block->name, &block->certificate, &block->private_key);
    }
    *identities = all;
    return (struct tls_settings){
        .identities = all,
        .count = count,
        .own_name = config->server_name,
        .preset = (enum tls_preset)config->tls_preset,
        .ask_client = config->client_certificates != 0,
        .client_ca = config->client_ca,
        .session_lifetime = config->tls_session_lifetime,
    };
}

struct tls_keys *config_tls_keys(const struct config *config, struct buffer *self_signed, struct buffer *error) {
    struct tls_identity *identities;
    struct tls_settings settings = settings_of(config, &identities);

    struct tls_keys *keys = tls_keys_read(&settings, self_signed, error);
    free(identities);
    return keys;
}

struct tls_server *config_tls_server(const struct config *config, struct text self_signed, struct buffer *error) {
    struct tls_identity *identities;
    struct tls_settings settings = settings_of(config, &identities);

    settings.self_signed = self_signed;
    struct tls_server *server = tls_server_new(&settings, error);
    free(identities);
    return server;
}

const struct config_strings *config_certificates_for(const struct config *config, struct text name) {
    size_t count = config->certificate_count + 1;
    const char **names = memory_new(count, sizeof *names);

    names[0] = "";
    for (size_t i = 1; i < count; i++)
        names[i] = config->certificates[i - 1].name;
    size_t found = tls_name_find(names, count, name);
    free(names);
    return found == 0 ? &config->certificate : &config->certificates[found - 1].certificate;
}
