/* SPDX-License-Identifier: MIT
 * The table of commands and its dispatcher. Called by the session's loop, confined; a command that may not come now is
 * refused here, so that handlers find what they need. */
#include "receiver/commands/command.h"
#include "base/log.h"
#include "receiver/commands/extension.h"
#include "receiver/dialog.h"
#include "receiver/login/mechanism.h"

#define IN(state) (1u << (state))
#define ANY_TIME (IN(SESSION_GREETED) | IN(SESSION_READY) | IN(SESSION_MAIL) | IN(SESSION_BDAT))

const struct command commands[] = {
    {.verb = "EHLO", .handle = command_ehlo, .states = ANY_TIME, .flags = COMMAND_SMTP_ONLY | COMMAND_WITHOUT_TLS},
    {.verb = "HELO", .handle = command_helo, .states = ANY_TIME, .flags = COMMAND_SMTP_ONLY | COMMAND_WITHOUT_TLS},
    {.verb = "LHLO", .handle = command_lhlo, .states = ANY_TIME, .flags = COMMAND_LMTP_ONLY | COMMAND_WITHOUT_TLS},
    {.verb = "STARTTLS",
     .handle = command_starttls,
     .states = IN(SESSION_READY) | IN(SESSION_MAIL),
     .flags = COMMAND_NO_ARGUMENT | COMMAND_BEFORE_TLS | COMMAND_WITHOUT_TLS,
     .stage = RULE_STARTTLS,
     .extension = EXTENSION_STARTTLS},
    {.verb = "AUTH",
     .handle = command_auth,
     .states = IN(SESSION_READY),
     .flags = COMMAND_AFTER_TLS | COMMAND_MEMBERS_ONLY | COMMAND_BEFORE_LOGIN,
     .extension = EXTENSION_AUTH},
    {.verb = "MAIL", .handle = command_mail, .states = IN(SESSION_READY)},
    {.verb = "RCPT", .handle = command_rcpt, .states = IN(SESSION_MAIL)},
    {.verb = "DATA",
     .handle = command_data,
     .states = IN(SESSION_MAIL),
     .flags = COMMAND_NO_ARGUMENT | COMMAND_NEEDS_RECIPIENT | COMMAND_LINES_ONLY,
     .stage = RULE_DATA},
    {.verb = "BDAT",
     .handle = command_bdat,
     .states = IN(SESSION_MAIL) | IN(SESSION_BDAT),
     .flags = COMMAND_NEEDS_RECIPIENT | COMMAND_HAS_DATA,
     .extension = EXTENSION_CHUNKING},
    {.verb = "RSET",
     .handle = command_rset,
     .states = ANY_TIME,
     .flags = COMMAND_NO_ARGUMENT | COMMAND_WITHOUT_TLS,
     .stage = RULE_RSET},
    {.verb = "NOOP",
     .handle = command_noop,
     .states = ANY_TIME,
     .flags = COMMAND_RULES_ANSWER | COMMAND_WITHOUT_TLS,
     .stage = RULE_NOOP},
    {.verb = "VRFY", .handle = command_vrfy, .states = ANY_TIME, .flags = COMMAND_RULES_ANSWER, .stage = RULE_VRFY},
    {.verb = "EXPN", .handle = command_expn, .states = ANY_TIME, .flags = COMMAND_RULES_ANSWER, .stage = RULE_EXPN},
    {.verb = "HELP",
     .handle = command_help,
     .states = ANY_TIME,
     .flags = COMMAND_RULES_ANSWER | COMMAND_WITHOUT_TLS,
     .stage = RULE_HELP,
     .extension = EXTENSION_HELP},
    {.verb = "XCLIENT",
     .handle = command_xclient,
     .states = IN(SESSION_GREETED) | IN(SESSION_READY),
     .flags = COMMAND_FILTERS_ONLY | COMMAND_WITHOUT_TLS,
     .extension = EXTENSION_XCLIENT},
    {.verb = "QUIT", .handle = command_quit, .states = ANY_TIME, .flags = COMMAND_NO_ARGUMENT | COMMAND_WITHOUT_TLS},
};
const size_t command_count = sizeof commands / sizeof commands[0];

const struct command *command_find(struct text verb) {
    for (size_t i = 0; i < command_count; i++)
        if (text_equal_nocase(verb, text_of(commands[i].verb)))
            return &commands[i];
    return NULL;
}

static bool is_members_port(const struct session *session) {
    return session->client.auth != LISTEN_AUTH_FORBIDDEN;
}

static bool has_starttls(const struct session *session) {
    return session->start->tls != NULL && session->client.tls_mode != LISTEN_TLS_FORBIDDEN;
}

