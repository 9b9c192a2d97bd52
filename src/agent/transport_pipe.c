/* SPDX-License-Identifier: MIT
 * The pipe transport: final delivery to a program of the operator's, once for each recipient, with the message on its
 * standard input, the envelope in its environment, and its exit status as the verdict (sysexits.h). Runs as the
 * transport's configured user, never one a message names, and never through a shell. What is only the operator's
 * mistake or the machine's trouble defers. */
#include "agent/program.h"
#include "agent/trace_fields.h"
#include "agent/transport.h"
#include "base/command_words.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define OUTPUT_MAXIMUM 4096 /* of which the first line is told */
#define LINE_SHOWN 200
#define VARIABLES_MAXIMUM 16
#define VARIABLE_SIZE 2048

/* As Postfix's pipe(8), but what the operator can mend waits instead of going back to its sender: a wrong command, a
 * wrong setting, a file or device that fails. Every other status is a failure. */
static const struct {
    int status;
    enum result_kind kind;
    const char *reply, *words;
} verdicts[] = {
    {EX_OK, RESULT_DELIVERED, "250 2.0.0", "delivered"},
    {EX_USAGE, RESULT_DEFERRED, "451 4.3.5", "command line usage error"},
    {EX_DATAERR, RESULT_FAILED, "554 5.6.0", "data format error"},
    {EX_NOINPUT, RESULT_FAILED, "554 5.3.0", "cannot open input"},
    {EX_NOUSER, RESULT_FAILED, "550 5.1.1", "user unknown"},
    {EX_NOHOST, RESULT_FAILED, "550 5.1.2", "host name unknown"},
    {EX_UNAVAILABLE, RESULT_FAILED, "554 5.3.0", "service unavailable"},
    {EX_SOFTWARE, RESULT_FAILED, "554 5.3.0", "internal software error"},
    {EX_OSERR, RESULT_DEFERRED, "451 4.3.0", "system resource problem"},
    {EX_OSFILE, RESULT_DEFERRED, "451 4.3.5", "critical system file missing"},
    {EX_CANTCREAT, RESULT_DEFERRED, "451 4.2.0", "cannot create the output file"},
    {EX_IOERR, RESULT_DEFERRED, "451 4.3.0", "input or output error"},
    {EX_TEMPFAIL, RESULT_DEFERRED, "451 4.3.0", "temporary failure"},
    {EX_PROTOCOL, RESULT_FAILED, "554 5.5.0", "remote error in protocol"},
    {EX_NOPERM, RESULT_FAILED, "550 5.7.0", "permission denied"},
    {EX_CONFIG, RESULT_DEFERRED, "451 4.3.5", "local configuration error"},
    {126, RESULT_DEFERRED, "451 4.3.5", "command not executable"},
    {127, RESULT_DEFERRED, "451 4.3.5", "command not found"},
};

struct envelope_parts { /* of the mailbox; views */
    struct text local, extension, domain;
};
struct variables {
    char text[VARIABLES_MAXIMUM][VARIABLE_SIZE];
    char *list[VARIABLES_MAXIMUM + 1];
    size_t count;
};

static struct envelope_parts split_mailbox(const char *mailbox, const char *delimiter) {
    const char *at = strrchr(mailbox, '@');
    struct envelope_parts parts = {.local =
                                       at != NULL ? (struct text){mailbox, (size_t)(at - mailbox)} : text_of(mailbox),
                                   .extension = TEXT_NONE,
                                   .domain = text_of(at != NULL ? at + 1 : "")};
    size_t tag = delimiter[0] != '\0' ? text_find(parts.local, delimiter[0]) : parts.local.length;
    if (tag > 0 && tag < parts.local.length) {
        parts.extension = text_from(parts.local, tag + 1);
        parts.local = text_first(parts.local, tag);
    }
    return parts;
}

static bool add_variable(struct variables *variables, const char *name, struct text value) {
    char *place = variables->text[variables->count];
    int length = snprintf(place, VARIABLE_SIZE, "%s=%.*s", name, TEXT_ARGS(value));
    variables->list[variables->count++] = place;
    return length > 0 && length < VARIABLE_SIZE;
}

