/* SPDX-License-Identifier: MIT
 * sendmail: reads a message from standard input and hands it to the running server. Runs under the caller's
 * privileges and needs none: the server learns the caller's uid from the socket. Exit statuses are sysexits.h's. */
#include "control/sendmail.h"
#include "base/file.h"
#include "control/address_list.h"
#include "control/control.h"
#include "control/setup.h"
#include "control/submission.h"
#include "mail/dsn.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
    "Usage: sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N WHEN] [-R WHAT] [-V ID] [RECIPIENT...] < message\n"
    "       sendmail -bp | -q | -bs\n"
    "\n"
    "Hands a message from standard input to the Parcelpost server of this machine.\n"
    "\n"
    "  -t         take the recipients from the fields To, Cc and Bcc; Bcc is removed\n"
    "  -i, -oi    a line with a lone dot does not end the message\n"
    "  -f SENDER  the address that failures are reported to; <> for none (default: the caller's)\n"
    "  -F NAME    the full name for the From field, when the message has none\n"
    "  -N WHEN    what to tell the sender of: never, or any of success,failure,delay (default: failure,delay)\n"
    "  -R WHAT    what a notice of failure returns: full (the message) or hdrs (its header)\n"
    "  -V ID      an identifier that notices repeat\n"
    "  -v         show the conversation with the server\n"
    "  -bp        show what waits (as: parcelpost queue list)\n"
    "  -q         try to deliver what waits (as: parcelpost-queue); -qIID: only that message\n"
    "  -bs        speak SMTP on standard input and output\n"
    "  -C FILE    the configuration (default: ./etc/parcelpost.conf, else /etc/parcelpost/parcelpost.conf)\n"
    "\n"
    "Other options of other sendmail programs (-o…, -B, …) are accepted and ignored. As mailq it is sendmail -bp,\n"
    "as newaliases sendmail -bi, which does nothing.\n"
    "Exit status: 0 taken; 64 wrong usage; 65 wrong message or address; 67 no such user; 68 no such host; 69 refused;\n"
    "74 the message cannot be read; 75 the server does not run, or says to try again; 77 not permitted; 78 wrong\n"
    "configuration.\n";

struct command_line {
    const char *file, *sender, *full_name;
    char mode;              /* of -b: 'm' (deliver), 'p', 's', 'i'; 'q' for -q */
    const char *queue_mail; /* -qIID: only this mail; NULL */
    bool recipients_from_message, dots_are_data, verbose;
    const char *notify, *ret; /* RFC 3461, as SMTP writes them; NULL for none */
    char envid[3 * DSN_ENVID_MAXIMUM + 1];
};

static int fail(int status, const char *words) {
    fprintf(stderr, "sendmail: %s\n", words);
    return status;
}

/* -N, -R, -V: what the sender is to be told (RFC 3461). */
static int take_notice_option(int option, struct command_line *line) {
    unsigned notify;
    switch (option) {
    case 'N':
        if (!dsn_notify_parse(text_of(optarg), &notify)) {
            return fail(EX_USAGE, "-N takes never, or any of success,failure,delay");
        }
        line->notify = dsn_notify_text(notify);
        return -1;
    case 'R':
        line->ret = text_equal_nocase(text_of(optarg), TEXT("full")) ? "FULL" : "HDRS";
        return line->ret[0] == 'F' || text_equal_nocase(text_of(optarg), TEXT("hdrs"))
                   ? -1
                   : fail(EX_USAGE, "-R takes full or hdrs");
    default:
        return dsn_xtext_encode(text_of(optarg), line->envid, sizeof(line->envid)) &&
                       dsn_envid_is_valid(text_of(line->envid))
                   ? -1
                   : fail(EX_USAGE, "-V takes up to 100 printable characters");
    }
}

static int take_mode(struct command_line *line) {
    line->mode = optarg[0];
    if (strchr("mpsi", optarg[0]) != NULL && optarg[0] != '\0' && optarg[1] == '\0') {
        return -1;
    }
    return fail(EX_USAGE, optarg[0] == 'd' || optarg[0] == 'D' ? "the server is another program: start parcelpostd"
                                                               : "-b takes m, p, s or i");
}