bool command_is_spoken(const struct session *session, const struct command *command) {
    if ((command->flags & COMMAND_FILTERS_ONLY) && !session->client.filter)
        return false;
    return !(command->flags & (session->client.role == ROLE_LMTP ? COMMAND_SMTP_ONLY : COMMAND_LMTP_ONLY));
}

bool command_is_offered(const struct session *session, const struct command *command) {
    if (!command_is_spoken(session, command) || !extension_is_on(session->config, command->extension))
        return false;
    if ((command->flags & COMMAND_MEMBERS_ONLY) && !is_members_port(session))
        return false;
    if ((command->flags & COMMAND_AFTER_TLS) && !session->tls)
        return false;
    if ((command->flags & COMMAND_BEFORE_TLS) && (session->tls || !has_starttls(session)))
        return false;
    return true;
}

/* What a flag asks for and the session does not have. */
static bool is_flag_refused(const struct session *session, const struct command *command, struct reply *reply) {
    const struct transaction *transaction = &session->transaction;
    bool lmtp = session->client.role == ROLE_LMTP;

    if ((command->flags & COMMAND_BEFORE_TLS) && session->tls)
        reply_set(reply, 503, "5.5.1", "TLS is active already");
    else if ((command->flags & COMMAND_BEFORE_TLS) && session->client.tls_mode == LISTEN_TLS_FORBIDDEN)
        reply_set(reply, 502, "5.5.1", "%s is not offered on this port", command->verb);
    else if ((command->flags & COMMAND_BEFORE_TLS) && session->start->tls == NULL)
        reply_set(reply, 454, "4.7.0", "TLS not available: this server has no certificate");
    else if ((command->flags & COMMAND_BEFORE_LOGIN) && session->account[0] != '\0')
        reply_set(reply, 503, "5.5.1", "Already authenticated");
    else if ((command->flags & COMMAND_NEEDS_RECIPIENT) && transaction->tried == 0)
        reply_set(reply, 503, "5.5.1", "Command out of sequence");
    else if ((command->flags & COMMAND_NEEDS_RECIPIENT) && lmtp && transaction_is_refused(transaction))
        reply_set(reply, 503, "5.5.1", "There must be at least 1 acceptable recipient"); /* RFC 2033 4.2 */
    else if ((command->flags & COMMAND_NEEDS_RECIPIENT) && transaction_is_refused(transaction))
        reply_set(reply, 554, "5.5.1", "There must be at least 1 acceptable recipient");
    else if ((command->flags & COMMAND_LINES_ONLY) && transaction->envelope.body == BODY_BINARYMIME)
        reply_set(reply, 503, "5.5.1", "BODY=BINARYMIME needs BDAT");
    else
        return false;
    return true;
}

bool command_is_refused(const struct session *session, const struct command *command, struct text argument,
                        struct reply *reply) {
    if (!extension_is_on(session->config, command->extension))
        reply_set(reply, 502, "5.5.1", "%s is switched off", command->verb);
    else if (session->client.tls_mode == LISTEN_TLS_REQUIRED && !session->tls &&
             !(command->flags & COMMAND_WITHOUT_TLS))
        reply_set(reply, 530, "5.7.0", "Must issue a STARTTLS command first");
    else if ((command->flags & COMMAND_AFTER_TLS) && !session->tls)
        reply_set(reply, 538, "5.7.11", "Encryption required for requested authentication mechanism");
    else if ((command->flags & COMMAND_MEMBERS_ONLY) && !is_members_port(session))
        reply_set(reply, 502, "5.5.1", "%s is not offered on this port", command->verb);
    else if (!(command->states & IN(session->state)))
        reply_set(reply, 503, "5.5.1", "Command out of sequence");
    else if ((command->flags & COMMAND_NO_ARGUMENT) && argument.length > 0)
        reply_set(reply, 501, "5.5.4", "%s takes no argument", command->verb);
    else
        return is_flag_refused(session, command, reply);
    return true;
}

