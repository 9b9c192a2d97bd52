/* SPDX-License-Identifier: MIT
 * Lists inside messages: each item's fields packed one behind the other into a text. Taking an item off gives false
 * at the end or on malformed bytes (then *bad is set). */
#ifndef IPC_LIST_H
#define IPC_LIST_H
#include "ipc/messages.h"

enum result_kind { RESULT_DELIVERED, RESULT_DEFERRED, RESULT_FAILED };
/* Who tells the sender of a success he asked to hear of (RFC 3461 5.2): whoever delivered it in the end, or was the
 * last to know. */
enum result_onward {
    ONWARD_FINAL, /* it is in the mailbox */
    ONWARD_DSN,   /* handed to a server that offers DSN: it tells */
    ONWARD_BLIND  /* handed to a server without DSN: we tell that it was relayed */
};
struct result_item {    /* of MAIL_RESULT and AGENT_RESULT */
    uint32_t recipient; /* index in the envelope */
    uint32_t kind;      /* enum result_kind; MAIL_RESULT also carries retry_at for deferred ones */
    int64_t retry_at;
    uint32_t onward;      /* enum result_onward, of delivered ones */
    uint32_t delay_told;  /* MAIL_RESULT: 1: a notice of the delay goes out with this result */
    uint32_t from_server; /* 1: reply is what the other server said; 0: our own words, in the same form */
    struct text reply;    /* one line: "250 2.0.0 …" */
};
struct notice_item { /* of MAIL_RESULT: a notice's cargo and its parts */
    int64_t message_length, headers_length, envelope_length;
    struct text cargo;
};
struct address_target { /* of LOOKUP_ADDRESS_ANSWER */
    uint32_t delivery;  /* enum envelope_delivery */
    struct text target; /* an address, or "|NAME" for a transport block */
    struct text sender; /* as envelope_recipient's */
};

struct parcel_item { /* of PARCELS_NEW */
    uint32_t recipient;
    uint32_t delivery; /* enum envelope_delivery */
    int64_t parcel_id, retry_at;
    uint32_t attempts;
    struct text target, domain;
    struct text sender; /* as envelope_recipient's: "" for the message's own */
};
struct dns_record { /* of DNS_ANSWER. A, AAAA: value is the address text; PTR, MX: the name; TXT: the joined strings */
    uint32_t preference; /* MX */
    struct text value;
};
struct fact_item { /* of LOOKUP_RULE; those that are not known are left out */
    uint32_t fact; /* enum sql_fact */
    struct text value;
};
struct action_item { /* of LOOKUP_RULE_ANSWER */
    uint32_t action; /* enum sql_action */
    struct text rule, value;
};
struct job_recipient {
    uint32_t recipient;
    struct text target, to_url, notify, orcpt;
};

bool list_add_result(struct buffer *list, const struct result_item *item);
bool list_next_result(struct text *list, struct result_item *item, bool *bad);
bool list_add_parcel(struct buffer *list, const struct parcel_item *item);
bool list_next_parcel(struct text *list, struct parcel_item *item, bool *bad);
bool list_add_record(struct buffer *list, const struct dns_record *item);
bool list_next_record(struct text *list, struct dns_record *item, bool *bad);
bool list_add_notice(struct buffer *list, const struct notice_item *item);
bool list_next_notice(struct text *list, struct notice_item *item, bool *bad);
bool list_add_target(struct buffer *list, const struct address_target *item);
bool list_next_target(struct text *list, struct address_target *item, bool *bad);
bool list_add_fact(struct buffer *list, const struct fact_item *item);
bool list_next_fact(struct text *list, struct fact_item *item, bool *bad);
bool list_add_action(struct buffer *list, const struct action_item *item);
bool list_next_action(struct text *list, struct action_item *item, bool *bad);
bool list_add_job_recipient(struct buffer *list, const struct job_recipient *item);
bool list_next_job_recipient(struct text *list, struct job_recipient *item, bool *bad);
#endif