static int take_option(int option, struct command_line *line) {
    switch (option) {
    case 'b':
        return take_mode(line);
    case 'I': /* as -bi */
        line->mode = 'i';
        return -1;
    case 'q':
        line->mode = 'q';
        line->queue_mail = optarg != NULL && optarg[0] == 'I' ? optarg + 1 : NULL;
        return -1;
    case 'C':
    case 'c':
        line->file = optarg;
        return -1;
    case 'f':
    case 'r':
        line->sender = optarg;
        return -1;
    case 'F':
        line->full_name = optarg;
        return -1;
    case 'o': /* -oi; other -o options say how, not what */
        line->dots_are_data = line->dots_are_data || strcmp(optarg, "i") == 0;
        return -1;
    case 'O': /* the long names of the same */
        line->dots_are_data = line->dots_are_data || text_equal_nocase(text_of(optarg), TEXT("IgnoreDots=true")) ||
                              text_equal_nocase(text_of(optarg), TEXT("IgnoreDots"));
        return -1;
    case 'i':
        line->dots_are_data = true;
        return -1;
    case 't':
        line->recipients_from_message = true;
        return -1;
    case 'v':
        line->verbose = true;
        return -1;
    case 'N':
    case 'R':
    case 'V':
        return take_notice_option(option, line);
    case 'H':
        fputs(help, stdout);
        return EX_OK;
    case '?':
        fputs("Try: sendmail --help\n", stderr);
        return EX_USAGE;
    default:
        return -1; /* A, B, d, h, L, p, X, e, m, n, G, U …: nothing that matters here */
    }
}

static int show_queue(const struct command_line *line) {
    char program[] = "parcelpost", option[] = "-c", group[] = "queue", name[] = "list", file[PATH_MAX];
    char *plain[] = {program, group, name, NULL};
    char *configured[] = {program, option, file, group, name, NULL};
    optind = 0; /* getopt starts afresh */
    if (line->file == NULL) {
        return control_main(3, plain);
    }
    return text_copy(file, sizeof(file), text_of(line->file)) ? control_main(5, configured) : EX_USAGE;
}

/* parcelpost-queue lies beside this program, or where PATH says. */
static int run_queue(const struct command_line *line) {
    char path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    char program[] = "parcelpost-queue", option[] = "-c", *words[5] = {program};
    size_t count = 1;
    if (line->file != NULL) {
        words[count++] = option;
        words[count++] = (char *)line->file;
    }
    if (line->queue_mail != NULL) {
        words[count++] = (char *)line->queue_mail;
    }
    if (length > 0) {
        path[length] = '\0';
        char *slash = strrchr(path, '/');
        if (slash != NULL) {
            snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "parcelpost-queue");
            execv(path, words);
        }
    }
    execvp(words[0], words);
    fprintf(stderr, "sendmail: parcelpost-queue cannot be run: %s\n", strerror(errno));
    return EX_OSFILE;
}

/* Copies what is there from one side to the other; false at its end. */
static bool pump(int from, int to) {
    char bytes[8192];
    ssize_t length;
    do {
        length = read(from, bytes, sizeof(bytes));
    } while (length < 0 && errno == EINTR);
    return length > 0 && file_write_all(to, bytes, (size_t)length);
}

