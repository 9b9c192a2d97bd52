/* SPDX-License-Identifier: MIT
 * The listener's start as a checklist, before the first fork: each step gives EXIT_STATUS_OK or what to end with and
 * one clear sentence. Runs with the caller's full privileges and ends with the listener's reduced ones. */
#include "base/log.h"
#include "base/sandbox.h"
#include "config/certificates.h"
#include "config/confinement.h"
#include "dkim/dkim.h"
#include "listener/listen_name.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *program_name(const struct supervisor *supervisor) {
    return supervisor->options.queue_run ? "parcelpost-queue" : "parcelpostd";
}

static enum exit_status open_log(struct supervisor *supervisor, struct buffer *error) {
    if (supervisor->options.log_level >= 0) {
        supervisor->config->log_level = supervisor->options.log_level;
    }
    if (supervisor->options.daemonize && log_file_is_standard_error(supervisor->config)) {
        buffer_format(error, "log_path_and_file: a daemon has no standard error to write its log to; name a file");
        return EXIT_STATUS_CONFIG;
    }
    int fd = log_file_open(supervisor->config, error);
    if (fd < 0) {
        return EXIT_STATUS_CANT_CREATE;
    }
    log_start(fd, program_name(supervisor), (enum log_level)supervisor->config->log_level);
    log_file_written_period(supervisor->config, fd, time(NULL), supervisor->log_period);
    startup_raise_descriptor_limit();
    privilege_forbid_core_files(); /* before any key is read; every process inherits it */
    umask(0027);                   /* databases and mail are nobody else's to read */
    return EXIT_STATUS_OK;
}

static enum exit_status find_users(struct supervisor *supervisor, struct buffer *error) {
    return startup_users(supervisor->config, &supervisor->users, error);
}

static enum exit_status make_directories(struct supervisor *supervisor, struct buffer *error) {
    enum exit_status result = startup_guarded(supervisor->config, error);
    if (result == EXIT_STATUS_OK) {
        result = startup_directories(supervisor->config, &supervisor->users, error);
    }
    if (result == EXIT_STATUS_OK) {
        result = startup_users_database(supervisor->config, &supervisor->users, error);
    }
    return result == EXIT_STATUS_OK ? startup_srs_secret(supervisor->config, &supervisor->users, error) : result;
}

static enum exit_status take_lock(struct supervisor *supervisor, struct buffer *error) {
    return startup_lock(supervisor->config, program_name(supervisor), &supervisor->lock, error);
}

static enum exit_status open_control_sockets(struct supervisor *supervisor, struct buffer *error) {
    enum exit_status result = startup_control_socket(supervisor->config, &supervisor->users, "ledger.sock",
                                                     &supervisor->ledger_socket, error);
    if (result == EXIT_STATUS_OK && !supervisor->options.queue_run) {
        result = startup_control_socket(supervisor->config, &supervisor->users, "runner.sock",
                                        &supervisor->runner_socket, error);
    }
    return result;
}

static enum exit_status open_ports(struct supervisor *supervisor, struct buffer *error) {
    if (supervisor->options.queue_run) {
        return EXIT_STATUS_OK;
    }
    enum exit_status result = listen_names_find(supervisor->config, &supervisor->users, error);
    return result == EXIT_STATUS_OK ? port_set_open(&supervisor->ports, supervisor->config, NULL, error) : result;
}

static enum exit_status write_pid_file(struct supervisor *supervisor, struct buffer *error) {
    return supervisor->options.queue_run ? EXIT_STATUS_OK : startup_pid_file(supervisor->config, error);
}

static enum exit_status read_certificates(struct supervisor *supervisor, struct buffer *error) {
    if (supervisor->options.queue_run) {
        return EXIT_STATUS_OK;
    }
    supervisor->certified = config_has_certificate(supervisor->config);
    return supervisor_read_certificates(supervisor->config, &supervisor->tls, &supervisor->keys, error);
}

static enum exit_status check_passwords(struct supervisor *supervisor, struct buffer *error) {
    return supervisor_check_passwords(supervisor->config, error);
}

static enum exit_status load_rules(struct supervisor *supervisor, struct buffer *error) {
    if (supervisor->options.queue_run) {
        return EXIT_STATUS_OK;
    }
    return rules_load(supervisor->config, &supervisor->users, &supervisor->rules, error);
}

