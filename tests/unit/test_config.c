/* SPDX-License-Identifier: MIT
 * Reading the configuration: defaults, every kind of value, what is wrong and where it is. Needs the checkout as
 * working directory. */
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

/* ---- defaults ---- */

static void an_empty_file_gives_the_defaults(void **state) {
    struct config *config = read_good("");

    (void)state;
    assert_string_equal(config->file, "FILE");
    assert_string_equal(config->server_title, "Parcelpost");
    assert_true(config->server_name[0] != '\0');
    assert_int_equal(config->local_domains.count, 1);
    assert_non_null(strstr(config->postmaster, "postmaster@"));
    assert_int_equal(config->standard_mail_port, 25);
    assert_int_equal(config->message_maximum, 52428800);
    assert_int_equal(config->journal_segment_size, 16777216);
    assert_int_equal(config->queue_lifetime, 432000);
    assert_int_equal(config->mail_id_base, 62);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->log_file_life, LOG_LIFE_NONE);
    assert_int_equal(config->runner, RUNNER_RESIDENT);
    assert_int_equal(config->retry_count, 7);
    assert_int_equal(config->retry_seconds[0], 300);
    assert_int_equal(config->retry_seconds[6], 14400);
    assert_int_equal(config->trusted_networks.count, 2);
    assert_int_equal(config->allow_networks.count, 0);
    assert_true(config->ehlo_domain_required && config->outbound_tls);
    assert_string_equal(config->local_transport, "maildir");
    assert_string_equal(config->maildir, "/var/lib/parcelpost/mail/%d/%u/Maildir");
    assert_string_equal(config->maildir_user, "parcelpost");
    config_free(config);
}

static void without_blocks_the_three_ports_are_used_on_all_addresses(void **state) {
    static const enum listen_role roles[] = {ROLE_MX, ROLE_INTERNAL, ROLE_SUBMISSION};
    static const unsigned ports[] = {25, 467, 587};
    struct config *config = read_good("listen \"/run/x\" { role = sendmail }");

    (void)state;
    assert_int_equal(config->listen_count, 4);
    for (int i = 0; i < 3; i++) {
        const struct config_listen *listen = &config->listens[i + 1];
        assert_int_equal(listen->role, roles[i]);
        assert_int_equal(listen->parsed_count, 2);
        assert_int_equal(listen->parsed[0].storage.ss_family, AF_INET);
        assert_int_equal(listen->parsed[1].storage.ss_family, AF_INET6);
        assert_int_equal(network_port(&listen->parsed[0]), ports[i]);
        assert_int_equal(network_port(&listen->parsed[1]), ports[i]);
    }
    config_free(config);
    config = read_good("internal_submit_port = 0");
    assert_int_equal(config->listen_count, 2);
    config_free(config);
}

static void a_listener_without_role_takes_it_from_its_port(void **state) {
    struct config *config = read_good("submission_port = 2587\n"
                                      "listen \"127.0.0.1:467\" { }\nlisten \"[::1]:2587\" { }\n"
                                      "listen \"26\" { }\nlisten \"127.0.0.1:2587\" { role = internal }\n");

    (void)state;
    assert_int_equal(config->listen_count, 4);
    assert_int_equal(config->listens[0].role, ROLE_INTERNAL);
    assert_int_equal(config->listens[1].role, ROLE_SUBMISSION);
    assert_int_equal(config->listens[2].role, ROLE_MX);
    assert_int_equal(config->listens[3].role, ROLE_INTERNAL);
    assert_string_equal(config_role_name(config->listens[3].role), "internal");
    config_free(config);
}

/* ---- values ---- */

