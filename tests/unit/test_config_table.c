/* SPDX-License-Identifier: MIT
 * The table of keys is complete; what is printed from it reads back as the same; etc/parcelpost.conf has every key.
 * Needs the checkout as working directory. */
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define EXAMPLE "etc/parcelpost.conf"

static struct buffer errors;

static struct config *read_string(const char *text) {
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fflush(file) == 0);
    buffer_free(&errors);
    buffer_init(&errors, 1 << 20);
    struct config *config = config_read_stream(file, "FILE", &errors);
    fclose(file);
    return config;
}

static struct config *read_good(const char *text) {
    struct config *config = read_string(text);

    if (config == NULL)
        fail_msg("%s", buffer_string(&errors));
    assert_int_equal(errors.length, 0);
    return config;
}

/* ---- printing ---- */

static char *print(const struct config *config) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_true(config_print(config, out));
    fclose(out);
    return text;
}

static void what_is_printed_reads_back_as_the_same(void **state) {
    static const char *const texts[] = {
        "",
        "server_title = \"a \\\"quoted\\\" \\\\ ${HOME} \\x24{HOME} 'x' # no comment\"\nmaildir = '/m/$x/%u'\n",
        "retry_schedule = {5m, 1h}\nallow = {}\nlocal_domains = {a.example, b.example}\nlog_file_life = weekly\n",
        "listen \"26\" { tls = required auth = optional networks = {10.0.0.0/8} xclient_networks = {\"::1\"} }\n"
        "listen \"465\" { tls = implicit role = submission }\ntls_preset = old\nclient_certificates = ask\nclient_ca = "
        "/a\n"
        "certificate = {/a.rsa, /a.ec}\nprivate_key = {/b.rsa, /b.ec}\nself_signed_certificate = no\n"
        "tls_certificate \"*.example.test\" { certificate = /a private_key = {\"/b c\"} }\n",
        "listen \"[::1]:25\" { mode = 0600 }\nlisten \"unix:/run/x\" { role = sendmail }\ncertificate = c\n"
        "private_key = k\ntransport \"a \\\"b\" { kind = pipe target = \"/bin/x '%u'\" }\nlocal_transport = 'a \"b'\n"
        "dkim \"x.example\" { private_key_file = k }\nroute \"*\" { host = \"[::1]:25\" }\ndnsbl \"z.example\" { }\n",
        "transport \"x\" { kind = pipe target = \"/bin/cat\" }\nroute \"a.example\" { transport = x }\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct config *config = read_good(texts[i]);
        char *first = print(config);
        config_free(config);
        config = read_good(first);
        char *second = print(config);
        assert_string_equal(first, second);
        config_free(config);
        free(first);
        free(second);
    }
}

static void strings_survive_printing(void **state) {
    struct config *config = read_good("server_title = \"a \\\"b\\\" \\\\ \\x24{HOME}\"");

    (void)state;
    char *text = print(config);
    assert_string_equal(config->server_title, "a \"b\" \\ ${HOME}");
    config_free(config);
    config = read_good(text);
    assert_string_equal(config->server_title, "a \"b\" \\ ${HOME}");
    config_free(config);
    free(text);
}

/* ---- the tables ---- */

static void the_table_of_keys_is_complete_and_its_names_unique(void **state) {
    size_t covered = 0;

    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        assert_non_null(key->name);
        assert_non_null(key->standard);
        assert_non_null(key->help);
        assert_int_equal(key->help[strlen(key->help) - 1], '.');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(key->name, config_keys[k].name);
            assert_int_not_equal(key->offset, config_keys[k].offset);
        }
        covered++;
    }
    assert_true(config_keys[0].heading != NULL);
    assert_int_equal(covered, config_key_count);
}

