/* SPDX-License-Identifier: MIT
 * The envelope of one message and its text form, which lies behind the message and its added headers in the journal
 * and in queue/mail/ID (queue/README.md has the format). Values, no I/O. */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H
#include "base/buffer.h"
#include "mail/mail_id.h"
#include <stdbool.h>
#include <stdint.h>

#define ENVELOPE_TEXT_MAXIMUM (4u << 20)

/* The byte a recipient's line begins with in the file; overwritten when the recipient ends. */
enum recipient_status {
    RECIPIENT_QUEUED = 'Q',
    RECIPIENT_DELIVERED = 'D',
    RECIPIENT_FAILED = 'F',
    RECIPIENT_EXPIRED = 'E',
    RECIPIENT_REMOVED = 'R',
    RECIPIENT_HELD = 'H'
};
struct mail_status { /* of one recipient, by its number */
    uint32_t recipient;
    enum recipient_status status;
};
enum envelope_delivery { DELIVERY_NONE, DELIVERY_LOCAL, DELIVERY_REMOTE };
enum envelope_body { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME /* RFC 3030: it has what only BDAT can carry */ };

struct envelope_recipient {
    enum recipient_status status;
    enum envelope_delivery delivery;
    char *to_url; /* as the client gave it, "local@domain" */
    char *target; /* where it is delivered to: to_url, or what the lookup made of it (postmaster, an alias);
                     "|NAME": by the transport block NAME, whoever the recipient is */
    char *notify; /* RFC 3461 NOTIFY as given, "" when absent */
    char *orcpt;  /* RFC 3461 ORCPT as given (xtext), "" when absent */
    char *sender; /* reverse-path for this recipient where it is another than the message's (a list's owner, SRS); "" */
    uint32_t
        status_offset; /* set by envelope_format and envelope_parse: of the status byte within the envelope's text */
};
struct envelope { /* strings are owned, never NULL: "" when unknown */
    char mail_id[MAIL_ID_SIZE];
    int64_t received_at; /* seconds since 1970 */
    int64_t contact_id;
    char *remote_ip, *remote_name; /* remote_name: forward-confirmed PTR name */
    char *local_ip;
    uint32_t local_port;
    char *role;     /* the listener's: "mx", "internal", "submission", "sendmail", "notice", "vacation" */
    char *protocol; /* Received's "with": ESMTP, ESMTPS, ESMTPSA, … */
    char *ehlo;
    char *from_url;          /* reverse-path, "" for <> */
    char *sender_targets;    /* where mail to the reverse-path is delivered, when it is one of ours: blank-separated
                                "local:TARGET" and "remote:TARGET"; "": it goes to from_url itself */
    char *owner_targets;     /* the same for owners of lists, and for the postmaster where he gets copies of notices:
                                "owner:ADDRESS" and what follows it is his; "": nobody was asked about */
    char *account;           /* the login, "" */
    char *tls;               /* "TLSv1.3 TLS_AES_256_GCM_SHA384", "" */
    char *message_id;        /* header field's value, "" */
    char *ret, *envid;       /* RFC 3461, "" */
    char *hold;              /* why all of it waits for an operator, "" when it does not */
    char *solicit;           /* RFC 3865: the solicitation keywords of MAIL, "" */
    char *future_release;    /* RFC 4865: what was asked, "for;3600" or "until;2026-…Z", "" */
    char *verdicts;          /* "dkim=pass header.d=x; spf=…", the Authentication-Results body, "" */
    char *reverse;           /* what the reverse look-up gave, as the fact :reverse; "" */
    char *listed_in;         /* the DNS block lists that name the client, "" */
    char *dnsbl_score;       /* the sum of the weights of DNS lists, "" where none was asked */
    uint32_t auto_generated; /* 1: Auto-Submitted, or a notice: not told of delays */
    uint32_t utf8;           /* 1: SMTPUTF8 was asked for, and the header has more than ASCII (RFC 6531 3.4) */
    uint32_t requiretls;     /* 1: it goes on within verified TLS only, to who says REQUIRETLS (RFC 8689) */
    uint32_t tls_optional;   /* 1: its header says "TLS-Required: No" (RFC 8689 5) */
    int64_t hold_until;      /* FUTURERELEASE (RFC 4865): not delivered before; 0: at once */
    enum envelope_body body;
    struct envelope_recipient *recipients;
    size_t recipient_count;
};
/* A zeroed envelope with "" everywhere. */
void envelope_init(struct envelope *envelope);
void envelope_free(struct envelope *envelope);
/* Replaces an owned string. */
void envelope_set(char **string, struct text value);
/* Appends a recipient; all but delivery copied. */
struct envelope_recipient *envelope_add(struct envelope *envelope, struct text to_url, struct text target,
                                        enum envelope_delivery delivery);
/* Takes one out; those behind it move up. */
void envelope_remove(struct envelope *envelope, size_t number);
/* When its time in the queue begins: as it came, or is released. */
int64_t envelope_begins_at(const struct envelope *envelope);
/* True when it belongs to a mailing list, whose owner is its reverse-path; one made by SRS is still the sender's. */
bool envelope_has_owner(const struct envelope_recipient *recipient);
/* True when an alias of ours sends its mail on to another server. */
bool envelope_is_forwarded(const struct envelope_recipient *recipient);
/* Appends the text form; false past the buffer's maximum. Tabs, CR, LF, NUL in values are refused (false). */
bool envelope_format(struct envelope *envelope, struct buffer *text);
/* Strict: unknown keys are skipped, anything malformed gives false. Everything in *envelope is owned by the caller. */
bool envelope_parse(struct text text, struct envelope *envelope);
const char *envelope_delivery_name(enum envelope_delivery delivery);
#endif