static void every_kind_of_value_is_understood(void **state) {
    struct config *config = read_good("# comment with \"quotes\" and { braces\n"
                                      "server_name = mail.example.test // another\n"
                                      "/* and\n one more */ local_domains = {Example.TEST, 'b.example'}\n"
                                      "message_maximum = 10M\njournal_max_message = 64k\nqueue_lifetime = 2d\n"
                                      "retry_schedule = {60, 5m, 1h}\nlog_level = DEBUG\nmessage_id_base = 36\n"
                                      "dkim_verify = off\nallow = {10.0.0.0/8, \"2001:db8::/32\"}\n"
                                      "dns_servers = {127.0.0.1, \"127.0.0.1:5353\", \"[::1]:53\"}\n"
                                      "lmtp = \"localhost:24\"\nlog_path_and_file = \"-\"\nlocal_transport = box\n"
                                      "transport \"box\" { kind = maildir target = \"/m/%u\" user = \"mail\" }\n"
                                      "listen \"/run/s\" { role = sendmail mode = 0600 }\n"
                                      "dkim \"Example.test\" { selector = s1 private_key_file = /k }\n"
                                      "route \"*\" { host = \"smart.example:25\" lmtp = yes }\n"
                                      "dnsbl \"bl.example\" { allow = yes }\n"
                                      "dnsbl \"good\" { zone = wl.example weight = -3 }\n");

    (void)state;
    assert_string_equal(config->server_name, "mail.example.test");
    assert_int_equal(config->local_domains.count, 2);
    assert_string_equal(config->local_domains.items[0], "example.test");
    assert_int_equal(config->message_maximum, 10 * 1024 * 1024);
    assert_int_equal(config->journal_max_message, 65536);
    assert_int_equal(config->queue_lifetime, 172800);
    assert_int_equal(config->retry_count, 3);
    assert_int_equal(config->retry_seconds[1], 300);
    assert_int_equal(config->retry_seconds[2], 3600);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->mail_id_base, 36);
    assert_false(config->dkim_verify);
    assert_int_equal(config->allow_networks.count, 2);
    assert_int_equal(config->dns_servers.count, 3);
    assert_string_equal(config->lmtp, "localhost:24");
    assert_string_equal(config->log_path_and_file, "-");
    assert_string_equal(config->transports[0].target, "/m/%u");
    assert_int_equal(config->listens[0].mode, 0600);
    assert_string_equal(config->dkims[0].domain, "example.test");
    assert_string_equal(config->dkims[0].selector, "s1");
    assert_true(config->routes[0].lmtp && config->dnsbls[0].allow);
    assert_string_equal(config->dnsbls[0].zone, "bl.example");
    assert_string_equal(config->dnsbls[1].zone, "wl.example");
    assert_int_equal(config->dnsbls[1].weight, -3);
    config_free(config);
}

