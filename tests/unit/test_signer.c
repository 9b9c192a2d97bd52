/* SPDX-License-Identifier: MIT
 * The signer: which keys sign for which domain, and the whole process in its sandbox, asked over a channel. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "dkim/dkim.h"
#include "ipc/ask.h"
#include "mail/header.h"
#include "signer/keys.h"
#include "signer/signer.h"
#include "tls/keys.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service_child.h"

/* Two randoms, and a point on P-256. */
#define HANDSHAKE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\x03\x01\x17\x04\x04xyz"

struct fixture {
    char directory[32], rsa[64], ed25519[64];
    struct buffer rsa_record, ed25519_record;
    struct config config;
};

static void make_key(const char *path, const char *kind, struct buffer *record) {
    struct buffer pem, error;
    buffer_init(&pem, 16384);
    buffer_init(&error, 1024);
    buffer_init(record, 4096);
    assert_true(dkim_key_generate(kind, &pem, record, &error));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file_write_all(fd, pem.data, pem.length));
    close(fd);
    buffer_free(&pem);
    buffer_free(&error);
}

static int set_up(void **state) {
    static struct fixture f;
    static char *domains[] = {(char *)"example.test", (char *)"second.test"};
    static struct config_dkim rows[2];
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_signer.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.rsa, sizeof f.rsa, "%s/rsa.pem", f.directory);
    (void)snprintf(f.ed25519, sizeof f.ed25519, "%s/ed25519.pem", f.directory);
    make_key(f.rsa, "rsa", &f.rsa_record);
    make_key(f.ed25519, "ed25519", &f.ed25519_record);
    rows[0] = (struct config_dkim){(char *)"Example.test", (char *)"ed", f.ed25519};
    rows[1] = (struct config_dkim){(char *)"other.test", (char *)"ed", f.ed25519};
    f.config = (struct config){.dkims = rows,
                               .dkim_count = 2,
                               .dkim_private_key_file = f.rsa,
                               .dkim_selector = (char *)"rsa",
                               .local_domains = {domains, 2}};
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    (void)unlink(f->rsa);
    (void)unlink(f->ed25519);
    buffer_free(&f->rsa_record);
    buffer_free(&f->ed25519_record);
    return rmdir(f->directory);
}

struct domain_row {
    const char *sentence, *domain, *found;
};
static const struct domain_row domain_rows[] = {
    {"a configured domain is signed for", "other.test", "other.test"},
    {"a local domain is signed for with the general key", "second.test", "second.test"},
    {"case does not matter", "EXAMPLE.Test", "EXAMPLE.Test"},
    {"a subdomain is signed for by its parent", "a.b.example.test", "example.test"},
    {"a stranger's domain is not signed for", "gmail.test", ""},
    {"a domain that only ends alike is a stranger's", "badexample.test", ""},
    {"the top of the tree is nobody's", "test", ""},
    {"nothing is nobody's", "", ""},
};

static void keys_are_found_by_domain(void **state) {
    struct fixture *f = *state;
    struct keys keys;
    struct buffer error;
    buffer_init(&error, 1024);
    assert_true(keys_read(&keys, &f->config, &error));
    assert_int_equal(keys.count, 4); /* two blocks, and the general key for two local domains */
    for (size_t i = 0; i < sizeof domain_rows / sizeof *domain_rows; i++) {
        const struct domain_row *row = &domain_rows[i];
        print_message("  %s\n", row->sentence);
        assert_true(text_equal(keys_domain(&keys, text_of(row->domain)), text_of(row->found)));
    }
    keys_free(&keys);
    buffer_free(&error);
}

static void a_missing_key_is_a_sentence(void **state) {
    struct fixture *f = *state;
    struct config config = f->config;
    struct keys keys;
    struct buffer error;
    buffer_init(&error, 1024);
    config.dkim_private_key_file = (char *)"/nonexistent/dkim.pem";
    assert_false(keys_read(&keys, &config, &error));
    assert_non_null(strstr(buffer_string(&error), "/nonexistent/dkim.pem"));
    assert_non_null(strstr(buffer_string(&error), "No such file"));
    keys_free(&keys);
    buffer_free(&error);
}

static enum dkim_dns look_up(void *context, const char *name, struct buffer *record) {
    const struct fixture *f = context;
    const struct buffer *found = strncmp(name, "rsa._domainkey.", 15) == 0  ? &f->rsa_record
                                 : strncmp(name, "ed._domainkey.", 14) == 0 ? &f->ed25519_record
                                                                            : NULL;
    return found != NULL && buffer_append(record, found->data, found->length) ? DKIM_DNS_FOUND : DKIM_DNS_NONE;
}

