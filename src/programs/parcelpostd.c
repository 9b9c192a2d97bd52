/* SPDX-License-Identifier: MIT
 * The server's program: options, configuration, then the listener. Started as root (it becomes other users itself) or,
 * with ports above 1023, as anybody. */
#include "base/exit_status.h"
#include "base/log.h"
#include "control/setup.h"
#include "listener/listener.h"
#include "store/sql_rules.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: parcelpostd [-c FILE] [-f | --daemonize] [--debug|--info|--warn|--error|--fatal]\n"
    "       parcelpostd [-c FILE] -T\n"
    "\n"
    "The Parcelpost mail server. It listens on the ports of its configuration, takes mail from strangers for its own\n"
    "domains and from its own members for everybody, and delivers it.\n"
    "\n"
    "  -c, --config FILE  the configuration; without it ./etc/parcelpost.conf, if there is one, else\n"
    "                     /etc/parcelpost/parcelpost.conf\n"
    "  -f, --foreground   stay in the foreground (this is what happens anyway)\n"
    "      --daemonize    go into the background once everything runs; exit status 0 says that it does\n"
    "  -T, --test         check configuration and rules, print every key with its effective value, and end\n"
    "      --debug … --fatal  log from this severity on, whatever the configuration says\n"
    "  -h, --help         this text\n"
    "\n"
    "Signals: TERM or INT finish the sessions in hand and stop; HUP reads configuration and certificates again "
    "without\n"
    "dropping a session; USR1 opens the log file again.\n"
    "\n"
    "Exit status: 64 wrong usage, 67 a system user is missing, 69 a port or the lock is taken, 73 a file or directory\n"
    "cannot be written, 77 not permitted, 78 wrong configuration.\n"
    "\n"
    "Examples:\n"
    "  parcelpostd -T                   what would it do?\n"
    "  parcelpostd -c my.conf --debug   try a configuration, with everything in the log\n"
    "  parcelpost check                 is everything around it as it should be?\n"
    "See also: parcelpost(8), parcelpost-queue(8), parcelpost.conf(5)\n";

struct command_line {
    const char *file;
    bool test;
    struct listener_options listener;
};
enum long_option { OPTION_LEVEL = 1000, OPTION_DAEMONIZE = OPTION_LEVEL + LOG_LEVEL_FATAL + 1 };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"foreground", no_argument, NULL, 'f'},
    {"test", no_argument, NULL, 'T'},
    {"help", no_argument, NULL, 'h'},
    {"debug", no_argument, NULL, OPTION_LEVEL + LOG_LEVEL_DEBUG},
    {"info", no_argument, NULL, OPTION_LEVEL + LOG_LEVEL_INFO},
    {"warn", no_argument, NULL, OPTION_LEVEL + LOG_LEVEL_WARN},
    {"error", no_argument, NULL, OPTION_LEVEL + LOG_LEVEL_ERROR},
    {"fatal", no_argument, NULL, OPTION_LEVEL + LOG_LEVEL_FATAL},
    {"daemonize", no_argument, NULL, OPTION_DAEMONIZE},
    {NULL, 0, NULL, 0},
};

static int take_option(int option, struct command_line *line) {
    switch (option) {
    case 'c':
        line->file = optarg;
        return -1;
    case 'f':
        line->listener.daemonize = false;
        return -1;
    case 'T':
        line->test = true;
        return -1;
    case 'h':
        fputs(help, stdout);
        return EXIT_STATUS_OK;
    case OPTION_DAEMONIZE:
        line->listener.daemonize = true;
        return -1;
    default:
        if (option >= OPTION_LEVEL && option <= OPTION_LEVEL + LOG_LEVEL_FATAL) {
            line->listener.log_level = option - OPTION_LEVEL;
            return -1;
        }
        fputs("Try: parcelpostd --help\n", stderr);
        return EXIT_STATUS_USAGE;
    }
}

/* The rules as the server would read them, with the caller's rights. */
static bool rules_are_good(const struct config *config) {
    struct sql_rules rules;
    struct buffer error;
    buffer_init(&error, 4096);
    bool good =
        sql_rules_read(config->rules_directory, &rules, &error) && sql_rules_check(&rules, config->database, &error);
    if (!good) {
        fprintf(stderr, "parcelpostd: %s\n", buffer_string(&error));
    }
    sql_rules_free(&rules);
    buffer_free(&error);
    return good;
}

static int test(struct config *config) {
    int status = EXIT_STATUS_OK;
    if (!rules_are_good(config)) {
        status = EXIT_STATUS_CONFIG;
    } else if (!config_print(config, stdout)) {
        status = EXIT_STATUS_IO;
    }
    config_free(config);
    return status;
}

int main(int argc, char **argv) {
    struct command_line line = {.listener = {.log_level = -1}};
    int option;
    while ((option = getopt_long(argc, argv, "c:fTh", long_options, NULL)) != -1) {
        int status = take_option(option, &line);
        if (status >= 0) {
            return status;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "parcelpostd: \"%s\" is not an option. Try: parcelpostd --help\n", argv[optind]);
        return EXIT_STATUS_USAGE;
    }
    struct config *config = setup_configuration("parcelpostd", line.file);
    if (config == NULL) {
        return EXIT_STATUS_CONFIG;
    }
    if (line.test) {
        return test(config);
    }
    return listener_main(config, &line.listener);
}
