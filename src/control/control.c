/* SPDX-License-Identifier: MIT
 * The table of `parcelpost` subcommands, its help and its dispatcher. A row says how many words a subcommand takes, so
 * that its function need not check. */
#include "control/control.h"
#include "control/operator.h"
#include "control/setup.h"
#include "spool/spool.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct subcommand {
    const char *group, *name; /* name: "" when the group has one only */
    const char *arguments;
    int least, most; /* words after the name */
    control_command *run;
    const char *help;
};

#define ANY 10000 /* words */
static const struct subcommand subcommands[] = {
    {"queue", "list", "[FILTER...] [--json]", 0, ANY, control_queue_list,
     "mail that waits: id, state, next attempt, last answer"},
    {"queue", "show", "MAIL_ID [--headers|--message|--json]", 1, 2, control_queue_show,
     "one message: where it came from, every recipient, every attempt; or its text"},
    {"queue", "retry", "WHICH", 1, ANY, control_queue_retry, "try to deliver now"},
    {"queue", "hold", "WHICH", 1, ANY, control_queue_hold, "do not deliver until released"},
    {"queue", "release", "WHICH", 1, ANY, control_queue_release, "deliver what is held"},
    {"queue", "bounce", "WHICH [--message TEXT]", 1, ANY, control_queue_bounce,
     "give mail up; its sender is told, with these words"},
    {"queue", "remove", "WHICH", 1, ANY, control_queue_remove, "give mail up; its sender is not told"},
    {"queue", "rebuild", "", 0, 0, control_queue_rebuild,
     "make the database anew from the spool (the server must be stopped)"},
    {"hold-rule", "add", "KIND PATTERN [REASON]", 2, 3, control_hold_rule_add,
     "hold mail that comes from now on; KIND: sender, recipient, domain, account, ip"},
    {"hold-rule", "list", "[--json]", 0, 1, control_hold_rule_list, "which mail is held when it comes"},
    {"hold-rule", "remove", "KIND PATTERN", 2, 2, control_hold_rule_remove, "let such mail pass again"},
    {"changes", "", "[--json]", 0, 1, control_changes, "what operators changed: when, who, what, how many"},
    {"contacts", "list", "", 0, 0, control_contacts_list, "who has connected, and who is locked out"},
    {"contacts", "show", "IP", 1, 1, control_contacts_show, "one contact: its violations, its mail"},
    {"contacts", "lock", "IP [SECONDS]", 1, 2, control_contacts_lock, "lock a contact out"},
    {"contacts", "forgive", "IP|all", 1, 1, control_contacts_forgive, "forget violations and end a lockout"},
    {"greylist", "list", "[--json]", 0, 1, control_greylist_list,
     "strangers who were asked to come again, and those who did"},
    {"tls", "list", "", 0, 0, control_tls_list, "which domains' servers have shown TLS, and are expected to again"},
    {"tls", "forgive", "DOMAIN|all", 1, 1, control_tls_forgive, "send there even when TLS is suddenly missing"},
    {"tls", "certificate", "[SERVER_NAME]", 0, 1, control_tls_certificate,
     "the certificate that a client gets who asks for this name; or all"},
    {"user", "add", "ADDRESS", 1, 2, control_user_add,
     "a new user; asks for the password, or reads it from standard input"},
    {"user", "passwd", "ADDRESS", 1, 2, control_user_passwd, "a new password for a user"},
    {"user", "list", "", 0, 0, control_user_list, "all users"},
    {"user", "remove", "ADDRESS", 1, 1, control_user_remove,
     "a user may no longer log in or get mail; delivered mail stays"},
    {"why", "", "MAIL_ID|ADDRESS|DOMAIN|IP", 1, 1, control_why,
     "the story of a message, of somebody's mail, of a domain, of a contact; what you can do"},
    {"alias", "add", "ADDRESS|@DOMAIN TARGET... [owner=ADDRESS]", 2, ANY, control_alias_add,
     "mail for it goes to these: addresses, @DOMAIN, /FILE of addresses, |TRANSPORT; owner: of a list"},
    {"alias", "remove", "ADDRESS|@DOMAIN [TARGET...]", 1, ANY, control_alias_remove, "no longer, or not to these"},
    {"alias", "list", "[ADDRESS]", 0, 1, control_alias_list, "all aliases, or one"},
    {"alias", "test", "ADDRESS [SENDER]", 1, 2, control_alias_test, "where mail to an address goes in the end"},
    {"vacation", "set", "ADDRESS SUBJECT [TEXT] [days=7] [from=DATE] [until=DATE]", 2, 6, control_vacation_set,
     "answer whoever writes to a user, once in so many days; the text may come from standard input"},
    {"vacation", "off", "ADDRESS", 1, 1, control_vacation_off, "no more answers"},
    {"vacation", "list", "", 0, 0, control_vacation_list, "who is away"},
    {"check", "", "", 0, 0, control_check, "is everything around the server as it should be?"},
    {"stats", "", "[--json]", 0, 1, control_stats, "parcels by state, age and domain; the last hour"},
    {"top", "", "[SECONDS] [--once]", 0, 2, control_top, "the server at work, drawn anew every 2 seconds"},
    {"send", "", "ADDRESS SUBJECT [TEXT]", 2, 3, control_send,
     "a message to a user; the text may come from standard input"},
    {"dkim", "make", "FILE [rsa|ed25519]", 1, 2, control_dkim_make, "a new key, and the DNS record to publish"},
    {"dkim", "show", "[FILE]", 0, 1, control_dkim_show, "the DNS record of a key, or of every configured key"},
    {"rules", "list", "", 0, 0, control_rules_list, "the operator's own rules: name, file and line, statement"},
    {"rules", "facts", "[VERB]", 0, 1, control_rules_facts, "the facts that a rule may name, of one verb or of all"},
    {"rules", "test", "VERB [NAME=VALUE...]", 1, 100, control_rules_test,
     "what the rules of a verb would say to a client of whom these facts hold"},
    {"rules", "replay", "[DAYS]", 0, 1, control_rules_replay,
     "which answers of the last days (7) would be others with the rules as they are in the files now"},
    {"dns", "query", "a|aaaa|mx|txt|ptr|dnsbl NAME [ZONE]", 2, 3, control_dns_query,
     "what the configured name servers say"},
};
#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static const char help_head[] = "Usage: parcelpost [-c FILE] SUBCOMMAND [ARGUMENT...]\n"
                                "\n"
                                "Looks after a Parcelpost mail server: what waits, who connected, who may log in.\n"
                                "\n";
