/* SPDX-License-Identifier: MIT
 * Telling milters what happens: one row a stage. Called by the joiners' table of rule.c and by the session, confined.
 * Round trips are spared where a milter has said that it does not answer, or does not want to know. */
#include "receiver/joiners/milter.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/change.h"
#include "receiver/facts/facts.h"
#include "receiver/joiners/milter_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_MAXIMUM (128u * 1024)
#define ARGUMENTS_MAXIMUM 32

/* ---- what each command says ---- */

static bool write_connect(struct session *session, struct buffer *packets) {
    const struct session_client *client = &session->client;
    char name[ADDRESS_DOMAIN_MAXIMUM + 3];

    if (client->is_local) /* as milters know programs of this host */
        return milter_write_connect(packets, TEXT("localhost"), '4', 0, TEXT("127.0.0.1"));
    facts_collect_connection(session);
    (void)snprintf(name, sizeof name, session->remote_name[0] != '\0' ? "%s" : "[%s]",
                   session->remote_name[0] != '\0' ? session->remote_name : client->peer_ip);
    return milter_write_connect(packets, text_of(name), strchr(client->peer_ip, ':') != NULL ? '6' : '4',
                                network_port(&client->peer), text_of(client->peer_ip));
}

static bool write_helo(struct session *session, struct buffer *packets) {
    const struct text name = text_of(session->facts.ehlo);

    return milter_write_strings(packets, MILTER_HELO, &name, 1);
}

/* "<address>" and the ESMTP parameters behind it. */
static bool write_path(struct session *session, struct buffer *packets, enum milter_command command,
                       const struct address *address) {
    struct text strings[ARGUMENTS_MAXIMUM], rest, item;
    char bare[2 * ADDRESS_SIZE], path[2 * ADDRESS_SIZE + 2];
    size_t count = 1;

    (void)snprintf(path, sizeof path, "<%s>", address_text(address, bare, sizeof bare));
    strings[0] = text_of(path);
    rest = text_from(session->argument, text_find(session->argument, ':') + 1);
    struct address same;
    if (address_parse_path(text_trim(rest), true, &same, &rest) != ADDRESS_OK)
        rest = TEXT_NONE;
    while (count < ARGUMENTS_MAXIMUM && text_split(&rest, ' ', &item))
        if (item.length > 0)
            strings[count++] = item;
    return milter_write_strings(packets, command, strings, count);
}

static bool write_mail(struct session *session, struct buffer *packets) {
    return write_path(session, packets, MILTER_MAIL, session->facts.sender);
}

static bool write_rcpt(struct session *session, struct buffer *packets) {
    return write_path(session, packets, MILTER_RCPT, session->facts.recipient);
}

static bool write_data(struct session *session, struct buffer *packets) {
    (void)session;
    return milter_write(packets, MILTER_DATA, TEXT_NONE);
}

static bool write_unknown(struct session *session, struct buffer *packets) {
    char line[1024];

    (void)snprintf(line, sizeof line, "%.*s %.*s", TEXT_ARGS(session->unknown_verb), TEXT_ARGS(session->argument));
    const struct text whole = text_trim(text_of(line));
    return milter_write_strings(packets, MILTER_UNKNOWN, &whole, 1);
}

static const struct step {
    enum rule_stage stage;
    enum milter_command command;
    enum milter_macro_stage macros; /* MILTER_MACRO_STAGES: none */
    uint32_t unwanted, quiet;       /* enum milter_step */
    bool (*write)(struct session *session, struct buffer *packets);
} steps[] = {
    {RULE_CONNECT, MILTER_CONNECT, MILTER_MACROS_CONNECT, MILTER_NO_CONNECT, MILTER_QUIET_CONNECT, write_connect},
    {RULE_EHLO, MILTER_HELO, MILTER_MACROS_HELO, MILTER_NO_HELO, MILTER_QUIET_HELO, write_helo},
    {RULE_MAIL, MILTER_MAIL, MILTER_MACROS_MAIL, MILTER_NO_MAIL, MILTER_QUIET_MAIL, write_mail},
    {RULE_RCPT, MILTER_RCPT, MILTER_MACROS_RCPT, MILTER_NO_RCPT, MILTER_QUIET_RCPT, write_rcpt},
    {RULE_DATA, MILTER_DATA, MILTER_MACROS_DATA, MILTER_NO_DATA, MILTER_QUIET_DATA, write_data},
    {RULE_UNKNOWN, MILTER_UNKNOWN, MILTER_MACRO_STAGES, MILTER_NO_UNKNOWN, MILTER_QUIET_UNKNOWN, write_unknown},
};

static const struct step *find_step(enum rule_stage stage) {
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i].stage == stage)
            return &steps[i];
    return NULL;
}

/* ---- telling one ---- */

static bool send_step(struct session *session, struct milter_link *link, const struct step *step) {
    struct buffer packets;
    bool sent = false;

    buffer_init(&packets, PACKETS_MAXIMUM);
    if (milter_macros_write(session, link, step->command, step->macros, &packets) && step->write(session, &packets))
        sent = milter_link_send(link, buffer_text(&packets));
    else
        milter_link_break(link, "what is to be said to it is too long");
    buffer_free(&packets);
    return sent;
}

