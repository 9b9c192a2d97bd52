/* SPDX-License-Identifier: MIT
 * Every parameter of RubyMTA has a key here, with its default where it had one; and the forms a listen address takes.
 */
#include "base/buffer.h"
#include "base/network.h"
#include "config/config.h"
#include "config/keys.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* NULL: the key is the old name in snake_case. standard NULL: not compared. */
static const struct {
    const char *old, *key, *standard;
} parameters[] = {
    {"ServerTitle", NULL, NULL},
    {"ServerName", NULL, NULL},
    {"PostMasterName", "postmaster", NULL},
    {"StandardMailPort", NULL, "25"},
    {"InternalSubmitPort", NULL, "467"},
    {"SubmissionPort", NULL, "587"},
    {"LocalLMTPPort", "lmtp", NULL},
    {"RemoteSMTPPort", "remote_smtp_port", "25"},
    {"ListeningPorts", "listen", NULL},
    {"UserName", NULL, NULL},
    {"GroupName", NULL, NULL},
    {"LockFilePath", NULL, NULL},
    {"PidPath", NULL, NULL},
    {"PrivateKey", NULL, ""},
    {"Certificate", NULL, ""},
    {"DKIMPrivateKeyFile", "dkim_private_key_file", ""},
    {"S3DBPath", "database", NULL},
    {"LogPathAndFile", NULL, NULL},
    {"LogFileLife", NULL, "none"},
    {"LogLevel", NULL, "info"},
    {"ReceiverTimeout", NULL, "0"},
    {"QueueRunnerTimeout", NULL, "0"},
    {"ProhibitedSeconds", NULL, "3600"},
    {"MaxFailedMsgsPerPeriod", NULL, "3"},
    {"EhloDomainRequired", NULL, NULL},
    {"EhloDomainVerifies", NULL, NULL},
    {"ShowIncomingData", NULL, "no"},
    {"DumpMailIntoLog", NULL, "no"},
    {"DisplayReceiverDialog", NULL, "no"},
    {"LogReceiverConversation", NULL, "no"},
    {"DisplayQueueRunnerDialog", NULL, "no"},
    {"LogQueueRunnerConversation", NULL, "no"},
    {"MessageIdBase", NULL, "62"},
    {"MailQueue", "queue", NULL},
    {"SpamAssassinInstalled", "local_filter", ""},
    {"RetryInterval", "retry_schedule", "5m,10m,20m,40m,80m,160m,4h"},
};

static void snake_case(const char *name, char *out) {
    for (const char *c = name; *c != '\0'; c++) {
        if (isupper((unsigned char)*c) && c != name)
            *out++ = '_';
        *out++ = (char)tolower((unsigned char)*c);
    }
    *out = '\0';
}

static void every_parameter_of_rubymta_has_its_key(void **state) {
    char name[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(parameters); i++) {
        snake_case(parameters[i].old, name);
        const char *wanted = parameters[i].key != NULL ? parameters[i].key : name;
        const struct config_key *key = config_key_find(config_keys, config_key_count, wanted);
        if (key == NULL && config_block_find(wanted) == NULL)
            fail_msg("%s: there is no key %s", parameters[i].old, wanted);
        if (parameters[i].standard != NULL && strcmp(key->standard, parameters[i].standard) != 0)
            fail_msg("%s: the default of %s is %s", parameters[i].old, wanted, key->standard);
    }
}

static const struct {
    const char *written;
    const char *addresses[2]; /* "ip port", a path, or NULL */
} forms[] = {
    {"2525", {"0.0.0.0 2525", ":: 2525"}},
    {"192.0.2.1:2525", {"192.0.2.1 2525", NULL}},
    {"2001:db8::1/2525", {"2001:db8::1 2525", NULL}},
    {"[2001:db8::1]:2525", {"2001:db8::1 2525", NULL}},
    {"::1/25", {"::1 25", NULL}},
    {"/run/x.sock", {"/run/x.sock", NULL}},
    {"unix:/run/x.sock", {"/run/x.sock", NULL}},
    {"999.9.9.9:99999", {NULL, NULL}},
    {"192.0.2.1:99999", {NULL, NULL}},
    {"192.0.2.1", {NULL, NULL}},
    {"2001:db8::1", {NULL, NULL}},
    {"0", {NULL, NULL}},
    {"25x", {NULL, NULL}},
};

