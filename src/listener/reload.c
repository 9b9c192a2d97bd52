/* SPDX-License-Identifier: MIT
 * SIGHUP: a new configuration is checked as a whole before anything changes; on any error the old one stays in force.
 * SIGUSR1 and the end of a log period: a new log file. Runs in the listener with its reduced capabilities. */
#include "base/file.h"
#include "base/log.h"
#include "config/certificates.h"
#include "dkim/dkim.h"
#include "listener/key_reader.h"
#include "listener/listen_name.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIGURATION_MAXIMUM (4u << 20)
#define ERROR_MAXIMUM (64u * 1024)

/* What a reload prepares before it changes anything. */
struct renewal {
    struct buffer content; /* the file's bytes, as checked */
    struct config *config;
    struct tls_server *tls;
    int keys;
    struct sql_rules rules;
    struct system_users users;
    struct port_set ports;
};

/* Without a certificate a port that needs one would refuse everybody. */
static enum exit_status go_without_tls(const struct config *config, struct buffer *error) {
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listens = &config->listens[i];
        if (listens->tls == LISTEN_TLS_IMPLICIT || listens->tls == LISTEN_TLS_REQUIRED) {
            buffer_format(error, "listen \"%s\": its tls needs a certificate, and there is none", listens->address);
            return EXIT_STATUS_CONFIG;
        }
    }
    return EXIT_STATUS_OK;
}

enum exit_status supervisor_read_certificates(const struct config *config, struct tls_server **tls, int *keys,
                                              struct buffer *error) {
    *tls = NULL;
    *keys = -1;
    if (!config_has_certificate(config)) {
        const char *then = config->self_signed_certificate
                               ? "a self-signed one is made, for trying out: no client can verify it"
                               : "STARTTLS and AUTH are not offered";
        if (config->certificate.count == 0) {
            log_warn("no certificate is configured: %s", then);
        } else {
            log_warn("certificate \"%s\" does not exist: %s", config->certificate.items[0], then);
        }
        if (!config->self_signed_certificate) {
            return go_without_tls(config, error);
        }
    }
    enum exit_status status = key_reader_run(config, tls, keys, error);
    if (status == EXIT_STATUS_OK && *tls != NULL) {
        tls_server_watch_validity(*tls, (int64_t)time(NULL));
    }
    return status;
}

enum exit_status supervisor_check_passwords(const struct config *config, struct buffer *error) {
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        char *password = route->user[0] != '\0' ? config_route_password(route, error) : NULL;
        if (password == NULL && route->user[0] != '\0') {
            return EXIT_STATUS_CONFIG;
        }
        if (password != NULL) {
            explicit_bzero(password, strlen(password));
        }
        free(password);
    }
    return EXIT_STATUS_OK;
}

/* At the start a certificate may be missing, for trying out. One that is gone later is a mistake, or is just being
 * renewed: clients that verify it would turn away, and mail for us wait. */
static bool keeps_certificate(const struct supervisor *supervisor, const struct config *next, struct buffer *error) {
    if (!supervisor->certified || next->certificate.count == 0 || config_has_certificate(next)) {
        return true;
    }
    buffer_format(error, "certificate \"%s\" does not exist", next->certificate.items[0]);
    return false;
}

static bool has_key(const char *file, const char *domain, const char *selector, struct buffer *error) {
    struct dkim_key *key = dkim_key_read(file, domain, selector, error);
    bool good = key != NULL;
    dkim_key_free(key);
    return good;
}

static bool has_keys(const struct config *config, struct buffer *error) {
    const char *shared = config->dkim_private_key_file;
    bool good = shared == NULL || shared[0] == '\0' || has_key(shared, "", config->dkim_selector, error);
    for (size_t i = 0; good && i < config->dkim_count; i++) {
        const struct config_dkim *row = &config->dkims[i];
        good = has_key(row->private_key_file, row->domain, row->selector, error);
    }
    return good;
}

/* A signer that cannot use its keys ends, and without one nobody is served. They are tried in a process of their own:
 * what lies in this one's memory lies in every receiver's. */