/* Every byte of struct config is a key's, a block's, derived, or padding. */
static void every_field_of_struct_config_has_a_key(void **state) {
    static unsigned char owned[sizeof(struct config)];

    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        enum key_type type = config_keys[i].type;
        size_t size = value_is_list(type)  ? sizeof(struct config_strings)
                      : type == KEY_SWITCH ? sizeof(bool)
                      : type == KEY_ENUM   ? sizeof(int)
                      : type <= KEY_HOST   ? sizeof(char *)
                                           : sizeof(long);
        memset(owned + config_keys[i].offset, 1, size);
    }
    for (size_t i = 0; i < config_block_count; i++) {
        memset(owned + config_blocks[i].items, 1, sizeof(void *));
        memset(owned + config_blocks[i].count, 1, sizeof(size_t));
    }
    memset(owned + offsetof(struct config, file), 1, sizeof(char *));
    memset(owned + offsetof(struct config, retry_seconds), 1, sizeof(long *));
    memset(owned + offsetof(struct config, retry_count), 1, sizeof(size_t));
    memset(owned + offsetof(struct config, dnsbl_domain_count), 1, sizeof(size_t));
    memset(owned + offsetof(struct config, extensions_off_bits), 1, sizeof(uint32_t));
    memset(owned + offsetof(struct config, auth_mechanisms_bits), 1, sizeof(uint32_t));
    for (size_t at = 0; at + 8 <= sizeof owned; at += 8) {
        bool any = false;
        for (size_t k = 0; k < 8; k++)
            any |= owned[at + k] != 0;
        if (!any)
            fail_msg("the field at offset %zu has no key", at);
    }
}

static void the_manual_names_every_key(void **state) {
    char *text = NULL, item[128];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_true(config_print_manual(out));
    fclose(out);
    for (size_t i = 0; i < config_key_count; i++) {
        snprintf(item, sizeof item, ".It Ic %s\n", config_keys[i].name);
        assert_non_null(strstr(text, item));
    }
    for (size_t i = 0; i < config_block_count; i++) {
        snprintf(item, sizeof item, ".It Ic %s Qo Ar ", config_blocks[i].name);
        assert_non_null(strstr(text, item));
    }
    free(text);
}

/* ---- etc/parcelpost.conf ---- */