static void modes_of_ports_follow_from_their_role(void **state) {
    static const struct {
        const char *block;
        enum listen_tls tls;
        enum listen_auth auth;
    } rows[] = {
        {"listen \"25\" { }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_FORBIDDEN},
        {"listen \"467\" { }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_OPTIONAL},
        {"listen \"467\" { tls = forbidden }", LISTEN_TLS_FORBIDDEN, LISTEN_AUTH_FORBIDDEN},
        {"listen \"587\" { }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_REQUIRED},
        {"listen \"/s\" { role = sendmail }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_FORBIDDEN},
        {"listen \"24\" { role = lmtp }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_FORBIDDEN},
        {"listen \"24\" { role = lmtp tls = required auth = required }", LISTEN_TLS_REQUIRED, LISTEN_AUTH_REQUIRED},
        {"submissions_port = 465 listen \"465\" { }", LISTEN_TLS_IMPLICIT, LISTEN_AUTH_REQUIRED},
        {"submissions_port = 465 listen \"465\" { tls = optional }", LISTEN_TLS_OPTIONAL, LISTEN_AUTH_REQUIRED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *config = read_good(rows[i].block);
        if (config->listens[0].tls != rows[i].tls || config->listens[0].auth != rows[i].auth)
            fail_msg("%s: %d, %d", rows[i].block, (int)config->listens[0].tls, (int)config->listens[0].auth);
        config_free(config);
    }
    struct config *config = read_good("submissions_port = 465");
    assert_int_equal(config->listen_count, 4);
    assert_int_equal(config->listens[3].role, ROLE_SUBMISSION);
    assert_int_equal(config->listens[3].tls, LISTEN_TLS_IMPLICIT);
    assert_int_equal(config->listens[3].auth, LISTEN_AUTH_REQUIRED);
    config_free(config);
}

static void listeners_have_milters_of_their_own_or_those_outside(void **state) {
    static const struct {
        const char *text;
        size_t count;
        unsigned char order[2];
    } rows[] = {
        {"listen \"25\" { }", 2, {0, 1}}, /* as they are written */
        {"milters = {b, a} listen \"25\" { }", 2, {1, 0}},
        {"milters = {} listen \"25\" { }", 0, {0, 0}},
        {"milters = {a} listen \"25\" { milters = {b} }", 1, {1, 0}},
        {"listen \"25\" { milters = {} }", 0, {0, 0}},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)snprintf(text, sizeof text,
                       "milter \"a\" { endpoint = \"127.0.0.1:1\" }\nmilter \"b\" { endpoint = \"/b\" }\n%s",
                       rows[i].text);
        struct config *config = read_good(text);
        const struct config_listen *listen = &config->listens[0];
        if (listen->milters.count != rows[i].count || memcmp(listen->milter_order, rows[i].order, rows[i].count) != 0)
            fail_msg("%s", rows[i].text);
        config_free(config);
    }
}

static void a_list_in_the_file_replaces_the_default_even_when_empty(void **state) {
    struct config *config = read_good("trusted_networks = {}");

    (void)state;
    assert_int_equal(config->trusted_networks.count, 0);
    config_free(config);
    config = read_good("trusted_networks = {10.0.0.0/8}\ntrusted_networks += {11.0.0.0/8}");
    assert_int_equal(config->trusted_networks.count, 2);
    config_free(config);
}

static void relative_paths_begin_where_the_process_was_started(void **state) {
    struct config *config = read_good("queue = ./run/queue\ndatabase = \"x.db\"\nlisten \"run/s\" { role = sendmail }");
    char here[4096], expected[5000];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/run/queue", here);
    assert_string_equal(config->queue, expected);
    snprintf(expected, sizeof expected, "%s/x.db", here);
    assert_string_equal(config->database, expected);
    snprintf(expected, sizeof expected, "%s/run/s", here);
    assert_string_equal(config->listens[0].address, expected);
    snprintf(expected, sizeof expected, "%s/run/mail/%%d/%%u/Maildir", here);
    assert_string_equal(config->maildir, expected);
    config_free(config);
}

static void local_mail_goes_by_lmtp_where_it_is_set(void **state) {
    struct config *config = read_good("lmtp = /run/dovecot/lmtp");

    (void)state;
    assert_string_equal(config->local_transport, "lmtp");
    config_free(config);
}

/* ---- what is wrong ---- */

struct wrong_row {
    const char *sentence, *text, *error;
};

/* What the lines begin with; "" further on where only a part is of interest. */
static const struct wrong_row wrong_rows[] = {
    {"an unknown key, with what it may have been", "\nserver_nam = x",
     "FILE:2: server_nam: unknown key, did you mean server_name?"},
    {"a key of RubyMTA's", "ServerTitle = x", "FILE:1: ServerTitle: unknown key, did you mean server_title?"},
    {"an unknown key like no other", "frobnicate = {1, 2}", "FILE:1: frobnicate: unknown key; accepted: "},
    {"an unknown block", "frobnicate \"x\" { a = 1 }", "FILE:1: frobnicate: unknown key"},
    {"an unknown key in a block", "listen \"25\" {\n rolle = mx\n}",
     "FILE:2: listen \"25\": rolle: unknown key, did you mean role?"},
    {"a line behind comments", "# a\n# b\n/* c\n */ // d\nrunner = x",
     "FILE:5: runner: \"x\" is wrong; accepted: resident or cron"},
    {"a word for a number", "agent_limit = many",
     "FILE:1: agent_limit: \"many\" is wrong; accepted: a number from 1 to 10000"},
    {"a number below its bound", "line_maximum = 511",
     "FILE:1: line_maximum: \"511\" is wrong; accepted: a number from 512 to 65536 bytes"},
    {"a number above its bound", "contact_prefix_v6 = 129",
     "FILE:1: contact_prefix_v6: \"129\" is wrong; accepted: a number from 16 to 128"},
    {"a negative number", "agent_limit = -1", "FILE:1: agent_limit: \"-1\" is wrong"},
    {"a negative number below its bound", "dnsbl \"x.example\" { weight = -1000001 }",
     "FILE:1: dnsbl \"x.example\": weight: \"-1000001\" is wrong; accepted: a number from -1000000 to 1000000"},
    {"a number with two signs", "dnsbl \"x.example\" { weight = --1 }",
     "FILE:1: dnsbl \"x.example\": weight: \"--1\" is"},
    {"an answer that no list gives", "dnsbl \"x.example\" { answers = {\"127.0.0.[4..2]\"} }",
     "FILE:1: dnsbl \"x.example\": \"127.0.0.[4..2]\" is no address that a list answers; accepted: addresses such as"},
    {"an allow list of senders", "dnsbl \"x.example\" { allow = yes subject = sender }",
     "FILE:1: dnsbl \"x.example\": only clients are allowed by a list"},
    {"names that are required and not looked up", "reverse_lookup = no\nreverse_required = name",
     "FILE:2: reverse_required: names are not looked up"},
    {"greylisting that nobody can pass", "greylist_delay = 3h\ngreylist_window = 2h",
     "FILE:1: greylist_delay: is too long"},
    {"a number that overflows", "queue_maximum_size = 99999999999999999999", "FILE:1: queue_maximum_size: "},
    {"a number that overflows by its unit", "queue_maximum_size = 9999999999999G", "FILE:1: queue_maximum_size: "},
    {"a unit alone", "message_maximum = M", "FILE:1: message_maximum: \"M\" is wrong"},
    {"neither yes nor no", "dkim_verify = maybe", "FILE:1: dkim_verify: \"maybe\" is wrong; accepted: yes or no"},
    {"an unknown level", "log_level = loud",
     "FILE:1: log_level: \"loud\" is wrong; accepted: debug, info, warn, error or fatal"},
    {"a list for one value", "runner = {cron}", "FILE:1: syntax: unexpected token"},
    {"a key without value", "runner", "FILE:1: syntax: premature end of file"},
    {"a key without equal sign", "runner cron",
     "FILE:1: runner: missing equal sign after option 'runner'; accepted: resident or cron"},
    {"a key set twice", "runner = cron\nrunner = cron", "FILE:2: runner: is set already in line 1"},
    {"a star with more", "local_domains = {'*.example.test'}",
     "FILE:1: local_domains: \"*.example.test\" is wrong; accepted: domain names"},
    {"a dot alone", "local_domains = {.}", "FILE:1: local_domains: \".\" is wrong; accepted: domain names"},
    {"a bad domain", "local_domains = {example.test, bad..example}",
     "FILE:1: local_domains: \"bad..example\" is wrong; accepted: domain names"},
    {"a bad network", "allow = {10.0.0.0/33}", "FILE:1: allow: \"10.0.0.0/33\" is wrong; accepted: networks such as"},
    {"a bad address", "listen \"999.9.9.9:99999\" { }",
     "FILE:1: listen \"999.9.9.9:99999\": is no address to listen on; accepted: "},
    {"a bad server", "lmtp = \"999.9.9.9:99999\"", "FILE:1: lmtp: \"999.9.9.9:99999\" is wrong; accepted: host:port"},
    {"a server without port", "lmtp = localhost", "FILE:1: lmtp: \"localhost\" is wrong"},
    {"a bad name server", "dns_servers = {ns.example}", "FILE:1: dns_servers: \"ns.example\" is wrong"},
    {"an unknown role", "listen \"25\" { role = mxx }",
     "FILE:1: listen \"25\": role: \"mxx\" is wrong; accepted: mx, internal, submission, sendmail or lmtp"},
    {"a sendmail listener on a port", "listen \"25\" { role = sendmail }", "FILE:1: listen \"25\": the role sendmail"},
    {"a mode that is not octal", "listen \"/x\" { mode = 0888 }", "FILE:1: listen \"/x\": mode: \"0888\" is wrong"},
    {"the same block twice", "route \"a\" { host = \"b:25\" }\nroute \"a\" { host = \"b:25\" }",
     "FILE:2: syntax: found duplicate title 'a'"},
    {"implicit TLS on a Unix socket", "listen \"/x\" { tls = implicit }",
     "FILE:1: listen \"/x\": a Unix socket begins in plain text; accepted: tls = optional"},
    {"submission without logins", "submission_port = 26\nlisten \"26\" {\nauth = optional }",
     "FILE:3: listen \"26\": the role submission is for who has logged in"},
    {"logins without TLS", "listen \"26\" { auth = optional\ntls = forbidden }",
     "FILE:2: listen \"26\": nobody can log in without TLS"},
    {"submission without TLS", "listen \"26\" { role = submission\ntls = forbidden }",
     "FILE:2: listen \"26\": nobody can log in without TLS"},
    {"logins of programs", "listen \"/x\" { role = sendmail\nauth = required }",
     "FILE:2: listen \"/x\": the role sendmail knows users by their id"},
    {"STARTTLS required and switched off", "extensions_off = {STARTTLS}\nlisten \"26\" { tls = required }",
     "FILE:2: listen \"26\": requires STARTTLS, which is switched off"},
    {"networks of a Unix socket", "listen \"/x\" { networks = {10.0.0.0/8} }",
     "FILE:1: listen \"/x\": a Unix socket is not reached through a network"},
    {"a certificate alone", "\n\ncertificate = /x", "FILE:3: certificate: one is useless without the other"},
    {"a key alone", "private_key = /x", "FILE:1: private_key: one is useless without the other"},
    {"a transport that is not there", "local_transport = box",
     "FILE:1: local_transport: there is no such transport; accepted: "},
    {"lmtp without a server", "local_transport = lmtp", "FILE:1: local_transport: the key lmtp says nowhere to go"},
    {"a transport with a built-in name", "transport \"lmtp\" { target = \"/x\" }",
     "FILE:1: transport \"lmtp\": is built in"},
    {"a transport without target", "transport \"box\" { kind = maildir }", "FILE:1: transport \"box\": has no target"},
    {"an LMTP transport to no server", "transport \"box\" { kind = lmtp target = nowhere }",
     "FILE:1: transport \"box\": \"nowhere\" is no server"},
    {"a milter without endpoint", "milter \"a\" { }",
     "FILE:1: milter \"a\": has no endpoint; accepted: endpoint = \"HOST:PORT\" or a path"},
    {"a milter that is a program", "milter \"a\" { endpoint = \"|x\" }", "FILE:1: milter \"a\": has no endpoint"},
    {"milters that there are not", "milters = {\"a\"}",
     "FILE:1: milters: there is no milter \"a\"; accepted: names of"},
    {"a listener with a milter that there is not", "listen \"25\" { milters = {\"a\"} }",
     "FILE:1: listen \"25\": milters: there is no milter \"a\""},
    {"a retry of no seconds", "retry_schedule = {60, 0}",
     "FILE:1: retry_schedule: \"0\" is wrong; accepted: positive numbers"},
    {"rules that may take longer than their process", "rules_timeout_ms = 20000",
     "FILE:1: rules_timeout_ms: its lookup process would be ended first"},
    {"no retry at all", "retry_schedule = {}", "FILE:1: retry_schedule: is empty"},
    {"a postmaster who is no address", "postmaster = root", "FILE:1: postmaster: is no address"},
    {"LMTP to a route without host", "route \"example.com\" { lmtp = yes }",
     "FILE:1: route \"example.com\": has no host"},
    {"a route by no transport", "route \"example.com\" { transport = box }",
     "FILE:1: route \"example.com\": there is no transport \"box\""},
    {"TLS that a transport does not have", "route \"example.com\" { transport = null\n tls = verified }",
     "FILE:2: route \"example.com\": tls does nothing with transport = null; accepted: a route without transport"},
    {"a route for no domain", "route \"a b\" { host = \"x:25\" }", "FILE:1: route \"a b\": is no domain"},
    {"a route for the domains below none", "route \".\" { host = \"x:25\" }",
     "FILE:1: route \".\": is no domain; accepted: a domain, .DOMAIN for those below it, or *"},
    {"a source that is no address", "source_addresses = {192.0.2.1, \"192.0.2.1:25\"}",
     "FILE:1: source_addresses: \"192.0.2.1:25\" is wrong; accepted: addresses such as"},
    {"a DKIM block without key", "dkim \"example.test\" { }", "FILE:1: dkim \"example.test\": lacks one of its keys"},
    {"messages larger than half a segment", "journal_max_message = 9M", "FILE:1: journal_max_message: is too large"},
    {"a spool smaller than two segments", "queue_maximum_size = 1M", "FILE:1: queue_maximum_size: is too small"},
    {"a control character", "server_title = \"a\\nb\"", "FILE:1: server_title: "},
    {"a string that is never closed", "\nserver_title = \"a\nb = c\n",
     "FILE:2: syntax: a string, comment or brace begins that is never closed"},
    {"a comment that is never closed", "\n\n/* a\nrunner = cron\n",
     "FILE:3: syntax: a string, comment or brace begins that is never closed"},
    {"a brace too many", "runner = cron\n}", "FILE:2: syntax: unexpected closing brace"},
    {"a block that is never closed", "listen \"25\" { role = mx\n",
     "FILE:1: syntax: a string, comment or brace begins that is never closed"},
};

static void what_is_wrong_is_named_with_file_line_key_and_what_is_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong_rows); i++) {
        struct config *config = read_string(wrong_rows[i].text);
        if (config != NULL)
            print_error("accepted: %s\n", wrong_rows[i].sentence);
        const char *got = buffer_string(&errors);
        if (strncmp(got, wrong_rows[i].error, strlen(wrong_rows[i].error)) != 0)
            fail_msg("%s: %s", wrong_rows[i].sentence, got);
        if (strchr(got, '\n') != got + strlen(got) - 1)
            fail_msg("%s: more than one line: %s", wrong_rows[i].sentence, got);
    }
}

static void every_error_of_a_file_is_reported_in_the_order_of_lines(void **state) {
    static const char text[] = "runner = x # first\n"
                               "listen \"999.9.9.9:99999\" { mode = 9 }\n"
                               "unknown_a = 1\n"
                               "unknown_b \"t\" { c = 1 d = {2} }\n"
                               "allow = {1, 2}\n"
                               "local_transport = box\n"
                               "unknown_e = 1\n"
                               "line_maximum = 1\n";
    static const char *const lines[] = {
        "FILE:1: runner", "FILE:2: listen", "FILE:2: listen",          "FILE:3: unknown_a", "FILE:4: unknown_b",
        "FILE:5: allow",  "FILE:5: allow",  "FILE:6: local_transport", "FILE:7: unknown_e", "FILE:8: line_maximum"};
    struct text rest, line;

    (void)state;
    assert_null(read_string(text));
    rest = buffer_text(&errors);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_true(text_split(&rest, '\n', &line));
        if (!text_starts_nocase(line, text_of(lines[i])))
            fail_msg("line %zu: %.*s instead of %s", i, TEXT_ARGS(line), lines[i]);
    }
    assert_int_equal(rest.length, 0);
}

static void after_a_bad_file_a_good_one_is_read(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong_rows); i++) {
        if (read_string(wrong_rows[i].text) != NULL)
            fail_msg("accepted: %s", wrong_rows[i].sentence);
        config_free(read_good("runner = cron"));
    }
}