static void tell_abort(struct milter_link *link) {
    struct buffer packets;

    if (link->state == LINK_OPEN && link->in_message) {
        buffer_init(&packets, 64);
        (void)milter_write(&packets, MILTER_ABORT, TEXT_NONE);
        if (milter_link_send(link, buffer_text(&packets)))
            (void)stream_flush(&link->stream, 0); /* as much of it as goes out at once */
        buffer_free(&packets);
    }
    link->in_message = link->passed = link->changed = false;
}

static enum link_outcome tell(struct session *session, struct milter_link *link, const struct step *step,
                              struct reply *reply) {
    struct milter_answer answer;

    if (link->state != LINK_OPEN || link->passed || (link->options.steps & step->unwanted))
        return LINK_GOES_ON;
    if (!send_step(session, link, step))
        return milter_link_when_down(session, link, step->stage, reply);
    if (link->options.steps & step->quiet)
        return LINK_GOES_ON;
    return milter_link_verdict(session, link, step->stage, &answer, reply);
}

static enum link_outcome tell_stage(struct session *session, struct milter_link *link, enum rule_stage stage,
                                    struct reply *reply) {
    if (stage == RULE_CONNECT && !milter_link_open(session, link))
        return milter_link_when_down(session, link, stage, reply);
    if (link->state == LINK_DOWN)
        return milter_link_when_down(session, link, stage, reply);
    if (stage == RULE_EHLO || stage == RULE_MAIL)
        tell_abort(link);
    if (stage == RULE_MAIL)
        link->in_message = true;
    if (stage == RULE_MESSAGE)
        return milter_message(session, link, reply);
    return tell(session, link, find_step(stage), reply);
}

/* ---- all of them ---- */

static void open_all(struct session *session) {
    const struct config_listen *listens = session->client.listens;
    size_t count = listens->milters.count;

    if (session->milters != NULL)
        return; /* begins anew */
    session->milters = memory_new(1, sizeof *session->milters + count * sizeof session->milters->links[0]);
    session->milters->count = count;
    for (size_t i = 0; i < count; i++) {
        struct milter_link *link = &session->milters->links[i];
        link->index = listens->milter_order[i];
        link->config = &session->config->milters[link->index];
        link->state = LINK_DOWN;
        (void)snprintf(link->rule_name, sizeof link->rule_name, "milter:%.50s", link->config->name);
        link->rule = (struct rule){.name = link->rule_name};
    }
}

/* LMTP's rules are asked about a message for each recipient; milters once. */
static bool is_told(const struct session *session, enum rule_stage stage) {
    if (stage == RULE_MESSAGE)
        return session->facts.recipient == NULL;
    return find_step(stage) != NULL;
}

const struct rule *milter_evaluate(struct session *session, enum rule_stage stage, struct reply *reply) {
    char line[REPLY_TEXT_SIZE];

    if (session->client.listens->milters.count == 0 || !is_told(session, stage))
        return NULL;
    if (stage == RULE_CONNECT)
        open_all(session);
    for (size_t i = 0; session->milters != NULL && i < session->milters->count; i++) {
        struct milter_link *link = &session->milters->links[i];
        if (change_discard_reason(session)[0] != '\0' && stage >= RULE_MAIL)
            break; /* what the others would say counts no more */
        if (tell_stage(session, link, stage, reply) == LINK_GOES_ON)
            continue;
        log_info("milter \"%s\": %s", link->config->name, reply_line(reply, line, sizeof line));
        if (stage == RULE_MAIL)
            milter_abort(session);
        return &link->rule;
    }
    return NULL;
}

/* The first that has not been told of this recipient. */
static size_t first_untold(const struct milters *milters, const struct rule *rule) {
    for (size_t i = 0; milters != NULL && i < milters->count; i++)
        if (rule == &milters->links[i].rule)
            return i + 1;
    return 0;
}

void milter_tell_refused(struct session *session, const struct recipient *recipient, const struct rule *rule,
                         const struct reply *reply) {
    struct milters *milters = session->milters;
    struct reply ignored;

    for (size_t i = first_untold(milters, rule); milters != NULL && i < milters->count; i++) {
        if (!(milters->links[i].options.steps & MILTER_REJECTED_RECIPIENTS))
            continue;
        session->facts.recipient = &recipient->address;
        milters->refusal = reply;
        (void)tell(session, &milters->links[i], find_step(RULE_RCPT), &ignored);
        milters->refusal = NULL;
        session->facts.recipient = NULL;
    }
}

void milter_abort(struct session *session) {
    for (size_t i = 0; session->milters != NULL && i < session->milters->count; i++)
        tell_abort(&session->milters->links[i]);
}

void milter_close(struct session *session) {
    milter_abort(session);
    for (size_t i = 0; session->milters != NULL && i < session->milters->count; i++)
        milter_link_close(&session->milters->links[i]);
    free(session->milters);
    session->milters = NULL;
}
