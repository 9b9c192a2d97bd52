/* SPDX-License-Identifier: MIT
 * What milter*.c share: the connection to one milter, and what is agreed with it. */
#ifndef RECEIVER_MILTER_PRIVATE_H
#define RECEIVER_MILTER_PRIVATE_H
#include "base/stream.h"
#include "milter/packet.h"
#include "receiver/joiners/milter.h"
#include "receiver/session.h"

#define MILTER_RULE_SIZE 64

enum link_state {
    LINK_OPEN, /* it is told what happens */
    LINK_DONE, /* it has accepted the session and is told nothing more */
    LINK_DOWN  /* it cannot be reached, or broke off */
};
struct milter_link {
    const struct config_milter *config;
    uint32_t index; /* among the configuration's milters */
    enum link_state state;
    bool in_message; /* it knows of a transaction */
    bool passed;     /* it is told nothing more of this message */
    bool changed;    /* it has changed this message */
    struct milter_options options;
    char *macros[MILTER_MACRO_STAGES]; /* that it wants, where it says so; owned */
    struct stream stream;
    struct rule rule; /* in whose name it objects */
    char rule_name[MILTER_RULE_SIZE];
};
struct milters {
    const struct reply *refusal; /* of the recipient in hand, while they are told of it */
    size_t count;
    struct milter_link links[];
};

/* What came of telling it something. */
enum link_outcome {
    LINK_GOES_ON,
    LINK_OBJECTS /* the reply is set */
};

/* ---- milter_link.c ---- */
/* Connects and agrees on options; a connection that there is ends. False: it is down. */
bool milter_link_open(struct session *session, struct milter_link *link);
/* Says goodbye, if it can be told. */
void milter_link_close(struct milter_link *link);
/* Sends what is composed; it may wait in the output. False: it is down. */
bool milter_link_send(struct milter_link *link, struct text packets);
/* The next answer, MILTER_PROGRESS taken as more time. Borrowed until the next. False: it is down. */
bool milter_link_await(struct milter_link *link, struct milter_answer *answer, int64_t timeout_ms, int64_t latest);
/* It is down from now on; what it has done wrong is logged. */
void milter_link_break(struct milter_link *link, const char *what);
/* How a link that is down answers at a stage. */
enum link_outcome milter_link_when_down(const struct session *session, const struct milter_link *link,
                                        enum rule_stage stage, struct reply *reply);
/* What an answer means at this stage, in a reply where it objects. Modifications are none here. */
enum link_outcome milter_link_take(struct session *session, struct milter_link *link, enum rule_stage stage,
                                   const struct milter_answer *answer, struct reply *reply);
/* Awaits a verdict and takes it. *answer: which it was. */
enum link_outcome milter_link_verdict(struct session *session, struct milter_link *link, enum rule_stage stage,
                                      struct milter_answer *answer, struct reply *reply);

/* ---- milter_macros.c ---- */
/* Appends the macros that go before a command. */
bool milter_macros_write(struct session *session, const struct milter_link *link, enum milter_command command,
                         enum milter_macro_stage stage, struct buffer *packets);

/* ---- milter_message.c ---- */
/* Header, body and end of the message in hand, and the changes that it makes. */
enum link_outcome milter_message(struct session *session, struct milter_link *link, struct reply *reply);
#endif