static struct config *read_listen(const char *address) {
    FILE *file = tmpfile();
    struct buffer errors;
    assert_non_null(file);
    fprintf(file, "listen \"%s\" { role = submission }\n", address);
    fflush(file);
    buffer_init(&errors, 65536);
    struct config *config = config_read_stream(file, "FILE", &errors);
    fclose(file);
    buffer_free(&errors);
    return config;
}

static void listening_ports_in_every_form(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct config *config = read_listen(forms[i].written);
        print_message("%s\n", forms[i].written);
        assert_int_equal(config != NULL, forms[i].addresses[0] != NULL);
        if (config == NULL)
            continue;
        const struct config_listen *listen = &config->listens[0];
        assert_int_equal(listen->role, ROLE_SUBMISSION); /* the role stays, whatever form the address has */
        assert_int_equal(listen->parsed_count, forms[i].addresses[1] != NULL ? 2 : 1);
        for (size_t k = 0; k < listen->parsed_count; k++) {
            char ip[NETWORK_IP_SIZE], shown[128];
            if (listen->parsed[k].storage.ss_family == AF_UNIX) {
                assert_string_equal(listen->address, forms[i].addresses[k]);
                continue;
            }
            network_ip_text(&listen->parsed[k], ip);
            snprintf(shown, sizeof shown, "%s %u", ip, network_port(&listen->parsed[k]));
            assert_string_equal(shown, forms[i].addresses[k]);
        }
        config_free(config);
    }
}

static const struct {
    const char *sentence, *keys;
    int tls; /* -1: refused */
} logins[] = {
    {"a route without a login", "", ROUTE_TLS_OPPORTUNISTIC},
    {"a route that wants TLS", "tls = required", ROUTE_TLS_REQUIRED},
    {"a login wants TLS by itself", "user = us\npassword_file = \"/p\"", ROUTE_TLS_REQUIRED},
    {"a login may want a verified server", "user = us\npassword_file = \"/p\"\ntls = verified", ROUTE_TLS_VERIFIED},
    {"a login without TLS is refused", "user = us\npassword_file = \"/p\"\ntls = opportunistic", -1},
    {"a user without a password", "user = us", -1},
    {"a password without a user", "password_file = \"/p\"", -1},
};

static void a_route_with_a_login_has_tls(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(logins); i++) {
        FILE *file = tmpfile();
        struct buffer errors;
        buffer_init(&errors, 65536);
        fprintf(file, "route \"*\" {\nhost = \"smart.example:587\"\n%s\n}\n", logins[i].keys);
        fflush(file);
        struct config *config = config_read_stream(file, "FILE", &errors);
        print_message("%s %s\n", logins[i].sentence, buffer_string(&errors));
        assert_int_equal(config != NULL ? config->routes[0].tls : -1, logins[i].tls);
        config_free(config);
        buffer_free(&errors);
        fclose(file);
    }
}

static struct config *config_of(const char *text) {
    FILE *file = tmpfile();
    struct buffer errors;
    buffer_init(&errors, 65536);
    fputs(text, file);
    fflush(file);
    struct config *config = config_read_stream(file, "FILE", &errors);
    print_message("%s\n", buffer_string(&errors));
    buffer_free(&errors);
    fclose(file);
    return config;
}

static void the_closest_route_counts(void **state) {
    static const struct {
        const char *domain, *route; /* NULL: none */
    } rows[] = {
        {"example.com", "example.com"},
        {"EXAMPLE.COM", "example.com"},
        {"a.example.com", ".example.com"},
        {"b.a.example.com", ".a.example.com"},
        {"c.b.a.Example.com", ".a.example.com"},
        {"exact.b.a.example.com", "exact.b.a.example.com"},
        {"badexample.com", "*"},
        {"com", "*"},
        {"[192.0.2.1]", "*"},
    };
    struct config *config = config_of(
        "route \"*\" { host = \"x:25\" }\nroute \".Example.com\" { host = \"x:25\" }\n"
        "route \"example.com\" { host = \"x:25\" source_addresses = {192.0.2.1, \"2001:db8::1\"} }\n"
        "route \".a.example.com\" { host = \"x:25\" }\nroute \"exact.b.a.example.com\" { host = \"x:25\" }\n");
    (void)state;
    assert_non_null(config);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct config_route *found = config_route_find(config, text_of(rows[i].domain));
        print_message("%s\n", rows[i].domain);
        assert_non_null(found);
        assert_string_equal(found->domain, rows[i].route);
    }
    assert_int_equal(config_route_find(config, TEXT("example.com"))->source_addresses.count, 2);
    config_free(config);
    config = config_of("route \".example.com\" { host = \"x:25\" }\n");
    assert_null(config_route_find(config, TEXT("example.com")));
    assert_null(config_route_find(config, TEXT("")));
    config_free(config);
}