static char *read_example(void) {
    static char text[65536];
    int fd = open(EXAMPLE, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        skip();
    ssize_t got = read(fd, text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    close(fd);
    return text;
}

/* "KEY = VALUE" or "# KEY = VALUE" in a line of its own. Gives the value, and whether it is commented out. */
static bool find_key(const char *text, const char *name, struct text *value, bool *commented) {
    struct text rest = text_of(text), line;

    while (text_split(&rest, '\n', &line)) {
        *commented = text_starts_nocase(line, TEXT("# "));
        if (*commented)
            line = text_from(line, 2);
        struct text key = text_trim(text_first(line, text_find(line, '=')));
        if (text_equal(key, text_of(name)) && key.length < line.length) {
            *value = text_trim(text_from(line, text_find(line, '=') + 1));
            return true;
        }
    }
    return false;
}

static void the_example_has_every_key_and_shows_its_default(void **state) {
    const char *text = read_example();
    struct text value;
    bool commented = false;

    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        union {
            struct config_strings strings;
            long number;
        } field = {.strings = {NULL, 0}};
        if (!find_key(text, key->name, &value, &commented))
            fail_msg("%s does not have %s", EXAMPLE, key->name);
        if (strstr(text, key->help) == NULL)
            fail_msg("%s does not explain %s", EXAMPLE, key->name);
        if (!commented)
            continue;
        char *shown = NULL;
        size_t size;
        FILE *out = open_memstream(&shown, &size);
        value_take_default(key, &field);
        assert_true(value_print(key, &field, out));
        fclose(out);
        if (!text_equal(value, text_of(shown)))
            fail_msg("%s: the default of %s is %s", EXAMPLE, key->name, shown);
        free(shown);
        value_release(key, &field);
    }
    for (size_t i = 0; i < config_block_count; i++)
        for (size_t k = 0; k < config_blocks[i].key_count; k++)
            assert_non_null(strstr(text, config_blocks[i].keys[k].name));
}

static void the_example_is_read_without_error(void **state) {
    (void)state;
    (void)read_example();
    buffer_clear(&errors);
    struct config *config = config_read(EXAMPLE, NULL, &errors);
    if (config == NULL)
        fail_msg("%s", buffer_string(&errors));
    assert_int_equal(config->standard_mail_port, 2025);
    assert_int_equal(config->listen_count, 4);
    config_free(config);
}

/* Its commented lines are right as well: with every "# KEY = …" and block uncommented it is still read. */
static void the_example_is_read_with_its_comments_taken_away(void **state) {
    struct text rest = text_of(read_example()), line;
    struct buffer text;

    (void)state;
    buffer_init(&text, 1 << 20);
    while (text_split(&rest, '\n', &line)) {
        struct text inner = text_from(line, 2);
        bool code = text_starts_nocase(line, TEXT("# ")) &&
                    ((text_find(inner, '=') < inner.length &&
                      text_find(text_trim(inner), ' ') + 1 == text_find(text_trim(inner), '=')) ||
                     text_ends_nocase(inner, TEXT("\" {")) || text_equal(inner, TEXT("}")));
        if (text_starts_nocase(inner, TEXT("  ")) && !text_starts_nocase(inner, TEXT("    ")))
            code = false; /* the syntax at its head */
        assert_true(buffer_append_text(&text, code ? inner : line) && buffer_append_byte(&text, '\n'));
    }
    struct config *config = read_good(buffer_string(&text));
    assert_int_equal(config->dkim_count, 1);
    assert_int_equal(config->route_count, 2);
    assert_int_equal(config->transport_count, 2);
    assert_int_equal(config->dnsbl_count, 1);
    config_free(config);
    buffer_free(&text);
}

/* ---- commands ---- */

/* Its last words would be left out where it is run. */
static void a_command_of_more_words_than_are_run_is_refused(void **state) {
    static const struct {
        const char *before, *after, *label;
    } rows[] = {
        {"lock_command = \"", "\"", "FILE:1: lock_command"},
        {"unlock_command = \"", "\"", "FILE:1: unlock_command"},
        {"local_filter = \"", "\"", "FILE:1: local_filter"},
        {"oauth_check = \"|", "\"", "FILE:1: oauth_check"},
        {"policy \"a\" { endpoint = \"|", "\" }", "FILE:1: policy \"a\": endpoint"},
        {"transport \"a\" { kind = pipe\n target = \"", "\" }", "FILE:2: transport \"a\": target"},
    };
    char words[400], text[600], wanted[200];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t count = 64; count <= 65; count++) {
            words[0] = '\0';
            for (size_t at = 0; at < count; at++)
                (void)snprintf(words + strlen(words), sizeof words - strlen(words), "x  ");
            (void)snprintf(text, sizeof text, "%s%s%s", rows[i].before, words, rows[i].after);
            (void)snprintf(wanted, sizeof wanted, "%s: has too many words; accepted: a command of at most 64 words\n",
                           rows[i].label);
            struct config *config = read_string(text);
            assert_string_equal(buffer_string(&errors), count == 64 ? "" : wanted);
            config_free(config);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(strings_survive_printing),
        cmocka_unit_test(the_table_of_keys_is_complete_and_its_names_unique),
        cmocka_unit_test(every_field_of_struct_config_has_a_key),
        cmocka_unit_test(the_manual_names_every_key),
        cmocka_unit_test(the_example_has_every_key_and_shows_its_default),
        cmocka_unit_test(the_example_is_read_without_error),
        cmocka_unit_test(the_example_is_read_with_its_comments_taken_away),
        cmocka_unit_test(a_command_of_more_words_than_are_run_is_refused),
    };
    buffer_init(&errors, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&errors);
    return failed;
}
