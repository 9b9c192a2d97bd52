/* SPDX-License-Identifier: MIT
 * Runs the queue once, from cron or by hand. With a daemon running its queue runner is asked over the operator's
 * socket; without one this is the supervisor itself, without ports. */
#include "base/exit_status.h"
#include "base/log.h"
#include "control/operator.h"
#include "control/setup.h"
#include "listener/listener.h"
#include "mail/mail_id.h"
#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "Usage: parcelpost-queue [-c FILE] [MAIL_ID...]\n"
    "\n"
    "Tries once to deliver what is due, or only the messages named, whether due or not. When the server runs its "
    "queue\n"
    "runner does it; otherwise this program takes the spool's lock, does the work and ends.\n"
    "\n"
    "  -c, --config FILE  the configuration (default: ./etc/parcelpost.conf, else /etc/parcelpost/parcelpost.conf)\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit status: 0 nothing is left that was due; 75 something was deferred, or another run is under way; 1 an error.\n"
    "\n"
    "In crontab(5), for `runner = cron` in the configuration:\n"
    "  */5 * * * * root parcelpost-queue\n"
    "See also: parcelpost(8) (`parcelpost queue list` shows what waits), parcelpostd(8)\n";

static bool are_mail_ids(char **words) {
    for (; *words != NULL; words++) {
        if (!mail_id_is_valid(text_of(*words))) {
            fprintf(stderr, "parcelpost-queue: \"%s\" is not a mail id. Try: parcelpost queue list\n", *words);
            return false;
        }
    }
    return true;
}

/* The mail ids with a blank between them, as the runner takes them. */
static void join(char **words, struct buffer *joined) {
    for (; *words != NULL; words++) {
        if (!buffer_format(joined, joined->length > 0 ? " %s" : "%s", *words)) {
            fprintf(stderr, "parcelpost-queue: too many mail ids\n");
        }
    }
}

static int run(struct config *config, char **mail_ids) {
    struct buffer joined, answer;
    int status = EXIT_STATUS_ERROR;
    buffer_init(&joined, OPERATOR_ARGUMENT_MAXIMUM);
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    join(mail_ids, &joined);
    enum operator_result result = OPERATOR_LOST;
    operator_settle(config); /* what it is to run may just have come */
    /* With runner = cron a run may just have ended when we connected: the next one hears us. */
    for (int attempt = 0; attempt < 3 && result == OPERATOR_LOST; attempt++) {
        result = operator_ask(config, "runner.sock", "run", buffer_string(&joined), "", &answer, &status);
    }
    if (answer.length > 0) {
        printf("%s\n", buffer_string(&answer));
    }
    buffer_free(&joined);
    buffer_free(&answer);
    switch (result) {
    case OPERATOR_ANSWERED:
        config_free(config);
        return status;
    case OPERATOR_REFUSED:
        fprintf(stderr, "parcelpost-queue: %s/runner.sock: not permitted; ask as root or as %s\n",
                config->control_directory, config->user_name);
        config_free(config);
        return EXIT_STATUS_ERROR;
    case OPERATOR_LOST:
        fprintf(stderr, "parcelpost-queue: the queue runner ended before it answered\n");
        config_free(config);
        return EXIT_STATUS_TEMPFAIL;
    case OPERATOR_NOBODY:
        break;
    }
    const struct listener_options options = {
        .log_level = -1, .queue_run = true, .mail_ids = mail_ids[0] != NULL ? (const char *const *)mail_ids : NULL};
    return listener_main(config, &options);
}

int main(int argc, char **argv) {
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *file = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
            continue;
        }
        fputs(option == 'h' ? help : "Try: parcelpost-queue --help\n", option == 'h' ? stdout : stderr);
        return option == 'h' ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
    }
    if (!are_mail_ids(argv + optind)) {
        return EXIT_STATUS_USAGE;
    }
    struct config *config = setup_configuration("parcelpost-queue", file);
    return config == NULL ? EXIT_STATUS_ERROR : run(config, argv + optind);
}
