/* SPDX-License-Identifier: MIT
 * `parcelpost check`: one line for each thing a server needs around it, with what to do about it. Reads and asks only.
 * The configuration itself was checked when it was read. */
#include "base/file.h"
#include "base/network.h"
#include "base/privilege.h"
#include "config/certificates.h"
#include "config/guarded.h"
#include "control/control.h"
#include "control/operator.h"
#include "control/question.h"
#include "dkim/dkim.h"
#include "store/sql_rules.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SELF_SIGNED_MAXIMUM 4096 /* bytes */

enum finding { GOOD, DOUBTFUL, BAD };
struct report {
    const struct config *config;
    unsigned bad;
};

__attribute__((format(printf, 3, 4))) static void tell(struct report *report, enum finding finding, const char *format,
                                                       ...) {
    static const char *const words[] = {[GOOD] = "ok  ", [DOUBTFUL] = "warn", [BAD] = "BAD "};
    va_list list;
    va_start(list, format);
    printf("%s  ", words[finding]);
    vprintf(format, list);
    putchar('\n');
    va_end(list);
    report->bad += finding == BAD;
}

static void check_users(struct report *report) {
    const struct config *config = report->config;
    const char *const names[][2] = {{"user_name", config->user_name},
                                    {"network_user", config->network_user},
                                    {"auth_user", config->auth_user},
                                    {"key_user", config->key_user}};
    struct privilege_user user;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (privilege_find(names[i][1], "", &user)) {
            tell(report, GOOD, "%s: the system user %s exists", names[i][0], names[i][1]);
        } else if (privilege_is_root()) {
            tell(report, BAD, "%s: the system user %s is missing; make it with: systemd-sysusers", names[i][0],
                 names[i][1]);
        } else {
            tell(report, DOUBTFUL, "%s: the system user %s is missing; a server started as root would need it",
                 names[i][0], names[i][1]);
        }
    }
}

static void check_directories(struct report *report) {
    const struct config *config = report->config;
    const char *const paths[][2] = {{"queue", config->queue}, {"control_directory", config->control_directory}};
    struct stat status;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (stat(paths[i][1], &status) != 0) {
            tell(report, errno == ENOENT ? DOUBTFUL : BAD, "%s: %s: %s%s", paths[i][0], paths[i][1], strerror(errno),
                 errno == ENOENT ? "; the server makes it when it starts" : "");
        } else if (!S_ISDIR(status.st_mode)) {
            tell(report, BAD, "%s: %s is no directory", paths[i][0], paths[i][1]);
        } else {
            tell(report, GOOD, "%s: %s", paths[i][0], paths[i][1]);
        }
    }
}

static void check_one_database(struct report *report, const char *key, const char *path, enum database_kind kind) {
    struct buffer error;
    if (access(path, F_OK) != 0) {
        tell(report, DOUBTFUL, "%s: %s does not exist yet; the server makes it", key, path);
        return;
    }
    buffer_init(&error, 4096);
    struct database *database = NULL;
    if (kind != DATABASE_USERS || file_is_private(key, path, &error)) {
        database = database_open(path, kind, DATABASE_READ, &error);
    }
    if (database != NULL) {
        tell(report, GOOD, "%s: %s", key, path);
    } else {
        bool hidden = access(path, R_OK) != 0 && !privilege_is_root(); /* from who asks; lookup may read it */
        tell(report, hidden && kind == DATABASE_USERS ? DOUBTFUL : BAD, "%s: %s", key, buffer_string(&error));
    }
    database_close(database);
    buffer_free(&error);
}

static void check_databases(struct report *report) {
    check_one_database(report, "database", report->config->database, DATABASE_MAIN);
    check_one_database(report, "users_database", report->config->users_database, DATABASE_USERS);
}

/* The start and a reload refuse them. */
static void check_modes(struct report *report) {
    struct config_guarded paths[CONFIG_GUARDED];
    struct buffer error;
    config_guarded(report->config, paths);
    buffer_init(&error, 4096);
    for (size_t i = 0; i < CONFIG_GUARDED; i++) {
        if (!file_is_guarded(paths[i].key, paths[i].path, &error)) {
            tell(report, BAD, "%s", buffer_string(&error));
            buffer_clear(&error);
        }
    }
    buffer_free(&error);
}

