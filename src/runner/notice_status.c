/* SPDX-License-Identifier: MIT
 * The part of a notice that programs read, message/delivery-status (RFC 3464 2). Called by notice.c; everything that
 * came from outside is made harmless and bounded, and with little room only what the RFC demands is told of a
 * recipient. */
#include "base/clock.h"
#include "base/network.h"
#include "mail/dsn.h"
#include "mail/reply.h"
#include "runner/notice_private.h"
#include <stdio.h>
#include <string.h>

#define LONG_RECIPIENT 3400 /* bytes for one with everything, at most */
#define STATUS_EXPIRED "4.4.7"

static const struct {
    const char *action;
    char class; /* of its status (RFC 3463 2); a failure's may be 4 or 5 */
} actions[NOTICE_KINDS] = {
    [NOTICE_FAILED] = {"failed", '5'},       [NOTICE_DELAYED] = {"delayed", '4'}, [NOTICE_EXPANDED] = {"expanded", '2'},
    [NOTICE_DELIVERED] = {"delivered", '2'}, [NOTICE_RELAYED] = {"relayed", '2'},
};

void notice_status(enum notice_kind kind, const struct notice_recipient *recipient, char status[12]) {
    unsigned code = 0;
    bool more, temporary;
    struct text text = TEXT_NONE;
    if (!reply_parse_line(recipient->reply, &code, &more, &text)) {
        text = TEXT_NONE;
    }
    reply_split_enhanced(&text, status);
    temporary = kind == NOTICE_FAILED && (status[0] == '4' || (status[0] == '\0' && code / 100 == 4));
    if (recipient->expired) {
        snprintf(status, 12, STATUS_EXPIRED);
    } else if (status[0] != actions[kind].class && !(temporary && status[0] == '4')) {
        snprintf(status, 12, "%c.0.0", temporary ? '4' : actions[kind].class);
    }
}

/* RFC 3464 2.3.5: a name, or a literal; a route's host may be "name:port", an address or a socket's path. */
static bool put_remote(const struct notice *notice, struct buffer *out) {
    char host[NOTICE_ADDRESS_ROOM];
    struct network_address address;
    bool port_only = true;
    struct text name = text_of(notice->host);
    if (name.length == 0 || name.data[0] == '/' || text_starts_nocase(name, TEXT("unix:"))) {
        return true;
    }
    if (network_parse_ip(name, 0, &address) || (network_parse_endpoint(name, &address, &port_only) && !port_only)) {
        char ip[NETWORK_IP_SIZE];
        network_ip_text(&address, ip);
        return buffer_format(out, "Remote-MTA: dns; [%s%s]\r\n", strchr(ip, ':') != NULL ? "IPv6:" : "", ip);
    }
    name = text_first(name, text_find(name, ':'));
    return buffer_format(out, "Remote-MTA: dns; %s\r\n", notice_shown(host, sizeof host, name));
}

/* RFC 6533 3: one that is not ASCII has a type of its own, and is ASCII all the same where the notice has to be. */
static bool put_address(const struct notice *notice, struct buffer *out, const char *field, const char *address) {
    char shown[NOTICE_ADDRESS_ROOM];
    bool utf8 = text_has_eight_bit(text_of(address));
    if (!utf8 || !dsn_utf8_encode(text_of(address), shown, sizeof shown)) {
        return buffer_format(out, "%s: rfc822; %s\r\n", field, notice_shown(shown, sizeof shown, text_of(address)));
    }
    if (notice_is_international(notice)) {
        (void)notice_shown_utf8(shown, sizeof shown, address);
    }
    return buffer_format(out, "%s: utf-8; %s\r\n", field, shown);
}

/* RFC 3464 2.3.1: what the client said in ORCPT, and only that. */
static bool put_original(const struct notice *notice, const struct notice_recipient *recipient, struct buffer *out) {
    char plain[DSN_ORCPT_MAXIMUM + 5];
    struct text orcpt = text_of(recipient->orcpt);
    size_t type = text_find(orcpt, ';');
    if (!dsn_orcpt_is_valid(orcpt) || !dsn_orcpt_address(orcpt, plain, sizeof plain)) {
        return true;
    }
    if (text_has_eight_bit(text_of(plain)) || text_starts_nocase(orcpt, TEXT("utf-8;"))) {
        return put_address(notice, out, "Original-Recipient", plain);
    }
    return buffer_format(out, "Original-Recipient: %.*s; %s\r\n", (int)type, orcpt.data, plain);
}

