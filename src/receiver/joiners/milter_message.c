/* SPDX-License-Identifier: MIT
 * The message in hand, told to one milter from its first header field to its end, and what the milter does to it.
 * Called by milter.c at the end of the data, confined. The body goes from where the message lies, a piece at a time;
 * what changes goes through change.h. A milter that breaks off when it has begun to change the message puts it off. */
#include "base/clock.h"
#include "mail/header.h"
#include "receiver/change.h"
#include "receiver/joiners/milter_private.h"
#include <stdio.h>
#include <string.h>

#define FIELD_MAXIMUM 65500u /* of name and value; libmilter takes no packet above 64 KiB */
#define MODIFICATIONS_MAXIMUM 5000u

struct telling {
    struct session *session;
    struct milter_link *link;
    struct reply *reply;
    struct milter_answer answer;
    bool replacing; /* the body */
};

/* Sends what was composed; a verdict is awaited where the milter gives one. */
static enum link_outcome tell(struct telling *telling, struct buffer *packets, uint32_t quiet) {
    struct milter_link *link = telling->link;
    bool sent = milter_link_send(link, buffer_text(packets));

    telling->answer.kind = MILTER_CONTINUE;
    buffer_free(packets);
    if (!sent)
        return milter_link_when_down(telling->session, link, RULE_MESSAGE, telling->reply);
    if (link->options.steps & quiet)
        return LINK_GOES_ON;
    return milter_link_verdict(telling->session, link, RULE_MESSAGE, &telling->answer, telling->reply);
}

/* True while it wants to be told more of the message. */
static bool goes_on(const struct telling *telling, enum link_outcome outcome) {
    return outcome == LINK_GOES_ON && telling->link->state == LINK_OPEN && !telling->link->passed;
}

/* ---- telling ---- */

/* As Sendmail does it: lines of a folded value end in LF, without the blank behind the colon unless it is wanted. */
static void append_value(struct buffer *value, const struct header_field *field, bool leading) {
    struct text raw = field->value;
    size_t colon = text_find(field->whole, ':');

    if (leading && text_find(field->whole, '\n') > colon)
        raw = (struct text){field->whole.data + colon + 1,
                            (size_t)(field->value.data + field->value.length - field->whole.data) - colon - 1};
    for (size_t i = 0; i < raw.length; i++)
        if (raw.data[i] != '\r' && !buffer_append_byte(value, raw.data[i]))
            return;
}

static enum link_outcome tell_field(struct telling *telling, const struct header_field *field) {
    struct buffer packets, value;

    buffer_init_wiped(&packets, FIELD_MAXIMUM + 64);
    buffer_init_wiped(&value,
                      FIELD_MAXIMUM - (field->name.length < FIELD_MAXIMUM ? field->name.length : FIELD_MAXIMUM));
    append_value(&value, field, (telling->link->options.steps & MILTER_LEADING_SPACE) != 0);
    const struct text strings[] = {text_first(field->name, FIELD_MAXIMUM), buffer_text(&value)};
    (void)milter_write_strings(&packets, MILTER_HEADER, strings, 2);
    buffer_free(&value);
    return tell(telling, &packets, MILTER_QUIET_HEADER);
}

static enum link_outcome tell_header(struct telling *telling) {
    struct text section = message_header(&telling->session->transaction.message);
    enum link_outcome outcome = LINK_GOES_ON;
    struct header_field field;

    if (telling->link->options.steps & MILTER_NO_HEADERS)
        return LINK_GOES_ON;
    while (goes_on(telling, outcome) && telling->answer.kind != MILTER_SKIP && header_next(&section, &field))
        outcome = tell_field(telling, &field);
    telling->answer.kind = MILTER_CONTINUE;
    return outcome;
}

static enum link_outcome tell_header_end(struct telling *telling) {
    struct buffer packets;

    if (telling->link->options.steps & MILTER_NO_EOH)
        return LINK_GOES_ON;
    buffer_init(&packets, FIELD_MAXIMUM);
    (void)milter_macros_write(telling->session, telling->link, MILTER_EOH, MILTER_MACROS_EOH, &packets);
    (void)milter_write(&packets, MILTER_EOH, TEXT_NONE);
    return tell(telling, &packets, MILTER_QUIET_EOH);
}

static enum link_outcome tell_body(struct telling *telling) {
    static char piece[MILTER_BODY_MAXIMUM];
    enum link_outcome outcome = LINK_GOES_ON;
    struct buffer packets;
    uint64_t offset = 0;
    ssize_t length;