/* Once for all children: building a filter costs more than forking, and what libraries make ready here is shared. */
static enum exit_status prepare_sandboxes(struct supervisor *supervisor, struct buffer *error) {
    (void)error;
    tzset();
    confinement_prepare(!supervisor->options.queue_run); /* also the connector's, for what a reload brings */
    if (!supervisor->options.queue_run && supervisor->config->dkim_verify) {
        dkim_prepare();
    }
    return EXIT_STATUS_OK;
}

/* The last one to be forked with all privileges, and only where there is something for it to do. */
static enum exit_status start_guard(struct supervisor *supervisor, struct buffer *error) {
    const struct config *config = supervisor->config;
    bool wanted = config->lock_command[0] != '\0' || config->unlock_command[0] != '\0';
    (void)error;
    if (wanted && !supervisor->options.queue_run) {
        supervisor->guard = guard_start(supervisor->loop, supervisor->start_report >= 0, hub_unlocked, supervisor);
    }
    return EXIT_STATUS_OK;
}

static enum exit_status reduce_privileges(struct supervisor *supervisor, struct buffer *error) {
    (void)supervisor;
    (void)error;
    privilege_keep_listener_capabilities();
    sandbox_enter(SANDBOX_LISTENER);
    return EXIT_STATUS_OK;
}

/* What a reload reads, too, is read with the rights that it will have. */
static enum exit_status put_file_rights_aside(struct supervisor *supervisor, struct buffer *error) {
    (void)supervisor;
    (void)error;
    privilege_use_file_rights(false);
    return EXIT_STATUS_OK;
}

static enum exit_status take_up_file_rights(struct supervisor *supervisor, struct buffer *error) {
    (void)supervisor;
    (void)error;
    privilege_use_file_rights(true);
    return EXIT_STATUS_OK;
}

/* Certificates come before the sandboxes: in that order receivers share 70 KiB more of what TLS has made ready. */
typedef enum exit_status checklist_step(struct supervisor *supervisor, struct buffer *error);
static checklist_step *const checklist[] = {
    open_log,   find_users,          make_directories,      take_lock,         open_control_sockets,
    open_ports, write_pid_file,      put_file_rights_aside, read_certificates, check_passwords,
    load_rules, take_up_file_rights, prepare_sandboxes,     start_guard,       reduce_privileges,
};

enum exit_status start_checklist(struct supervisor *supervisor, struct buffer *error) {
    for (size_t i = 0; i < sizeof(checklist) / sizeof(checklist[0]); i++) {
        enum exit_status result = checklist[i](supervisor, error);
        if (result != EXIT_STATUS_OK) {
            return result;
        }
    }
    return EXIT_STATUS_OK;
}

int start_daemonize(void) {
    int report[2], wait_status = 0;
    char byte;
    if (pipe2(report, O_CLOEXEC) != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "no pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "cannot fork: %s", strerror(errno));
    }
    if (pid == 0) {
        close(report[0]);
        setsid();
        return report[1];
    }
    close(report[1]);
    if (read(report[0], &byte, 1) == 1) {
        _exit(EXIT_STATUS_OK); /* it runs */
    }
    if (waitpid(pid, &wait_status, 0) == pid && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != EXIT_STATUS_OK) {
        _exit(WEXITSTATUS(wait_status));
    }
    _exit(EXIT_STATUS_UNAVAILABLE);
}

void start_detach(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return;
    }
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        dup2(null, fd);
    }
    close(null);
}

void start_report(struct supervisor *supervisor) {
    char name[256];
    for (size_t i = 0; i < supervisor->ports.count; i++) {
        const struct port *port = &supervisor->ports.items[i];
        log_info("listening on %s (%s)", port_name(&port->address, name, sizeof(name)),
                 config_role_name(supervisor->config->listens[port->listen].role));
    }
    if (!supervisor->options.queue_run) {
        log_info("%s is ready", supervisor->config->server_name);
    }
    if (supervisor->start_report < 0) {
        return;
    }
    start_detach();
    if (write(supervisor->start_report, "", 1) != 1) {
        log_warn("who started this server cannot be told that it runs");
    }
    close(supervisor->start_report);
    supervisor->start_report = -1;
}