static void check_server(struct report *report) {
    struct buffer answer;
    int status;
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    switch (operator_ask(report->config, "ledger.sock", "ping", "", "", &answer, &status)) {
    case OPERATOR_NOBODY:
        tell(report, DOUBTFUL, "server: does not run");
        break;
    case OPERATOR_REFUSED:
        tell(report, DOUBTFUL, "server: you may not ask it; be root or %s", report->config->user_name);
        break;
    default:
        tell(report, GOOD, "server: runs");
    }
    buffer_free(&answer);
}

/* A server that runs holds them; then they need no check. */
static void check_ports(struct report *report) {
    const struct config *config = report->config;
    int yes = 1;
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct network_address *address = &config->listens[i].parsed[0];
        int family = address->storage.ss_family;
        int fd = family == AF_UNIX ? -1 : socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (bind(fd, (const struct sockaddr *)&address->storage, address->length) == 0) {
            tell(report, GOOD, "listen %s: free", config->listens[i].address);
        } else if (errno == EADDRINUSE) {
            tell(report, DOUBTFUL, "listen %s: in use; by this server, if it runs", config->listens[i].address);
        } else {
            tell(report, errno == EACCES && !privilege_is_root() ? DOUBTFUL : BAD, "listen %s: %s",
                 config->listens[i].address, strerror(errno));
        }
        close(fd);
    }
}

static void check_expiry(struct report *report, const struct config_strings *files) {
    struct tls_certificate certificate;
    struct buffer error;
    buffer_init(&error, 4096);
    for (size_t i = 0; i < files->count; i++) {
        if (tls_certificate_read(files->items[i], &certificate, &error) && certificate.expired) {
            tell(report, BAD, "certificate: %s has expired, on %s", files->items[i], certificate.until);
        }
    }
    buffer_free(&error);
}

static void check_certificates(struct report *report) {
    const struct config *config = report->config;
    struct buffer error, self_signed;
    if (!config_has_certificate(config)) {
        tell(report, DOUBTFUL, "certificate: none; %s",
             config->self_signed_certificate ? "the server makes a self-signed one, which no client can verify"
                                             : "STARTTLS and logins are not offered");
    }
    if (!config_has_certificate(config) && config->certificate_count == 0) {
        return;
    }
    buffer_init(&error, 4096);
    buffer_init(&self_signed, SELF_SIGNED_MAXIMUM);
    struct tls_server *tls = NULL;
    struct tls_keys *keys = config_tls_keys(config, &self_signed, &error);
    if (keys != NULL) {
        tls_keys_use(keys);
        tls = config_tls_server(config, buffer_text(&self_signed), &error);
    }
    if (tls == NULL) {
        tell(report, errno == EACCES && !privilege_is_root() ? DOUBTFUL : BAD, "certificate: %s",
             buffer_string(&error));
    } else if (config->certificate.count > 0) {
        tell(report, GOOD, "certificate: %s fits its key", config->certificate.items[0]);
    }
    check_expiry(report, &config->certificate);
    for (size_t i = 0; i < config->certificate_count; i++) {
        check_expiry(report, &config->certificates[i].certificate);
    }
    tls_server_free(tls);
    tls_keys_free(keys);
    buffer_free(&self_signed);
    buffer_free(&error);
}

static void check_key(struct report *report, const char *file) {
    struct buffer record, error;
    buffer_init(&record, 4096);
    buffer_init(&error, 4096);
    if (dkim_key_record(file, &record, &error)) {
        tell(report, GOOD, "DKIM key: %s", file);
    } else {
        tell(report, BAD, "DKIM key: %s", buffer_string(&error));
    }
    buffer_free(&record);
    buffer_free(&error);
}