    if (telling->link->options.steps & MILTER_NO_BODY)
        return LINK_GOES_ON;
    while (goes_on(telling, outcome) && telling->answer.kind != MILTER_SKIP) {
        length = message_read_body(&telling->session->transaction.message, offset, piece, sizeof piece);
        if (length == 0)
            break;
        if (length < 0) {
            reply_set(telling->reply, 451, "4.3.0", "%s error: the message cannot be read again",
                      telling->session->config->server_name);
            return LINK_OBJECTS;
        }
        buffer_init_wiped(&packets, sizeof piece + 64);
        (void)milter_write(&packets, MILTER_BODY, (struct text){piece, (size_t)length});
        explicit_bzero(piece, (size_t)length); /* the next client may have the same receiver */
        outcome = tell(telling, &packets, MILTER_QUIET_BODY);
        offset += (uint64_t)length;
    }
    return outcome;
}

/* ---- what it does ---- */

static enum change_outcome replace_body(struct telling *telling, struct text piece) {
    enum change_outcome outcome = CHANGE_DONE;

    if (!telling->replacing)
        outcome = change_begin_body(telling->session);
    telling->replacing = true;
    return outcome == CHANGE_DONE ? change_body(telling->session, piece) : outcome;
}

static void quarantine(const struct telling *telling, struct text why) {
    char shown[128], reason[CHANGE_REASON_SIZE];

    (void)snprintf(reason, sizeof reason, "held by milter %.100s: %s", telling->link->config->name,
                   text_printable(shown, sizeof shown, why));
    change_hold(telling->session, text_of(reason));
}

/* False when it broke off, or must. What is only not acceptable was logged, and the rest goes on. */
static bool make(struct telling *telling) {
    struct session *session = telling->session;
    const struct milter_answer *answer = &telling->answer;
    enum change_outcome outcome = CHANGE_DONE;

    if (!(telling->link->options.actions & milter_action_of(answer->kind))) {
        milter_link_break(telling->link, "it makes a change that it did not ask for at the beginning");
        return false;
    }
    telling->link->changed = true;
    switch (answer->kind) {
    case MILTER_ADD_HEADER:
        (void)change_add_header(session, answer->first, answer->second);
        break;
    case MILTER_INSERT_HEADER:
        (void)change_insert_header(session, answer->number, answer->first, answer->second);
        break;
    case MILTER_CHANGE_HEADER:
        (void)change_replace_header(session, answer->number, answer->first, answer->second);
        break;
    case MILTER_CHANGE_SENDER:
        (void)change_sender(session, answer->first, answer->second);
        break;
    case MILTER_ADD_RECIPIENT:
    case MILTER_ADD_RECIPIENT_ARGUMENTS:
        (void)change_add_recipient(session, answer->first, answer->second);
        break;
    case MILTER_REMOVE_RECIPIENT:
        (void)change_remove_recipient(session, answer->first);
        break;
    case MILTER_REPLACE_BODY:
        outcome = replace_body(telling, answer->first);
        break;
    case MILTER_QUARANTINE:
        quarantine(telling, answer->first);
        break;
    default:
        break;
    }
    if (outcome == CHANGE_DONE)
        return true;
    milter_link_break(telling->link, "its new body cannot be kept");
    return false;
}

/* Its changes up to its verdict. */
static enum link_outcome take_end(struct telling *telling) {
    struct milter_link *link = telling->link;
    int64_t timeout = 1000 * link->config->content_timeout, latest = clock_deadline(2 * timeout);
    unsigned changes = 0;

    while (milter_link_await(link, &telling->answer, timeout, latest)) {
        if (!milter_is_modification(telling->answer.kind)) {
            if (telling->replacing)
                (void)change_end_body(telling->session);
            return milter_link_take(telling->session, link, RULE_MESSAGE, &telling->answer, telling->reply);
        }
        if (telling->answer.kind != MILTER_REPLACE_BODY && ++changes > MODIFICATIONS_MAXIMUM)
            milter_link_break(link, "it makes changes without end");
        else if (make(telling))
            continue;
        break;
    }
    return milter_link_when_down(telling->session, link, RULE_MESSAGE, telling->reply);
}

static enum link_outcome tell_end(struct telling *telling) {
    struct buffer packets;

    buffer_init(&packets, FIELD_MAXIMUM);
    (void)milter_macros_write(telling->session, telling->link, MILTER_END, MILTER_MACROS_END, &packets);
    (void)milter_write(&packets, MILTER_END, TEXT_NONE);
    bool sent = milter_link_send(telling->link, buffer_text(&packets));
    buffer_free(&packets);
    if (!sent)
        return milter_link_when_down(telling->session, telling->link, RULE_MESSAGE, telling->reply);
    return take_end(telling);
}

enum link_outcome milter_message(struct session *session, struct milter_link *link, struct reply *reply) {
    static enum link_outcome (*const parts[])(struct telling * telling) = {tell_header, tell_header_end, tell_body,
                                                                           tell_end};
    struct telling telling = {.session = session, .link = link, .reply = reply};
    enum link_outcome outcome = LINK_GOES_ON;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && goes_on(&telling, outcome); i++) {
        outcome = parts[i](&telling);
        if (parts[i] == tell_end && link->state == LINK_OPEN)
            link->in_message = false; /* it knows that the message is over */
    }
    return outcome;
}