/* -bs: the caller speaks with the server itself. */
static int converse(const struct config *config) {
    int status;
    int fd = submission_connect(config, "sendmail", &status);
    if (fd < 0) {
        return status;
    }
    struct pollfd sides[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (poll(sides, 2, -1) >= 0 || errno == EINTR) {
        if (sides[1].revents != 0 && !pump(STDIN_FILENO, fd)) {
            shutdown(fd, SHUT_WR);
            sides[1].fd = -1;
            sides[1].revents = 0;
        }
        if (sides[0].revents != 0 && !pump(fd, STDOUT_FILENO)) {
            break;
        }
    }
    close(fd);
    return EX_OK;
}

/* One only. */
static bool take_sender(void *context, const char *address) {
    struct sendmail_draft *draft = context;
    return draft->sender[0] == '\0' && sendmail_qualify(draft->config, address, draft->sender, sizeof(draft->sender));
}

/* -f, else the caller's login at the server's domain. */
static bool choose_sender(struct sendmail_draft *draft, const char *wanted) {
    const struct passwd *caller = getpwuid(getuid());
    const char *name = wanted != NULL ? wanted : caller != NULL ? caller->pw_name : "nobody";
    bool nobody = wanted != NULL && (wanted[0] == '\0' || strcmp(wanted, "<>") == 0);
    return nobody || (address_list_each(text_of(name), take_sender, draft) && draft->sender[0] != '\0');
}

static bool take_recipient(void *context, const char *address) {
    return sendmail_add_recipient(context, address);
}

static void draft_free(struct sendmail_draft *draft) {
    for (size_t i = 0; i < draft->count; i++) {
        free(draft->recipients[i]);
    }
    free(draft->recipients);
    buffer_free(&draft->message);
}

static int deliver_draft(struct sendmail_draft *draft, struct text input, const struct command_line *line) {
    struct buffer error;
    buffer_init(&error, 4096);
    int status = sendmail_prepare(draft, input, &error);
    if (status != EX_OK) {
        fail(status, buffer_string(&error));
    } else {
        const struct submission submission = {
            .config = draft->config,
            .program = "sendmail",
            .from = draft->sender,
            .recipients = draft->recipients,
            .count = draft->count,
            .message = buffer_text(&draft->message),
            .verbose = line->verbose,
            .notify = line->notify,
            .ret = line->ret,
            .envid = line->envid,
        };
        status = submission_send(&submission);
    }
    buffer_free(&error);
    return status;
}

static int deliver(const struct config *config, const struct command_line *line, char **recipients) {
    struct sendmail_draft draft = {.config = config,
                                   .dots_are_data = line->dots_are_data,
                                   .recipients_from_it = line->recipients_from_message,
                                   .full_name = line->full_name};
    struct buffer input;
    size_t maximum = (size_t)config->message_maximum;
    buffer_init(&input, maximum);
    buffer_init(&draft.message, maximum + maximum / 8 + 65536); /* CRs and added fields; the server has the last word */
    const char *wrong = choose_sender(&draft, line->sender) ? NULL : line->sender != NULL ? line->sender : "(caller)";
    for (; wrong == NULL && *recipients != NULL; recipients++) { /* MAILTO of a crontab holds several */
        wrong = address_list_each(text_of(*recipients), take_recipient, &draft) ? NULL : *recipients;
    }
    int status;
    if (wrong != NULL) {
        fprintf(stderr, "sendmail: \"%s\" is no address or list of them, is too long, or there are too many\n", wrong);
        status = EX_DATAERR;
    } else if (!file_read_into(STDIN_FILENO, &input)) {
        status = errno == EFBIG ? fail(EX_DATAERR, "the message is larger than message_maximum allows")
                                : fail(EX_IOERR, "standard input cannot be read");
    } else {
        status = deliver_draft(&draft, buffer_text(&input), line);
    }
    buffer_free(&input);
    draft_free(&draft);
    return status;
}

/* The names that links to this program have. */
static char mode_of_name(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return strcmp(name, "mailq") == 0 ? 'p' : strcmp(name, "newaliases") == 0 ? 'i' : 'm';
}

int sendmail_main(int argc, char **argv) {
    static const struct option long_options[] = {{"help", no_argument, NULL, 'H'}, {NULL, 0, NULL, 0}};
    struct command_line line = {.mode = mode_of_name(argv[0])};
    int option;
    while ((option = getopt_long(argc, argv, "A:B:C:D:GF:IL:M:N:O:R:T:UV:X:b:c:d::e:f:h:imno:p:q::r:stvx", long_options,
                                 NULL)) != -1) {
        int status = take_option(option, &line);
        if (status >= 0) {
            return status;
        }
    }
    switch (line.mode) {
    case 'i':
        return EX_OK; /* newaliases: there is nothing to rebuild */
    case 'p':
        return show_queue(&line);
    case 'q':
        return run_queue(&line);
    default:
        break;
    }
    struct config *config = setup_configuration("sendmail", line.file);
    if (config == NULL) {
        return EX_CONFIG;
    }
    int status = line.mode == 's' ? converse(config) : deliver(config, &line, argv + optind);
    config_free(config);
    return status;
}