static void a_domain_has_its_own_pace_and_the_rest_from_outside_its_block(void **state) {
    struct config *config =
        config_of("retry_schedule = {60, 120}\nqueue_lifetime = 1d\ndestination_limit = 7\ndestination_rate = 30\n"
                  "route \"slow.example\" {\nretry_schedule = {1h}\nrate = 0\ndelay_warning = 8h\n}\nroute \"*\" "
                  "{\nlimit = 2\n}\n");
    (void)state;
    assert_non_null(config);
    struct config_pace slow = config_pace_for(config, TEXT("Slow.Example"), true);
    assert_int_equal(slow.retry_count, 1);
    assert_int_equal(slow.retry_seconds[0], 3600);
    assert_int_equal(slow.queue_lifetime, 86400);
    assert_int_equal(slow.limit, 7);
    assert_int_equal(slow.rate, 0);
    assert_int_equal(slow.delay_warning, 28800);
    struct config_pace other = config_pace_for(config, TEXT("other.example"), true);
    assert_int_equal(other.retry_count, 2);
    assert_int_equal(other.limit, 2);
    assert_int_equal(other.rate, 30);
    assert_int_equal(other.delay_warning, 14400);
    struct config_pace local = config_pace_for(config, TEXT("other.example"), false); /* "*" is for remote domains */
    assert_int_equal(local.limit, 7);
    assert_int_equal(local.rate, 0);
    config_free(config);
}

/* Nobody else's mail is carried to the signer. */
static void mail_is_signed_for_domains_that_have_a_key(void **state) {
    static const char block[] = "dkim \"listed.example\" {\nselector = \"s\"\nprivate_key_file = \"/k\"\n}\n";
    static const char shared[] =
        "local_domains = {\"own.example\", \".below.example\"}\ndkim_private_key_file = \"/k\"\n";
    const struct {
        const char *text, *domain;
        bool is_signed;
    } cases[] = {
        {"", "own.example", false},        {block, "Listed.Example", true},    {block, "own.example", false},
        {shared, "OWN.example", true},     {shared, "a.below.example", false}, /* a pattern has no key of its own */
        {shared, "listed.example", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config *config = config_of(cases[i].text);
        assert_non_null(config);
        if (config_domain_is_signed(config, text_of(cases[i].domain)) != cases[i].is_signed)
            fail_msg("%s", cases[i].domain);
        config_free(config);
    }
}

/* One that stands in itself is unknown there, however deep. */
static void a_block_in_itself_is_refused(void **state) {
    (void)state;
    assert_null(config_of("route \"a.test\" {\nroute \"b.test\" {\nhost = \"x\"\n}\n}\n"));
    assert_null(
        config_of("route \"a.test\" {\nroute \"b.test\" {\nroute \"c.test\" {\nroute \"d.test\" {\n}\n}\n}\n}\n"));
    assert_null(config_of("one \"a\" {\ntwo \"b\" {\none \"c\" {\ntwo \"d\" {\nx = 1\n}\n}\n}\n}\n"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_of_rubymta_has_its_key),
        cmocka_unit_test(listening_ports_in_every_form),
        cmocka_unit_test(a_route_with_a_login_has_tls),
        cmocka_unit_test(the_closest_route_counts),
        cmocka_unit_test(a_domain_has_its_own_pace_and_the_rest_from_outside_its_block),
        cmocka_unit_test(mail_is_signed_for_domains_that_have_a_key),
        cmocka_unit_test(a_block_in_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