static const char help_tail[] =
    "\n"
    "  -c, --config FILE  the configuration (default: ./etc/parcelpost.conf, else /etc/parcelpost/parcelpost.conf)\n"
    "  -h, --help         this text\n"
    "\n"
    "WHICH: MAIL_ID..., \"all\", or FILTER...: sender=ADDRESS recipient=ADDRESS domain=DOMAIN (* for anything),\n"
    "older=2h younger=3d reason=WORDS state=held,deferred limit=NUMBER\n"
    "\n"
    "Examples:\n"
    "  parcelpost user add coco@example.org     then coco can log in on port 587 and get mail\n"
    "  parcelpost alias add info@example.org coco@example.org\n"
    "  parcelpost why coco@example.org          where is that message?\n"
    "  parcelpost contacts forgive 192.0.2.7    let a locked-out contact in again\n"
    "  parcelpost dkim make /etc/parcelpost/dkim.pem ed25519\n"
    "\n"
    "Everything can also be read with sqlite3; see parcelpost(8) for the tables.\n"
    "Exit status: 0 done; 1 an error; 64 wrong usage; 67 no such user, message or contact; 75 try again later;\n"
    "77 not permitted; 78 wrong configuration.\n";

static void print_row(FILE *out, const struct subcommand *row) {
    char words[96];
    snprintf(words, sizeof(words), "%s%s%s%s%s", row->group, row->name[0] != '\0' ? " " : "", row->name,
             row->arguments[0] != '\0' ? " " : "", row->arguments);
    if (strlen(words) > 32) {
        fprintf(out, "  %s\n  %-32s %s\n", words, "", row->help);
    } else {
        fprintf(out, "  %-32s %s\n", words, row->help);
    }
}