/* RFC 3464 2.3.6: of type smtp only what a server really said. */
static bool put_diagnostic(const struct notice_recipient *recipient, struct buffer *out) {
    char reply[NOTICE_REPLY_ROOM];
    return recipient->reply.length == 0 ||
           buffer_format(out, "Diagnostic-Code: %s; %s\r\n", recipient->from_server ? "smtp" : "X-Parcelpost",
                         notice_shown(reply, sizeof reply, recipient->reply));
}

static bool put_attempt(const struct notice *notice, const struct notice_recipient *recipient, struct buffer *out) {
    char date[CLOCK_MAIL_SIZE];
    bool fits = (!recipient->from_server || put_remote(notice, out)) && put_diagnostic(recipient, out);
    if (notice->attempted_at > 0) {
        clock_mail_date((time_t)notice->attempted_at, date);
        fits = fits && buffer_format(out, "Last-Attempt-Date: %s\r\n", date);
    }
    if (notice->kind == NOTICE_DELAYED) {
        clock_mail_date((time_t)notice->expires_at, date);
        fits = fits && buffer_format(out, "Will-Retry-Until: %s\r\n", date);
    }
    return fits;
}

/* RFC 3464 2.3; brief: only what is mandatory there. */
static bool put_recipient(const struct notice *notice, const struct notice_recipient *recipient, bool brief,
                          struct buffer *out) {
    char status[12];
    bool inner = recipient->target[0] == '|' || notice->kind == NOTICE_EXPANDED;
    const char *final = inner ? recipient->to_url : recipient->target;
    notice_status(notice->kind, recipient, status);
    bool fits = buffer_append_string(out, "\r\n") && (brief || put_original(notice, recipient, out)) &&
                put_address(notice, out, "Final-Recipient", final) &&
                buffer_format(out, "Action: %s\r\nStatus: %s\r\n", actions[notice->kind].action, status);
    return fits && (brief || notice->kind == NOTICE_EXPANDED || put_attempt(notice, recipient, out));
}

static size_t shown_length(const char *address) {
    size_t length = text_is_printable(text_of(address)) ? strlen(address) : NOTICE_ADDRESS_ROOM;
    return length < NOTICE_ADDRESS_ROOM ? length : NOTICE_ADDRESS_ROOM;
}

/* Bytes for recipients from `first` on, told briefly. */
static size_t brief_room(const struct notice_recipient *recipients, size_t first, size_t count) {
    size_t room = 0;
    for (size_t i = first; i < count; i++) {
        size_t target = shown_length(recipients[i].target), to_url = shown_length(recipients[i].to_url);
        room += NOTICE_SHORT_RECIPIENT + (target > to_url ? target : to_url);
    }
    return room;
}

size_t notice_least(const struct notice_recipient *recipients, size_t count) {
    return NOTICE_LEAST + brief_room(recipients, 0, count);
}

/* RFC 3464 2.1, 2.2 */
bool notice_put_status(const struct notice *notice, struct buffer *out) {
    char date[CLOCK_MAIL_SIZE], envid[DSN_ENVID_MAXIMUM + 1];
    clock_mail_date((time_t)notice->arrived_at, date);
    bool fits = notice_put_part(notice, out, "Delivery report",
                                notice_is_international(notice)
                                    ? "message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit"
                                    : "message/delivery-status") &&
                buffer_append_string(out, "\r\n");
    if (notice->envid[0] != '\0' && dsn_xtext_decode(text_of(notice->envid), envid, sizeof envid)) {
        fits = fits && buffer_format(out, "Original-Envelope-Id: %s\r\n", envid);
    }
    fits = fits && buffer_format(out, "Reporting-MTA: dns; %s\r\nX-Parcelpost-Mail-ID: %s\r\nArrival-Date: %s\r\n",
                                 notice->server_name, notice->mail_id, date);
    if (notice->future_release != NULL && notice->future_release[0] != '\0') { /* RFC 4865 5 */
        fits = fits && buffer_format(out, "Future-Release-Request: %s\r\n", notice->future_release);
    }
    for (size_t i = 0; i < notice->count; i++) {
        size_t later = brief_room(notice->recipients, i + 1, notice->count) + 2 * NOTICE_ENVELOPE_RESERVE;
        bool brief = out->length + LONG_RECIPIENT + later > out->maximum;
        fits = fits && put_recipient(notice, &notice->recipients[i], brief, out);
    }
    return fits;
}
