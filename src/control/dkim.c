/* SPDX-License-Identifier: MIT
 * `parcelpost dkim …`: makes signing keys and prints the DNS records to publish (RFC 6376 3.6.1, RFC 8463). Runs under
 * the caller's privileges; a key file is never overwritten. */
#include "dkim/dkim.h"
#include "base/file.h"
#include "control/control.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAXIMUM 16384
#define RECORD_MAXIMUM 4096
#define STRING_MAXIMUM 250 /* RFC 1035 3.3.14: one string of a TXT record has at most 255 bytes */

/* As a zone file has it: strings in quotes, long ones in pieces. */
static void print_record(const char *selector, const char *domain, struct text record) {
    printf("%s._domainkey.%s. IN TXT (", selector, domain);
    while (record.length > 0) {
        struct text piece = text_first(record, STRING_MAXIMUM);
        printf(" \"%.*s\"", TEXT_ARGS(piece));
        record = text_from(record, piece.length);
    }
    puts(" )");
}

/* For which domains and selectors the configuration uses this key file; the first local domain when it names none. */
static void print_records(const struct config *config, const char *file, struct text record) {
    bool used = false;
    for (size_t i = 0; i < config->dkim_count; i++) {
        if (strcmp(config->dkims[i].private_key_file, file) == 0) {
            print_record(config->dkims[i].selector, config->dkims[i].domain, record);
            used = true;
        }
    }
    bool is_default = strcmp(config->dkim_private_key_file, file) == 0;
    for (size_t i = 0; (is_default || !used) && i < config->local_domains.count; i++) {
        if (!config_domain_is_pattern(config->local_domains.items[i])) {
            print_record(config->dkim_selector, config->local_domains.items[i], record);
            used = true;
        }
    }
    if (!used) {
        print_record(config->dkim_selector, config->server_name, record);
    }
}

static bool write_key(const char *file, const struct buffer *pem) {
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        control_fail(0, "%s: %s", file, errno == EEXIST ? "exists; a key is never overwritten" : strerror(errno));
        return false;
    }
    bool written = file_write_all(fd, pem->data, pem->length) && fsync(fd) == 0;
    if (close(fd) != 0 || !written) {
        control_fail(0, "%s cannot be written: %s", file, strerror(errno));
        unlink(file);
        return false;
    }
    return true;
}

int control_dkim_make(struct control *control, int count, char **arguments) {
    const char *file = arguments[0], *kind = count > 1 ? arguments[1] : "rsa";
    struct buffer pem, record, error;
    if (strcmp(kind, "rsa") != 0 && strcmp(kind, "ed25519") != 0) {
        return control_fail(EXIT_STATUS_USAGE, "a key is of the kind rsa or ed25519, not \"%s\"", kind);
    }
    buffer_init(&pem, PEM_MAXIMUM);
    buffer_init(&record, RECORD_MAXIMUM);
    buffer_init(&error, 4096);
    int status = EXIT_STATUS_OK;
    if (!dkim_key_generate(kind, &pem, &record, &error)) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", buffer_string(&error));
    } else if (!write_key(file, &pem)) {
        status = EXIT_STATUS_CANT_CREATE;
    } else {
        printf("; The key is in %s. Publish this, then name the file in the configuration (dkim_private_key_file, or a "
               "dkim block) and send the server SIGHUP.\n",
               file);
        print_records(control->config, file, buffer_text(&record));
    }
    explicit_bzero(pem.data, pem.capacity);
    buffer_free(&pem);
    buffer_free(&record);
    buffer_free(&error);
    return status;
}

static int show_key(const struct config *config, const char *file) {
    struct buffer record, error;
    int status = EXIT_STATUS_OK;
    buffer_init(&record, RECORD_MAXIMUM);
    buffer_init(&error, 4096);
    if (dkim_key_record(file, &record, &error)) {
        print_records(config, file, buffer_text(&record));
    } else {
        status = control_fail(EXIT_STATUS_ERROR, "%s", buffer_string(&error));
    }
    buffer_free(&record);
    buffer_free(&error);
    return status;
}

int control_dkim_show(struct control *control, int count, char **arguments) {
    const struct config *config = control->config;
    if (count > 0) {
        return show_key(config, arguments[0]);
    }
    int status = EXIT_STATUS_OK;
    bool any = config->dkim_private_key_file[0] != '\0';
    if (any) {
        status = show_key(config, config->dkim_private_key_file);
    }
    for (size_t i = 0; i < config->dkim_count; i++) {
        int one = show_key(config, config->dkims[i].private_key_file);
        status = one != EXIT_STATUS_OK ? one : status;
        any = true;
    }
    return any ? status : control_fail(EXIT_STATUS_ERROR, "no DKIM key is configured. Try: parcelpost dkim make FILE");
}