/* How many signatures pass when the fields stand before the message. */
static unsigned count_passes(struct fixture *f, const struct buffer *fields, const char *added, struct text message) {
    struct buffer headers, results;
    unsigned passes = 0;
    size_t section = header_section_length(message);
    buffer_init(&headers, 1 << 20);
    buffer_init(&results, 8192);
    assert_true(buffer_append_text(&headers, buffer_text(fields)) && buffer_append_string(&headers, added) &&
                buffer_append_text(&headers, text_first(message, section)));
    struct dkim_source source = {.headers = buffer_text(&headers), .fd = -1, .body = text_from(message, section + 2)};
    assert_true(dkim_verify_message(&source, look_up, f, &results));
    for (const char *at = buffer_string(&results); (at = strstr(at, "dkim=pass")) != NULL; at++) {
        passes++;
    }
    buffer_free(&headers);
    buffer_free(&results);
    return passes;
}

static const char added_text[] = "Received: by mail.example.test; now\r\nDate: Sun, 22 Nov 2026 01:02:03 +0000\r\n";

static char *make_message(size_t body_length, size_t *length) {
    static const char start[] = "From: coco@example.test\r\nSubject: x\r\n\r\n";
    body_length -= body_length % 64;
    *length = sizeof start - 1 + body_length;
    char *message = memory_new(*length + 1, 1);
    memcpy(message, start, sizeof start - 1);
    for (size_t i = 0; i < body_length; i++) {
        message[sizeof start - 1 + i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
    }
    return message;
}

struct sign_row {
    const char *sentence, *domain;
    size_t body;
    unsigned signatures;
};
static const struct sign_row sign_rows[] = {
    {"each key of the domain signs once", "example.test", 640, 2},
    {"a subdomain's mail is signed by the parent's keys", "sub.example.test", 640, 2},
    {"a domain with one key gets one signature", "second.test", 640, 1},
    {"an empty body is signed", "second.test", 0, 1},
    {"a stranger's domain gets none", "gmail.test", 640, 0},
    {"a large message comes as a descriptor", "example.test", 3000000, 2},
};

static void sign_row(struct fixture *f, const struct service_child *child, const struct sign_row *row) {
    struct buffer fields, cargo;
    size_t length;
    int fd = -1;
    char *message = make_message(row->body, &length);
    buffer_init(&fields, 65536);
    buffer_init(&cargo, 1 << 23);
    assert_true(buffer_append(&cargo, message, length) && buffer_append_string(&cargo, added_text));
    struct sign_mail mail = {.place = CARGO_INLINE,
                             .message_length = (int64_t)length,
                             .headers_length = sizeof added_text - 1,
                             .domain = text_of(row->domain),
                             .cargo = buffer_text(&cargo)};
    if (cargo.length > CARGO_INLINE_MAXIMUM) {
        fd = file_memory("cargo");
        assert_true(file_write_all(fd, cargo.data, cargo.length) && file_seal(fd));
        mail.place = CARGO_MEMFD;
        mail.cargo = TEXT_NONE;
    }
    assert_true(ask_signature(child->channel, &mail, fd, &fields));
    assert_int_equal(header_count(buffer_text(&fields), "DKIM-Signature"), row->signatures);
    assert_int_equal(count_passes(f, &fields, added_text, (struct text){message, length}), row->signatures);
    if (fd >= 0) {
        close(fd);
    }
    buffer_free(&fields);
    buffer_free(&cargo);
    free(message);
}

static void the_process_signs_inside_its_sandbox(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    service_child_start(
        &child, signer_main,
        (struct process_start){.config = &f->config, .keys = -1, .chroot = SERVICE_CHILD_CHROOT(f->directory)});
    for (size_t i = 0; i < sizeof sign_rows / sizeof *sign_rows; i++) {
        print_message("  %s\n", sign_rows[i].sentence);
        sign_row(f, &child, &sign_rows[i]);
    }
    assert_int_equal(service_child_end(&child), 0);
}

static void a_message_without_from_goes_unsigned(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    struct buffer fields;
    const struct sign_mail mail = {
        .message_length = 18, .domain = TEXT("example.test"), .cargo = TEXT("Subject: x\r\n\r\nbody")};
    buffer_init(&fields, 65536);
    service_child_start(&child, signer_main, (struct process_start){.config = &f->config, .keys = -1});
    assert_true(ask_signature(child.channel, &mail, -1, &fields));
    assert_int_equal(fields.length, 0);
    assert_int_equal(service_child_end(&child), 0);
    buffer_free(&fields);
}

static void an_asker_who_lies_about_lengths_is_closed(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    struct buffer fields;
    struct sign_mail mail = {
        .message_length = 1000, .domain = TEXT("example.test"), .cargo = TEXT("From: a@example.test\r\n\r\n")};
    buffer_init(&fields, 65536);
    service_child_start(&child, signer_main, (struct process_start){.config = &f->config, .keys = -1});
    assert_false(ask_signature(child.channel, &mail, -1, &fields));
    mail.message_length = (int64_t)mail.cargo.length;
    assert_false(ask_signature(child.channel, &mail, -1, &fields)); /* nobody listens to this channel any more */
    assert_int_equal(service_child_end(&child), 0);
    buffer_free(&fields);
}

/* ---- handshakes ---- */

/* The keys of a server with a self-signed certificate, in a file as the listener has it. */
static int store_keys(struct tls_settings *settings, struct buffer *self_signed, struct buffer *error) {
    static const struct tls_identity identity = {.name = ""};
    *settings =
        (struct tls_settings){.identities = &identity, .count = 1, .own_name = "mail.example.test", .client_ca = ""};
    struct tls_keys *keys = tls_keys_read(settings, self_signed, error);
    int fd = file_memory("keys");
    assert_non_null(keys);
    assert_true(tls_keys_store(keys, fd));
    assert_true(file_seal(fd));
    tls_keys_free(keys);
    settings->self_signed = buffer_text(self_signed);
    return fd;
}

static void handshakes_are_signed_by_the_process_inside_its_sandbox(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    struct tls_settings settings;
    struct buffer self_signed, error;
    buffer_init(&self_signed, 4096);
    buffer_init(&error, 4096);
    int fd = store_keys(&settings, &self_signed, &error);
    service_child_start(
        &child, signer_main,
        (struct process_start){.config = &f->config, .keys = fd, .chroot = SERVICE_CHILD_CHROOT(f->directory)});
    tls_set_signer(ask_tls_signature, child.channel);
    struct tls_server *server = tls_server_new(&settings, &error); /* shakes hands with itself */
    if (server == NULL) {
        fail_msg("%s", buffer_string(&error));
    }
    tls_server_free(server);
    assert_int_equal(service_child_end(&child), 0);
    assert_null(tls_server_new(&settings, &error));
    close(fd);
    buffer_free(&self_signed);
    buffer_free(&error);
}

static void who_wants_anything_else_signed_is_closed(void **state) {
    static const struct {
        const char *sentence;
        uint32_t key, scheme;
        struct text content;
    } rows[] = {
        {"a hash", 0, 0x0403, TEXT("0123456789abcdef0123456789abcdef")},
        {"a header section", 0, 0x0403, TEXT("from:a@example.test\r\ndkim-signature:v=1; d=example.test; b=")},
        {"nothing", 0, 0x0403, TEXT("")},
        {"a DKIM key, by its number", 1, 0x0401, TEXT(HANDSHAKE)},
        {"a scheme that is not the key's", 0, 0x0804, TEXT(HANDSHAKE)},
    };
    struct fixture *f = *state;
    struct tls_settings settings;
    struct buffer self_signed, error, signature;
    buffer_init(&self_signed, 4096);
    buffer_init(&error, 4096);
    buffer_init(&signature, TLS_SIGNATURE_MAXIMUM);
    int fd = store_keys(&settings, &self_signed, &error);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct service_child child;
        print_message("  %s\n", rows[i].sentence);
        service_child_start(&child, signer_main, (struct process_start){.config = &f->config, .keys = fd});
        assert_true(ask_tls_signature(child.channel, 0, 0x0403, TEXT(HANDSHAKE), &signature));
        buffer_clear(&signature);
        assert_false(ask_tls_signature(child.channel, rows[i].key, rows[i].scheme, rows[i].content, &signature));
        assert_false(ask_tls_signature(child.channel, 0, 0x0403, TEXT(HANDSHAKE), &signature)); /* nobody listens */
        assert_int_equal(service_child_end(&child), 0);
    }
    close(fd);
    buffer_free(&self_signed);
    buffer_free(&error);
    buffer_free(&signature);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_domain),
        cmocka_unit_test(a_missing_key_is_a_sentence),
        cmocka_unit_test(the_process_signs_inside_its_sandbox),
        cmocka_unit_test(a_message_without_from_goes_unsigned),
        cmocka_unit_test(an_asker_who_lies_about_lengths_is_closed),
        cmocka_unit_test(handshakes_are_signed_by_the_process_inside_its_sandbox),
        cmocka_unit_test(who_wants_anything_else_signed_is_closed),
    };
    log_start(2, "test_signer", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