static enum exit_status check_keys(const struct config *config, struct buffer *error) {
    int ends[2], wait_status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        buffer_format(error, "no pipe: %s", strerror(errno));
        return EXIT_STATUS_SYSTEM;
    }
    pid_t pid = fork();
    if (pid == 0) {
        bool good = has_keys(config, error);
        (void)file_write_all(ends[1], error->data, error->length);
        _exit(good ? EXIT_STATUS_OK : EXIT_STATUS_CONFIG);
    }
    close(ends[1]);
    bool good = pid > 0 && file_read_into(ends[0], error) && waitpid(pid, &wait_status, 0) == pid && wait_status == 0;
    close(ends[0]);
    if (!good && error->length == 0) {
        buffer_format(error, "the DKIM keys cannot be tried: %s", strerror(errno));
    }
    return good ? EXIT_STATUS_OK : EXIT_STATUS_CONFIG;
}

/* A memory file with these bytes, to be read from its start. */
static int copy_of(const struct buffer *content) {
    int fd = file_memory("configuration");
    if (!file_write_all(fd, content->data, content->length) || lseek(fd, 0, SEEK_SET) != 0 || !file_seal(fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool read_configuration(const char *name, struct renewal *renewal, struct buffer *error) {
    if (!file_is_regular("configuration", name, error)) {
        return false;
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool was_read = fd >= 0 && file_read_into(fd, &renewal->content);
    int copy = was_read ? copy_of(&renewal->content) : -1;
    FILE *stream = copy >= 0 ? fdopen(copy, "r") : NULL;
    if (stream == NULL) {
        buffer_format(error, "%s cannot be read: %s", name, strerror(errno));
    }
    if (stream == NULL && copy >= 0) {
        close(copy);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (stream == NULL) {
        return false;
    }
    renewal->config = config_read_stream(stream, name, error);
    fclose(stream);
    return renewal->config != NULL;
}

/* What the ledger, the lock and the operator's sockets stand on stays as it was at the start. Taken over in part, it
 * has lookups read one database while the ledger writes another. */
static bool keeps_places(const struct config *former, const struct config *next, struct buffer *error) {
    const struct {
        const char *key, *former, *next;
    } places[] = {
        {"database", former->database, next->database},
        {"queue", former->queue, next->queue},
        {"users_database", former->users_database, next->users_database},
        {"lock_file_path", former->lock_file_path, next->lock_file_path},
        {"pid_path", former->pid_path, next->pid_path},
        {"control_directory", former->control_directory, next->control_directory},
        {"user_name", former->user_name, next->user_name},
        {"group_name", former->group_name, next->group_name},
    };
    size_t before = error->length;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(places[i].former, places[i].next) != 0) {
            buffer_format(error, "%s: \"%s\" in place of \"%s\" needs a new start\n", places[i].key, places[i].next,
                          places[i].former);
        }
    }
    return error->length == before;
}

/* Without the rights of the start the listener can neither give a new directory away nor look into every old one. */
static bool has_maildir(const struct config *former, const struct config *next, struct buffer *error) {
    bool same = strcmp(former->maildir, next->maildir) == 0 && strcmp(former->maildir_user, next->maildir_user) == 0 &&
                strcmp(former->local_transport, next->local_transport) == 0;
    return same || startup_maildir(next, error) == EXIT_STATUS_OK;
}

static void log_lines(const char *before, struct buffer *error) {
    struct text rest = buffer_text(error), line;
    while (text_split(&rest, '\n', &line)) {
        if (line.length > 0) {
            log_error("%s: %.*s", before, TEXT_ARGS(line));
        }
    }
}

/* A service that cannot open the file gets its bytes; each its own, for a shared one would share the position. */
static void tell_service(struct child *service, const struct buffer *content) {
    const struct empty_message empty = {0};
    if (service == NULL) {
        return;
    }
    int fd = copy_of(content);
    if (fd < 0 || !child_send(service, HUB_RELOAD, &empty, fd)) {
        log_error("the %s does not take the new configuration", process_names[service->kind]);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void adopt(struct supervisor *supervisor, struct renewal *renewal) {
    bool runner_changes = supervisor->config->runner != renewal->config->runner;
    ports_ignore(supervisor);
    port_set_close(&supervisor->ports);
    supervisor->ports = renewal->ports;
    if (supervisor->tls != NULL && renewal->tls != NULL) {
        tls_server_take_tickets(renewal->tls, supervisor->tls);
    }
    tls_server_free(supervisor->tls);
    supervisor->tls = renewal->tls;
    supervisor->certified = config_has_certificate(renewal->config);
    if (supervisor->keys >= 0) {
        close(supervisor->keys);
    }
    supervisor->keys = renewal->keys;
    sql_rules_free(&supervisor->rules);
    supervisor->rules = renewal->rules;
    supervisor->users = renewal->users;
    config_free(supervisor->config);
    supervisor->config = renewal->config;
    if (supervisor->options.log_level >= 0) {
        supervisor->config->log_level = supervisor->options.log_level;
    }
    log_set_level((enum log_level)supervisor->config->log_level);
    arrivals_review(supervisor);
    tell_service(supervisor->slots[SLOT_LEDGER].child, &renewal->content);
    if (runner_changes && supervisor->slots[SLOT_RUNNER].child != NULL) {
        child_retire(supervisor->slots[SLOT_RUNNER].child);
        supervisor->slots[SLOT_RUNNER].child = NULL;
    } else {
        tell_service(supervisor->slots[SLOT_RUNNER].child, &renewal->content);
    }
    services_renew(supervisor);
    /* Before this round is over the runner may want an agent, who asks the resolver. */
    services_settle(supervisor);
    receivers_replace(supervisor);
}

void supervisor_reload(struct supervisor *supervisor) {
    struct renewal renewal = {.keys = -1};
    struct buffer error;
    buffer_init(&renewal.content, CONFIGURATION_MAXIMUM);
    buffer_init(&error, ERROR_MAXIMUM);
    bool good = read_configuration(supervisor->config->file, &renewal, &error) &&
                keeps_places(supervisor->config, renewal.config, &error) &&
                startup_guarded(renewal.config, &error) == EXIT_STATUS_OK &&
                startup_users(renewal.config, &renewal.users, &error) == EXIT_STATUS_OK &&
                startup_chroot(renewal.config, &error) == EXIT_STATUS_OK &&
                has_maildir(supervisor->config, renewal.config, &error) &&
                keeps_certificate(supervisor, renewal.config, &error) &&
                supervisor_read_certificates(renewal.config, &renewal.tls, &renewal.keys, &error) == EXIT_STATUS_OK &&
                supervisor_check_passwords(renewal.config, &error) == EXIT_STATUS_OK &&
                check_keys(renewal.config, &error) == EXIT_STATUS_OK &&
                rules_load(renewal.config, &renewal.users, &renewal.rules, &error) == EXIT_STATUS_OK &&
                listen_names_find(renewal.config, &renewal.users, &error) == EXIT_STATUS_OK &&
                port_set_open(&renewal.ports, renewal.config, &supervisor->ports, &error) == EXIT_STATUS_OK;
    if (good) {
        adopt(supervisor, &renewal);
        supervisor_reopen_log(supervisor);
        log_info("the configuration was read again: %s", supervisor->config->file);
    } else {
        log_lines("the configuration in force stays", &error);
        sql_rules_free(&renewal.rules);
        if (renewal.tls != NULL) {
            tls_server_free(renewal.tls);
        }
        if (renewal.keys >= 0) {
            close(renewal.keys);
        }
        if (renewal.config != NULL) {
            config_free(renewal.config);
        }
    }
    buffer_free(&renewal.content);
    buffer_free(&error);
}

void supervisor_reopen_log(struct supervisor *supervisor) {
    static const struct empty_message empty;
    struct buffer error;
    if (log_file_is_standard_error(supervisor->config)) {
        return;
    }
    buffer_init(&error, ERROR_MAXIMUM);
    int fd = log_file_open(supervisor->config, &error);
    if (fd < 0) {
        log_lines("the old log goes on", &error);
        buffer_free(&error);
        return;
    }
    buffer_free(&error);
    int former = log_set_descriptor(fd);
    if (former > STDERR_FILENO) {
        close(former);
    }
    log_file_written_period(supervisor->config, fd, time(NULL), supervisor->log_period);
    receivers_replace(supervisor);
    for (struct child *child = supervisor->children; child != NULL; child = child->next) {
        if (child->kind != PROCESS_RECEIVER && child->hub >= 0) {
            (void)child_send(child, HUB_LOG, &empty, fd);
        }
    }
}