static void print_help(FILE *out, const char *group) {
    fputs(help_head, out);
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (group == NULL || strcmp(subcommands[i].group, group) == 0) {
            print_row(out, &subcommands[i]);
        }
    }
    fputs(help_tail, out);
}

static bool is_group(const char *word) {
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(subcommands[i].group, word) == 0) {
            return true;
        }
    }
    return false;
}

/* The row these words begin with; *used: how many of them name it. */
static const struct subcommand *find(int count, char **words, int *used) {
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        bool alone = subcommands[i].name[0] == '\0';
        if (strcmp(subcommands[i].group, words[0]) == 0 &&
            (alone || (count > 1 && strcmp(subcommands[i].name, words[1]) == 0))) {
            *used = alone ? 1 : 2;
            return &subcommands[i];
        }
    }
    return NULL;
}

int control_fail(int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("parcelpost: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return status;
}

struct database *control_database(struct control *control) {
    struct buffer error;
    operator_settle(control->config);
    buffer_init(&error, 4096);
    struct database *database = database_open(control->config->database, DATABASE_MAIN, DATABASE_READ, &error);
    if (database == NULL) {
        control_fail(0, "%s", buffer_string(&error));
    }
    buffer_free(&error);
    return database;
}

void control_tell_unread(struct control *control, struct database *database) {
    unsigned count = spool_count_unread(control->config->queue, database);
    int fd;
    if (count > 0 && operator_connect(control->config, "ledger.sock", &fd) == OPERATOR_ANSWERED) {
        (void)close(fd); /* one that runs writes them in a moment */
    } else if (count > 0) {
        fprintf(stderr, "%u message%s in the journal %s no rows yet: start the server, or run parcelpost-queue\n",
                count, count == 1 ? "" : "s", count == 1 ? "has" : "have");
    }
}

static int wrong_usage(const char *group) {
    if (group != NULL && is_group(group)) {
        fprintf(stderr, "parcelpost: that is not how \"%s\" is used:\n\n", group);
        for (size_t i = 0; i < SUBCOMMANDS; i++) {
            if (strcmp(subcommands[i].group, group) == 0) {
                print_row(stderr, &subcommands[i]);
            }
        }
        return EXIT_STATUS_USAGE;
    }
    if (group != NULL) {
        fprintf(stderr, "parcelpost: there is no subcommand \"%s\". ", group);
    }
    fputs("Try: parcelpost --help\n", stderr);
    return EXIT_STATUS_USAGE;
}

static int run(const char *file, int count, char **words) {
    int used = 0;
    if (count == 0) {
        return wrong_usage(NULL);
    }
    const struct subcommand *row = find(count, words, &used);
    if (row == NULL || count - used < row->least || count - used > row->most) {
        return wrong_usage(words[0]);
    }
    struct control control = {.config = setup_configuration("parcelpost", file)};
    if (control.config == NULL) {
        return EXIT_STATUS_CONFIG;
    }
    int status = row->run(&control, count - used, words + used);
    config_free(control.config);
    if (fflush(stdout) != 0) {
        return EXIT_STATUS_IO;
    }
    return status;
}

int control_main(int argc, char **argv) {
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *file = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "+c:h", long_options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
        } else if (option == 'h') {
            print_help(stdout, NULL);
            return EXIT_STATUS_OK;
        } else {
            return wrong_usage(NULL);
        }
    }
    if (argc > optind && strcmp(argv[optind], "help") == 0) {
        print_help(stdout, argc > optind + 1 && is_group(argv[optind + 1]) ? argv[optind + 1] : NULL);
        return EXIT_STATUS_OK;
    }
    return run(file, argc - optind, argv + optind);
}
