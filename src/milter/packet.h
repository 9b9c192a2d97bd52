/* SPDX-License-Identifier: MIT
 * The milter protocol, version 6, from the mail server's side: packets as values, no I/O. A packet is its length (4
 * bytes, network order), a command byte, and data. The protocol has no standard: this follows libmilter's mfdef.h and
 * what Sendmail and Postfix send. What milters answer is trusted no more than what clients send. */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H
#include "base/buffer.h"
#include "mail/reply.h"
#include <stdint.h>

#define MILTER_VERSION 6
#define MILTER_BODY_MAXIMUM 65535           /* of one SMFIC_BODY */
#define MILTER_PACKET_MAXIMUM (128u * 1024) /* that a milter may send; libmilter sends 64 KiB and a little */
#define MILTER_HEAD_SIZE 5                  /* length and command */

/* What we say (SMFIC_…). */
enum milter_command {
    MILTER_ABORT = 'A',
    MILTER_BODY = 'B',
    MILTER_CONNECT = 'C',
    MILTER_MACRO = 'D',
    MILTER_END = 'E', /* of the body */
    MILTER_HELO = 'H',
    MILTER_HEADER = 'L',
    MILTER_MAIL = 'M',
    MILTER_EOH = 'N', /* the header section has ended */
    MILTER_OPTNEG = 'O',
    MILTER_QUIT = 'Q',
    MILTER_RCPT = 'R',
    MILTER_DATA = 'T',
    MILTER_UNKNOWN = 'U'
};
/* What milters say (SMFIR_…). */
enum milter_answer_kind {
    MILTER_CONTINUE = 'c',
    MILTER_ACCEPT = 'a',
    MILTER_REJECT = 'r',
    MILTER_TEMPFAIL = 't',
    MILTER_DISCARD = 'd',
    MILTER_REPLY = 'y', /* first: "550 5.7.1 text", lines as on the wire */
    MILTER_SKIP = 's',
    MILTER_PROGRESS = 'p',
    MILTER_CONN_FAIL = 'f',
    MILTER_SHUTDOWN = '4',
    /* modifications, at the end of the message alone */
    MILTER_ADD_HEADER = 'h',    /* first: name, second: value */
    MILTER_INSERT_HEADER = 'i', /* number: where */
    MILTER_CHANGE_HEADER = 'm', /* number: which of that name */
    MILTER_CHANGE_SENDER = 'e', /* first: address, second: ESMTP arguments or "" */
    MILTER_ADD_RECIPIENT = '+', /* first: address */
    MILTER_ADD_RECIPIENT_ARGUMENTS = '2',
    MILTER_REMOVE_RECIPIENT = '-',
    MILTER_REPLACE_BODY = 'b', /* first: a piece of it */
    MILTER_QUARANTINE = 'q'    /* first: why */
};
/* What a milter may do (SMFIF_…). */
enum milter_action {
    MILTER_MAY_ADD_HEADERS = 0x1,
    MILTER_MAY_CHANGE_BODY = 0x2,
    MILTER_MAY_ADD_RECIPIENTS = 0x4,
    MILTER_MAY_REMOVE_RECIPIENTS = 0x8,
    MILTER_MAY_CHANGE_HEADERS = 0x10,
    MILTER_MAY_QUARANTINE = 0x20,
    MILTER_MAY_CHANGE_SENDER = 0x40,
    MILTER_MAY_ADD_RECIPIENTS_ARGUMENTS = 0x80,
    MILTER_MAY_SET_MACROS = 0x100,
    MILTER_ACTIONS = 0x1ff
};
/* What it wants not to be told, and what it does not answer (SMFIP_…). */
enum milter_step {
    MILTER_NO_CONNECT = 0x1,
    MILTER_NO_HELO = 0x2,
    MILTER_NO_MAIL = 0x4,
    MILTER_NO_RCPT = 0x8,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_EOH = 0x40,
    MILTER_QUIET_HEADER = 0x80, /* SMFIP_NR_HDR */
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_MAY_SKIP = 0x400,
    MILTER_REJECTED_RECIPIENTS = 0x800, /* it wants to see those too */
    MILTER_QUIET_CONNECT = 0x1000,
    MILTER_QUIET_HELO = 0x2000,
    MILTER_QUIET_MAIL = 0x4000,
    MILTER_QUIET_RCPT = 0x8000,
    MILTER_QUIET_DATA = 0x10000,
    MILTER_QUIET_UNKNOWN = 0x20000,
    MILTER_QUIET_EOH = 0x40000,
    MILTER_QUIET_BODY = 0x80000,
    MILTER_LEADING_SPACE = 0x100000, /* values of header fields with the blank behind the colon */
    MILTER_STEPS = 0x1fffff
};
/* For which commands a milter may name the macros that it wants (SMFIM_…). */
enum milter_macro_stage {
    MILTER_MACROS_CONNECT,
    MILTER_MACROS_HELO,
    MILTER_MACROS_MAIL,
    MILTER_MACROS_RCPT,
    MILTER_MACROS_DATA,
    MILTER_MACROS_END,
    MILTER_MACROS_EOH,
    MILTER_MACRO_STAGES
};

struct milter_packet {
    char command;
    struct text data; /* borrowed */
};
enum milter_result { MILTER_PACKET, MILTER_MORE, MILTER_BAD };
/* The packet at the front of bytes; *used: its length with its head. */
enum milter_result milter_packet_next(struct text bytes, struct milter_packet *packet, size_t *used);

struct milter_options {
    uint32_t version, actions, steps;
    bool named[MILTER_MACRO_STAGES];         /* it names the macros of this stage: */
    struct text macros[MILTER_MACRO_STAGES]; /* separated by blanks; borrowed from the packet */
};
/* The answer to our offer: nothing that was not offered, and macros for stages that there are. False otherwise. */
bool milter_options_parse(const struct milter_packet *packet, const struct milter_options *offered,
                          struct milter_options *options);

struct milter_answer {
    enum milter_answer_kind kind;
    uint32_t number;
    struct text first, second; /* borrowed from the packet */
};
/* False for a command that is none, or data that is not of its form. */
bool milter_answer_parse(const struct milter_packet *packet, struct milter_answer *answer);
/* True for those that are no verdict: more follows. */
bool milter_is_modification(enum milter_answer_kind kind);
/* What a milter needs to have been allowed for it; 0 for a verdict. */
uint32_t milter_action_of(enum milter_answer_kind kind);
/* The reply that a milter wants the client to read: 4xx or 5xx with one code in all its lines. False for any other. */
bool milter_reply_parse(struct text wire, struct reply *reply);

/* ---- what we say: appended whole, or not at all (false) when it does not fit ---- */
bool milter_write(struct buffer *out, enum milter_command command, struct text data);
/* Strings, each ended by NUL; one that holds a NUL ends there. */
bool milter_write_strings(struct buffer *out, enum milter_command command, const struct text *strings, size_t count);
bool milter_write_options(struct buffer *out, const struct milter_options *options);
/* family: '4', '6', or 'U' for unknown, then without port and ip. */
bool milter_write_connect(struct buffer *out, struct text name, char family, unsigned port, struct text ip);
/* The pairs of name and value that go before a command. */
bool milter_write_macros(struct buffer *out, enum milter_command command, struct text pairs);
#endif