static bool fill_environment(struct variables *variables, const struct transport_context *context,
                             const struct delivery *delivery, const struct delivery_recipient *recipient) {
    const char *mailbox = trace_fields_mailbox(recipient), *path = getenv("PATH"), *zone = getenv("TZ");
    const struct envelope_parts parts = split_mailbox(mailbox, context->config->recipient_delimiter);
    memset(variables->list, 0, sizeof variables->list);
    variables->count = 0;
    return add_variable(variables, "PATH", text_of(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin")) &&
           add_variable(variables, "HOME", text_of(context->home)) &&
           (zone == NULL || add_variable(variables, "TZ", text_of(zone))) &&
           add_variable(variables, "SENDER", text_of(delivery->from_url)) &&
           add_variable(variables, "RECIPIENT", text_of(mailbox)) &&
           add_variable(variables, "ORIGINAL_RECIPIENT", text_of(recipient->to_url)) &&
           add_variable(variables, "LOCAL_PART", parts.local) &&
           add_variable(variables, "EXTENSION", parts.extension) && add_variable(variables, "DOMAIN", parts.domain) &&
           add_variable(variables, "MAIL_ID", text_of(delivery->mail_id));
}

/* A word that is %a, %u, %e or %d becomes the address, its local part, tag or domain: one word, whatever is in it.
 * False for a value that the program could take for an option. */
static bool fill_arguments(char *arguments[], const char *mailbox, const char *delimiter) {
    const struct envelope_parts parts = split_mailbox(mailbox, delimiter);
    const struct {
        const char *word;
        struct text value;
    } places[] = {{"%a", text_of(mailbox)}, {"%u", parts.local}, {"%e", parts.extension}, {"%d", parts.domain}};
    for (size_t i = 1; arguments[0] != NULL && arguments[i] != NULL; i++) {
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++) {
            if (strcmp(arguments[i], places[j].word) != 0) {
                continue;
            }
            if (places[j].value.length > 0 && places[j].value.data[0] == '-') {
                return false;
            }
            free(arguments[i]);
            arguments[i] = memory_string(places[j].value);
            break;
        }
    }
    return true;
}

/* ": FIRST LINE" of what it said, or "". */
static void first_line(struct text output, char shown[LINE_SHOWN]) {
    char line[LINE_SHOWN - 4];
    struct text first = text_trim(text_first(output, text_find(output, '\n')));
    text_printable(line, sizeof line, text_first(first, sizeof line - 1));
    snprintf(shown, LINE_SHOWN, "%s%s", line[0] != '\0' ? ": " : "", line);
}

static void set_status(struct delivery_recipient *recipient, const char *name, int status, const char *said) {
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (verdicts[i].status == status) {
            delivery_set(recipient, verdicts[i].kind, "%s %s: %s%s", verdicts[i].reply, name, verdicts[i].words, said);
            return;
        }
    }
    delivery_set(recipient, RESULT_FAILED, "554 5.3.0 %s: ended with status %d%s", name, status, said);
}

static void set_verdict(struct delivery_recipient *recipient, const struct transport_context *context,
                        enum program_end end, int status, struct text output) {
    const char *name = context->name;
    char said[LINE_SHOWN];
    first_line(output, said);
    switch (end) {
    case PROGRAM_ENDED:
        set_status(recipient, name, status, said);
        break;
    case PROGRAM_UNSTARTED:
        delivery_set(recipient, RESULT_DEFERRED, "451 4.3.5 %s: cannot be started: %s", name, strerror(status));
        break;
    case PROGRAM_KILLED:
        delivery_set(recipient, RESULT_DEFERRED, "451 4.3.0 %s: ended by signal %d%s", name, status, said);
        break;
    case PROGRAM_TIMED_OUT:
        delivery_set(recipient, RESULT_DEFERRED, "451 4.3.0 %s: took longer than %ld s%s", name,
                     context->block->timeout, said);
        break;
    case PROGRAM_OUTPUT_FULL:
        break; /* what is too much was dropped */
    }
    if (recipient->kind != RESULT_DELIVERED) {
        log_warn("transport %s", recipient->reply);
    }
}

static void run(const struct transport_context *context, const struct delivery *delivery,
                struct delivery_recipient *recipient, int input) {
    static struct variables variables; /* large */
    char *arguments[COMMAND_WORDS_MAXIMUM + 1];
    struct buffer output;
    int status = 0;
    command_words_split(context->target, arguments);
    if (!fill_environment(&variables, context, delivery, recipient) ||
        !fill_arguments(arguments, trace_fields_mailbox(recipient), context->config->recipient_delimiter)) {
        delivery_set(recipient, RESULT_FAILED, "553 5.1.3 this address cannot be given to a program");
        command_words_free(arguments);
        return;
    }
    const struct program program = {
        .arguments = arguments,
        .environment = variables.list,
        .directory = context->home,
        .input = input,
        .seconds = context->block->timeout,
        .memory_maximum = (size_t)context->block->memory_maximum,
    };
    buffer_init(&output, OUTPUT_MAXIMUM);
    enum program_end end = program_run(&program, &output, &status);
    set_verdict(recipient, context, end, status, buffer_text(&output));
    buffer_free(&output);
    command_words_free(arguments);
}

static void deliver_one(const struct transport_context *context, struct delivery *delivery,
                        struct delivery_recipient *recipient, int input) {
    struct buffer fields;
    buffer_init(&fields, TRACE_FIELDS_MAXIMUM);
    if (trace_fields_write(delivery, recipient, &fields) &&
        program_write_input(input, buffer_text(&fields), &delivery->content)) {
        run(context, delivery, recipient, input);
    } else {
        delivery_set(recipient, RESULT_DEFERRED, "451 4.3.0 %s: cannot be given the message", context->name);
        log_error("transport %s cannot be given the message: %s", context->name, strerror(errno));
    }
    buffer_free(&fields);
}

static bool pipe_deliver(struct transport_context *context, struct delivery *delivery) {
    int input = file_memory("message");
    snprintf(delivery->route, sizeof delivery->route, "pipe %.100s", context->name);
    for (size_t i = 0; i < delivery->count; i++) {
        deliver_one(context, delivery, &delivery->recipients[i], input);
    }
    close(input);
    return true;
}

const struct transport transport_pipe = {
    .name = "pipe",
    .wants_tls = false,
    .network = false,
    .runs_programs = true,
    .deliver = pipe_deliver,
    .close = NULL,
};
