/* SPDX-License-Identifier: MIT
 * The submission of one message over the Unix socket of a listen block with role sendmail. Runs under the caller's
 * privileges: the server knows the caller's uid from the socket. */
#include "control/submission.h"
#include "base/memory.h"
#include "smtp/client.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

static const struct config_listen *find_listen(const struct config *config) {
    for (size_t i = 0; i < config->listen_count; i++) {
        if (config->listens[i].role == ROLE_SENDMAIL) {
            return &config->listens[i];
        }
    }
    return NULL;
}

int submission_connect(const struct config *config, const char *program, int *status) {
    const struct config_listen *listens = find_listen(config);
    if (listens == NULL) {
        fprintf(stderr, "%s: the configuration %s has no listen block with role = sendmail\n", program, config->file);
        *status = EX_CONFIG;
        return -1;
    }
    const struct network_address *address = &listens->parsed[0];
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->storage, address->length) == 0) {
        return fd;
    }
    fprintf(stderr, "%s: the mail server does not answer at %s (%s); the message was not taken\n", program,
            listens->address, strerror(errno));
    *status = errno == EACCES ? EX_NOPERM : EX_TEMPFAIL;
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int submission_exit_status(const char *reply) {
    static const struct {
        const char *start;
        int status;
    } rows[] = {
        {"4", EX_TEMPFAIL},       {"501", EX_DATAERR},     {"530", EX_NOPERM},        {"535", EX_NOPERM},
        {"550 5.7", EX_NOPERM},   {"550 5.6", EX_DATAERR}, {"550 5.1.3", EX_DATAERR}, {"550 5.1.7", EX_DATAERR},
        {"550 5.1.2", EX_NOHOST}, {"550", EX_NOUSER},      {"551", EX_NOUSER},        {"552", EX_DATAERR},
        {"553", EX_NOUSER},       {"554 5.6", EX_DATAERR}, {"556", EX_NOHOST},        {"5", EX_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strncmp(reply, rows[i].start, strlen(rows[i].start)) == 0) {
            return rows[i].status;
        }
    }
    return EX_TEMPFAIL;
}

#define PIECE_MAXIMUM (64u * 1024) /* what the client encodes at a time */

struct content {
    struct text message, rest;
};

static bool give_content(void *context, bool rewind, struct text *piece) {
    struct content *content = context;
    content->rest = rewind ? content->message : content->rest;
    *piece = text_first(content->rest, PIECE_MAXIMUM);
    content->rest = text_from(content->rest, PIECE_MAXIMUM);
    return true;
}

static void print_line(void *context, enum client_direction direction, struct text line) {
    static const char *const arrows[] = {
        [CLIENT_TO_SERVER] = "-> ", [CLIENT_FROM_SERVER] = "<- ", [CLIENT_NOTE] = "   "};
    char shown[1024];
    (void)context;
    printf("%s%s\n", arrows[direction], text_printable(shown, sizeof(shown), line));
}

static const char *or_nothing(const char *value) {
    return value != NULL ? value : "";
}

/* The worst of all recipients' outcomes: a permanent refusal before a temporary one. */
static int judge(const struct submission *submission, const struct client_recipient *recipients) {
    int status = EX_OK;
    for (size_t i = 0; i < submission->count; i++) {
        char shown[CLIENT_REPLY_SIZE * 4];
        if (recipients[i].verdict == CLIENT_DELIVERED) {
            continue;
        }
        text_printable(shown, sizeof(shown), text_of(recipients[i].reply));
        fprintf(stderr, "%s: %s: %s\n", submission->program, recipients[i].address, shown);
        int one = recipients[i].verdict == CLIENT_FAILED ? submission_exit_status(recipients[i].reply) : EX_TEMPFAIL;
        status = status == EX_OK || status == EX_TEMPFAIL ? one : status;
    }
    return status;
}

static int send_over(struct client *client, const struct submission *submission) {
    struct client_recipient *recipients = memory_new(submission->count, sizeof(*recipients));
    struct content content = {.message = submission->message};
    struct client_message message = {
        .from = submission->from,
        .ret = or_nothing(submission->ret),
        .envid = or_nothing(submission->envid),
        .size = submission->message.length,
        .declared_eight_bit = text_has_eight_bit(submission->message),
        .has_eight_bit = text_has_eight_bit(submission->message),
        .content = give_content,
        .context = &content,
        .recipients = recipients,
        .count = submission->count,
    };
    for (size_t i = 0; i < submission->count; i++) {
        recipients[i] = (struct client_recipient){
            .address = submission->recipients[i], .notify = or_nothing(submission->notify), .orcpt = ""};
    }
    int status = EX_TEMPFAIL;
    if (client_send(client, &message) == CLIENT_SENT) {
        status = judge(submission, recipients);
    }
    free(recipients);
    return status;
}

int submission_send(const struct submission *submission) {
    struct client client = {0};
    struct client_settings settings = {.own_name = submission->config->server_name,
                                       .trace = submission->verbose ? print_line : NULL};
    int status;
    int fd = submission_connect(submission->config, submission->program, &status);
    if (fd < 0) {
        return status;
    }
    if (client_open(&client, fd, &settings) != CLIENT_OPEN) {
        fprintf(stderr, "%s: the mail server said: %s\n", submission->program, client.reply);
        return EX_TEMPFAIL;
    }
    status = send_over(&client, submission);
    client_quit(&client);
    return status;
}