static void a_file_that_is_not_there_is_one_line(void **state) {
    (void)state;
    buffer_clear(&errors);
    assert_null(config_read("/nonexistent/x.conf", NULL, &errors));
    assert_string_equal(buffer_string(&errors), "/nonexistent/x.conf: cannot be opened: No such file or directory\n");
}

static void a_nul_byte_is_refused(void **state) {
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    assert_int_equal(fwrite("runner = cron\0runner = x", 1, 24, file), 24);
    fflush(file);
    buffer_clear(&errors);
    assert_null(config_read_stream(file, "FILE", &errors));
    assert_non_null(strstr(buffer_string(&errors), "NUL"));
    fclose(file);
}

/* ---- the command line ---- */

static void the_command_line_comes_last(void **state) {
    static const char *const good[] = {"server_name=other.example", "allow=10.0.0.0/8, ::1", "retry_schedule=5,6",
                                       NULL};
    static const char *const bad[] = {"nonsense=1", "agent_limit=0", "runner", NULL};

    (void)state;
    buffer_clear(&errors);
    struct config *config = config_read(EXAMPLE, good, &errors);
    if (config == NULL)
        fail_msg("%s", buffer_string(&errors));
    assert_string_equal(config->server_name, "other.example");
    assert_int_equal(config->allow_networks.count, 2);
    assert_int_equal(config->retry_count, 2);
    config_free(config);
    assert_null(config_read(EXAMPLE, bad, &errors));
    assert_non_null(strstr(buffer_string(&errors), EXAMPLE ": nonsense: unknown key on the command line"));
    assert_non_null(
        strstr(buffer_string(&errors), "\"agent_limit=0\" on the command line is wrong; accepted: a number"));
    assert_non_null(strstr(buffer_string(&errors), "runner: unknown key on the command line"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(without_blocks_the_three_ports_are_used_on_all_addresses),
        cmocka_unit_test(a_listener_without_role_takes_it_from_its_port),
        cmocka_unit_test(every_kind_of_value_is_understood),
        cmocka_unit_test(modes_of_ports_follow_from_their_role),
        cmocka_unit_test(a_list_in_the_file_replaces_the_default_even_when_empty),
        cmocka_unit_test(relative_paths_begin_where_the_process_was_started),
        cmocka_unit_test(local_mail_goes_by_lmtp_where_it_is_set),
        cmocka_unit_test(what_is_wrong_is_named_with_file_line_key_and_what_is_accepted),
        cmocka_unit_test(every_error_of_a_file_is_reported_in_the_order_of_lines),
        cmocka_unit_test(after_a_bad_file_a_good_one_is_read),
        cmocka_unit_test(a_file_that_is_not_there_is_one_line),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(listeners_have_milters_of_their_own_or_those_outside),
        cmocka_unit_test(the_command_line_comes_last),
    };
    buffer_init(&errors, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&errors);
    return failed;
}
