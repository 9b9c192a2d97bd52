/* SPDX-License-Identifier: MIT
 * The SMTP client (RFC 5321), which is the LMTP client (RFC 2033) too, plus one flag. It speaks over one connection
 * that somebody else made: greeting, EHLO or HELO, STARTTLS, then any number of messages. Called by delivery agents.
 * Every failure becomes a reply: what the server said, or our own 4xx words for timeouts, lost connections and replies
 * that are none; nothing but a server's 5xx behind its greeting (or a 521 in it) is ever permanent, besides what RFC
 * 1870 and 6152 say of a missing extension. Opportunistic TLS is the caller's: it gives the handshake as a function, so
 * that this folder needs no TLS.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H
#include "base/stream.h"
#include "base/text.h"
#include "mail/reply.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_REPLY_SIZE 512 /* one reply as one line, cut */

/* What EHLO offered; rows in client_hello.c. */
enum client_keyword {
    CLIENT_PIPELINING = 1 << 0,
    CLIENT_8BITMIME = 1 << 1,
    CLIENT_SIZE = 1 << 2,
    CLIENT_STARTTLS = 1 << 3,
    CLIENT_SMTPUTF8 = 1 << 4,
    CLIENT_DSN = 1 << 5,
    CLIENT_AUTH = 1 << 6,
    CLIENT_AUTH_PLAIN = 1 << 7,
    CLIENT_AUTH_LOGIN = 1 << 8,
    CLIENT_CHUNKING = 1 << 9,
    CLIENT_BINARYMIME = 1 << 10,
    CLIENT_REQUIRETLS = 1 << 11,
    CLIENT_NO_SOLICITING = 1 << 12,
    CLIENT_LIMITS = 1 << 13
};
enum client_direction { CLIENT_TO_SERVER, CLIENT_FROM_SERVER, CLIENT_NOTE };
/* Shows one line of the dialogue (never mail data). */
typedef void client_trace(void *context, enum client_direction direction, struct text line);
/* Makes the stream TLS; false with a reason when the handshake failed (then the connection is of no further use). */
typedef bool client_start_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size);
struct client_settings {
    const char *own_name;        /* for EHLO */
    bool lmtp;                   /* LHLO, and one reply for each accepted recipient */
    bool helo;                   /* HELO, not EHLO, for a server that drops who says that */
    long timeout_cap;            /* seconds: no wait is longer; 0: the RFC 5321 4.5.3.2 minima */
    client_start_tls *start_tls; /* NULL: STARTTLS is not used */
    bool tls_required;           /* without TLS nothing is sent */
    bool tls_failed;             /* over the connection before this one: that is why start_tls is NULL */
    const char *user, *password; /* a login, only ever within TLS; user NULL: none; password NULL: it is not known */
    client_trace *trace;         /* NULL: silent */
    void *context;               /* of both */
};
struct client {
    struct client_settings settings;
    struct stream stream;
    bool open; /* false: the connection is closed or must not be used any more */
    bool tls;
    bool tls_failed;                         /* it is wanted, offered, and not to be had now */
    bool greeted;                            /* with 220 */
    bool helo_wanted;                        /* as CLIENT_EHLO_REFUSED says */
    unsigned keywords;                       /* enum client_keyword */
    uint64_t size_limit;                     /* of SIZE; 0: none given */
    uint64_t recipient_limit, message_limit; /* RFC 9422 RCPTMAX, MAILMAX; 0: none given */
    unsigned messages;                       /* begun over this connection: RSET comes before the second */
    unsigned code;                           /* of the last reply; 0 when there was none */
    char reply[CLIENT_REPLY_SIZE];           /* the last reply as one line, or our own words */
};
enum client_opening {
    CLIENT_OPEN,
    CLIENT_TEMPORARY,    /* reply says why; another exchanger may do better */
    CLIENT_PERMANENT,    /* the server said 5xx */
    CLIENT_TLS_FAILED,   /* the handshake failed: connect again without TLS, or elsewhere */
    CLIENT_EHLO_REFUSED, /* with 5xx, and the connection was lost at HELO: connect again with settings.helo */
    CLIENT_UNMET         /* the TLS or the login that the settings ask for is not to be had: the operator should look */
};
/* fd is owned from now on. Reads the greeting, says EHLO (HELO, LHLO), starts TLS when offered and wanted, logs in.
 * When it is not CLIENT_OPEN the connection has been closed. settings is copied, what it points to is borrowed. */
enum client_opening client_open(struct client *client, int fd, const struct client_settings *settings);

enum client_verdict {
    CLIENT_PENDING,
    CLIENT_ACCEPTED /* RCPT was; the data's reply decides */,
    CLIENT_DELIVERED,
    CLIENT_DEFERRED,
    CLIENT_FAILED
};
struct client_recipient {
    const char *address, *notify, *orcpt; /* borrowed; notify and orcpt "" when absent (RFC 3461) */
    enum client_verdict verdict;          /* CLIENT_PENDING before, one of the last three after client_send */
    bool asked;                           /* its RCPT was sent, so that a reply belongs to it; false before */
    bool from_server;                     /* reply is what the server said, not our own words */
    bool unfit;                           /* set: failed unasked, its address is beyond what the server offers */
    bool left;                            /* set: deferred unasked, since the connection takes no further message */
    char reply[CLIENT_REPLY_SIZE];
};
/* Gives the message in pieces of at most 64 KiB, from the start after rewind; an empty piece is the end. False: it
 * cannot be read. */
typedef bool client_content(void *context, bool rewind, struct text *piece);
struct client_message {
    const char *from;        /* reverse-path, "" for <> */
    const char *ret, *envid; /* RFC 3461, "" when absent */
    uint64_t size;           /* bytes, before the encoding */
    bool binary;             /* only BDAT carries it (RFC 3030) */
    bool declared_eight_bit; /* its sender said BODY=8BITMIME */
    bool has_eight_bit;      /* and it really has such bytes */
    bool utf8;               /* its header needs SMTPUTF8, whatever the addresses are */
    bool requiretls;         /* it goes only to who offers REQUIRETLS within TLS that is verified (RFC 8689) */
    bool verified;           /* as this connection's is */
    const char *solicit;     /* RFC 3865, "" when absent */
    client_content *content;
    void *context;
    struct client_recipient *recipients;
    size_t count;
    bool unasked;     /* set: the server lacks what the message needs; nothing was sent, everybody has failed */
    bool unconfirmed; /* set: all mail data was sent and the connection lost before its reply; it may have arrived */
};
enum client_sending {
    CLIENT_SENT, /* every recipient has a verdict */
    CLIENT_STALE /* a reused connection ended before MAIL was answered, or by a 421 to it: nothing has happened, connect
                    anew */
};
/* Sends one message. Afterwards client->open tells whether the connection can carry another. */
enum client_sending client_send(struct client *client, struct client_message *message);
/* Whether the connection left some; and sends to these over another one, which gives each a verdict or leaves it again.
 * Whoever could not be asked there, since it lacks what the message needs, is put off. */
bool client_has_left(const struct client_message *message);
void client_send_left(struct client *client, struct client_message *message);
/* True when the server takes no further message over this connection (RFC 9422 MAILMAX). */
bool client_is_full(const struct client *client);
/* True when the server has closed, or said something unasked (421), while the connection was idle. */
bool client_is_stale(struct client *client);
/* QUIT, read its reply for a moment, close. Safe on a closed client. */
void client_quit(struct client *client);
#endif