bool command_is_http(struct text verb) {
    static const char *const words[] = {
        "GET",   "POST",  "HEAD",        "PUT",     "DELETE",  "OPTIONS",  "CONNECT", "TRACE",
        "PATCH", "Host:", "User-Agent:", "Accept:", "Cookie:", "Referer:", "PRI",     "Content-Type:"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (text_equal_nocase(verb, text_of(words[i])))
            return true;
    return false;
}

/* What follows a login that was refused may be the password: it is neither shown nor repeated, and no rule sees it. */
static void refuse_unknown(struct session *session, struct text line, struct text verb, struct text argument) {
    const struct rule *rule;
    struct reply reply;
    char shown[64];

    session->verb = "(unknown)";
    session->line_secret = session->login_tried;
    session->unknown_verb = session->login_tried ? TEXT_NONE : verb;
    session->argument = session->login_tried ? TEXT_NONE : argument;
    (void)text_printable(shown, sizeof shown, text_first(verb, 40));
    if (session->login_tried)
        (void)text_copy(shown, sizeof shown, TEXT("(not shown)"));
    dialog_from_client(session->config, session->login_tried ? text_of(shown) : line);
    if (command_is_http(verb)) {
        session_drop(session, "talk", "HTTP");
        return;
    }
    if ((rule = rule_join_answer(session, RULE_UNKNOWN, &reply)) != NULL) {
        session_send(session, &reply, rule->name, rule->mercy);
        return;
    }
    session_reply(session, 500, "5.5.1",
                  "Unrecognized command \"%s\", incorrectly formatted command, or command out of sequence", shown);
}

/* Of AUTH only a known mechanism is shown: what stands in its place may be the password. */
static void show_command(struct session *session, const struct command *command, struct text line,
                         struct text argument) {
    enum auth_mechanism mechanism = auth_mechanism_find(text_first(argument, text_find(argument, ' ')));

    if (command->handle != command_auth)
        dialog_from_client(session->config, line);
    else
        dialog_note(session->config, " -> ",
                    mechanism < AUTH_MECHANISMS ? mechanism_rows[mechanism].shown : "AUTH (not shown)");
}

/* Built-in rules for these commands are the row's flags; the operator's come behind them. */
static const struct rule *ask_rules(struct session *session, const struct command *command, struct reply *reply) {
    if (command->stage == RULE_PROXY)
        return NULL;
    if (command->flags & COMMAND_RULES_ANSWER)
        return rule_join_answer(session, command->stage, reply);
    return rule_join(session, command->stage, reply);
}

/* RFC 2920 3.1: RCPT, DATA and BDAT may have been sent before it could be read that MAIL, or every RCPT, is refused.
 * Whatever was wrong with those was counted with them; who was put off (greylisting, DNS) has done nothing wrong. */
static bool follows_refusal(const struct session *session, const struct command *command) {
    if (command->states & IN(SESSION_READY)) /* no part of a transaction that has begun */
        return false;
    return session->mail_refused ||
           ((command->flags & COMMAND_NEEDS_RECIPIENT) && transaction_is_refused(&session->transaction));
}

static void refuse(struct session *session, const struct command *command, struct text argument,
                   const struct reply *reply) {
    enum violation_mercy mercy = follows_refusal(session, command) ? VIOLATION_NEVER : VIOLATION_PLAIN;

    if (command->flags & COMMAND_HAS_DATA)
        command_bdat_refuse(session, argument, reply, "order", mercy);
    else
        session_send(session, reply, "order", mercy);
}

static void note_refused_mail(struct session *session, const struct command *command) {
    if (command->handle == command_mail)
        session->mail_refused = session->state != SESSION_MAIL;
    else if (command->states & IN(SESSION_READY))
        session->mail_refused = false;
}

/* Only a login may be longer than other lines: tokens are, and clients send them with the command. */
static bool is_line_too_long(struct session *session, const struct command *command, struct text line) {
    if (line.length + 2 <= (size_t)session->config->line_maximum ||
        (command != NULL && command->handle == command_auth))
        return false;
    session->verb = "(line)";
    session_reply(session, 500, "5.5.2", "line too long");
    return true;
}

static void dispatch(struct session *session, struct text line) {
    const struct command *command;
    const struct rule *rule;
    struct text verb, argument;
    struct reply reply;

    session->counts.commands++;
    command_line_split(line, &verb, &argument);
    command = command_find(verb);
    if (is_line_too_long(session, command, line))
        return;
    if (command == NULL || !command_is_spoken(session, command)) {
        refuse_unknown(session, line, verb, argument);
        return;
    }
    session->verb = command->verb;
    session->argument = argument;
    show_command(session, command, line, argument);
    if (command->handle == command_auth)
        session->login_tried = session->line_secret = true;
    if (command_is_refused(session, command, argument, &reply))
        refuse(session, command, argument, &reply);
    else if ((rule = ask_rules(session, command, &reply)) != NULL)
        session_send(session, &reply, rule->name, rule->mercy);
    else
        command->handle(session, argument);
    note_refused_mail(session, command);
}

void command_next(struct session *session) {
    struct text line;
    size_t maximum = session->reader.maximum;

    if (session->tls && session->account[0] == '\0' && maximum < MECHANISM_LINE_MAXIMUM)
        session->reader.maximum = MECHANISM_LINE_MAXIMUM;
    enum session_line result = session_read_line(session, &line);
    session->reader.maximum = maximum;
    if (result == SESSION_LINE)
        dispatch(session, line);
}