static void check_keys(struct report *report) {
    const struct config *config = report->config;
    if (config->dkim_private_key_file[0] == '\0' && config->dkim_count == 0) {
        tell(report, DOUBTFUL, "DKIM key: none; mail is sent unsigned. Try: parcelpost dkim make FILE");
    }
    if (config->dkim_private_key_file[0] != '\0') {
        check_key(report, config->dkim_private_key_file);
    }
    for (size_t i = 0; i < config->dkim_count; i++) {
        check_key(report, config->dkims[i].private_key_file);
    }
}

static void check_names(struct report *report) {
    const struct config *config = report->config;
    enum dns_outcome outcome = question_ask(config, config->server_name, DNS_ASK_A, NULL, NULL);
    if (outcome != DNS_OUTCOME_FOUND) {
        outcome = question_ask(config, config->server_name, DNS_ASK_AAAA, NULL, NULL);
    }
    tell(report, outcome == DNS_OUTCOME_FOUND ? GOOD : DOUBTFUL, "DNS: server_name %s: %s", config->server_name,
         outcome == DNS_OUTCOME_FOUND ? "has an address" : question_outcome_words(outcome));
    for (size_t i = 0; i < config->local_domains.count; i++) {
        if (config_domain_is_pattern(config->local_domains.items[i])) {
            continue;
        }
        outcome = question_ask(config, config->local_domains.items[i], DNS_ASK_MX, NULL, NULL);
        tell(report, outcome == DNS_OUTCOME_FOUND ? GOOD : DOUBTFUL, "DNS: %s: %s", config->local_domains.items[i],
             outcome == DNS_OUTCOME_FOUND ? "has a mail exchanger" : question_outcome_words(outcome));
    }
}

static void check_lmtp(struct report *report) {
    const char *where = report->config->lmtp;
    struct network_address address;
    bool port_only;
    if (where[0] == '\0') {
        tell(report, GOOD, "local delivery: %s", report->config->local_transport);
        return;
    }
    if (!network_parse_endpoint(text_of(where), &address, &port_only)) {
        tell(report, DOUBTFUL, "lmtp: %s is a name; not tried", where);
        return;
    }
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address.storage, address.length) == 0) {
        tell(report, GOOD, "lmtp: %s answers", where);
    } else {
        tell(report, BAD, "lmtp: %s: %s; local mail waits until it answers", where, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void count_rule(void *context, const char *rule, const char *path, unsigned line, const char *sql) {
    size_t *count = context;
    (void)rule;
    (void)path;
    (void)line;
    (void)sql;
    ++*count;
}

/* The operator's own, as a start would find them. */
static void check_rules(struct report *report) {
    const struct config *config = report->config;
    struct sql_rules rules;
    struct buffer error;
    size_t count = 0;
    buffer_init(&error, 4096);
    if (!sql_rules_read(config->rules_directory, &rules, &error) ||
        !sql_rules_check(&rules, config->database, &error)) {
        tell(report, BAD, "rules: %s", buffer_string(&error));
    } else {
        struct sql_engine *engine = sql_engine_open(config->database, config->users_database, &rules, &error);
        if (engine != NULL) {
            sql_engine_list(engine, count_rule, &count);
            tell(report, GOOD, "rules: %zu in %s", count, config->rules_directory);
        }
        sql_engine_close(engine);
    }
    sql_rules_free(&rules);
    buffer_free(&error);
}

int control_check(struct control *control, int count, char **arguments) {
    static void (*const checks[])(struct report *) = {
        check_users,        check_directories, check_modes, check_databases, check_server, check_ports,
        check_certificates, check_keys,        check_names, check_lmtp,      check_rules,
    };
    struct report report = {.config = control->config};
    (void)count;
    (void)arguments;
    tell(&report, GOOD, "configuration: %s", control->config->file);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        privilege_use_file_rights(checks[i] != check_certificates && checks[i] != check_keys); /* as the server */
        checks[i](&report);
        fflush(stdout);
    }
    if (report.bad > 0) {
        printf("%u of these must be put right first.\n", report.bad);
        return EXIT_STATUS_ERROR;
    }
    return EXIT_STATUS_OK;
}
