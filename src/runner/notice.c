/* SPDX-License-Identifier: MIT
 * Building a notice; see notice.h. Called by record_notice.c. Everything that came from outside (addresses, replies,
 * headers) is bounded and cannot end a line early. Fails only when the cargo would not fit into its buffer. */
#include "base/clock.h"
#include "mail/header.h"
#include "runner/notice_private.h"
#include "runner/notice_route.h"
#include <stdio.h>
#include <string.h>

#define TARGETS_BYTES 2500 /* of where a notice goes: NOTICE_ENVELOPE_RESERVE holds one more than that */

const char *notice_shown(char *room, size_t size, struct text value) {
    return text_printable(room, size, value);
}

const char *notice_shown_utf8(char *room, size_t size, const char *address) {
    for (const char *byte = address; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f) {
            return text_printable(room, size, text_of(address));
        }
    }
    return text_is_utf8(text_of(address)) && text_copy(room, size, text_of(address))
               ? room
               : text_printable(room, size, text_of(address));
}

static const char *addressee_of(const struct notice *notice) {
    return notice->copy ? notice->postmaster : notice->addressee;
}

bool notice_is_international(const struct notice *notice) {
    return text_has_eight_bit(text_of(addressee_of(notice)));
}

bool notice_has_utf8(const struct notice *notice) {
    bool any = notice_is_international(notice) || text_has_eight_bit(text_of(notice->addressee));
    for (size_t i = 0; i < notice->count && !any; i++) {
        any = text_has_eight_bit(text_of(notice->recipients[i].to_url)) ||
              text_has_eight_bit(text_of(notice->recipients[i].target));
    }
    return any;
}

static bool is_plain_message_id(const char *id) {
    struct text text = text_of(id);
    return text.length > 2 && text.length < 250 && id[0] == '<' && text_is_printable(text) && strchr(id, ' ') == NULL;
}

/* auto-replied: it answers one message (RFC 3834 5). */
static bool put_header(const struct notice *notice, struct buffer *out, bool eight_bit) {
    char date[CLOCK_MAIL_SIZE], to[NOTICE_ADDRESS_ROOM];
    clock_mail_date((time_t)notice->now, date);
    bool fits = buffer_format(out,
                              "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
                              "To: <%s>\r\n"
                              "Subject: %s\r\n"
                              "Date: %s\r\n"
                              "Message-ID: <%s@%s>\r\n",
                              notice->server_name, notice_shown_utf8(to, sizeof to, addressee_of(notice)),
                              notice_subject(notice), date, notice->id, notice->server_name);
    if (is_plain_message_id(notice->message_id)) {
        fits =
            fits && buffer_format(out, "In-Reply-To: %s\r\nReferences: %s\r\n", notice->message_id, notice->message_id);
    }
    return fits &&
           buffer_format(out,
                         "Auto-Submitted: auto-replied\r\n"
                         "MIME-Version: 1.0\r\n"
                         "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n"
                         "\tboundary=\"=_%s\"\r\n"
                         "Content-Transfer-Encoding: %s\r\n"
                         "\r\n"
                         "This is a report in MIME format.\r\n",
                         notice_is_international(notice) ? "global-" : "", notice->id, eight_bit ? "8bit" : "7bit");
}

bool notice_put_part(const struct notice *notice, struct buffer *out, const char *description, const char *type) {
    return buffer_format(out, "\r\n--=_%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", notice->id, description,
                         type);
}

/* As much of the original's header section as fits, in whole fields. */
static struct text quoted_headers(struct text original, size_t room) {
    struct text rest = original;
    struct header_field field;
    size_t kept = 0, limit = room < NOTICE_HEADERS_MAXIMUM ? room : NOTICE_HEADERS_MAXIMUM;
    while (header_next(&rest, &field) && kept + field.whole.length <= limit) {
        kept += field.whole.length;
    }
    return text_first(original, kept);
}

/* RFC 3462 1: the message, or its headers. */
static bool put_original(const struct notice *notice, struct buffer *out, bool eight_bit) {
    size_t used = out->length + NOTICE_ENVELOPE_RESERVE;
    size_t room = used < out->maximum ? out->maximum - used : 0;
    bool whole = notice->whole && notice->original.length <= room;
    struct text quoted = whole ? notice->original : quoted_headers(notice->original, room);
    bool global = text_has_eight_bit(text_first(quoted, header_section_length(quoted))) && text_is_utf8(quoted);
    const char *type = global  ? (whole ? "message/global" : "message/global-headers") /* RFC 6533 4 */
                       : whole ? "message/rfc822"
                               : "text/rfc822-headers";
    return notice_put_part(notice, out, whole ? "The message" : "The message's headers", type) &&
           buffer_format(out, "Content-Transfer-Encoding: %s\r\n\r\n", eight_bit ? "8bit" : "7bit") &&
           buffer_append_text(out, quoted) && buffer_format(out, "\r\n--=_%s--\r\n", notice->id);
}

static void add_recipient(struct envelope *envelope, const char *addressee, struct text target,
                          enum envelope_delivery delivery) {
    struct envelope_recipient *added = envelope_add(envelope, text_of(addressee), target, delivery);
    envelope_set(&added->notify, TEXT("NEVER")); /* nobody is told of a notice's fate */
}

void notice_add_recipients(struct envelope *envelope, const char *addressee, struct text targets) {
    const struct text local = TEXT("local:"), remote = TEXT("remote:");
    struct text rest = targets, one;
    size_t used = 0;
    while (used < TARGETS_BYTES && notice_route_next(&rest, &one)) {
        used += one.length + strlen(addressee);
        if (text_starts_nocase(one, local)) {
            add_recipient(envelope, addressee, text_from(one, local.length), DELIVERY_LOCAL);
        } else if (text_starts_nocase(one, remote)) {
            add_recipient(envelope, addressee, text_from(one, remote.length), DELIVERY_REMOTE);
        }
    }
}

static bool put_envelope(const struct notice *notice, struct buffer *cargo, bool eight_bit) {
    struct envelope envelope;
    char message_id[NOTICE_ADDRESS_ROOM];
    envelope_init(&envelope);
    snprintf(message_id, sizeof message_id, "<%s@%s>", notice->id, notice->server_name);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(notice->id));
    envelope.received_at = notice->now;
    envelope_set(&envelope.role, TEXT("notice"));
    envelope_set(&envelope.message_id, text_of(message_id));
    envelope.auto_generated = 1;
    envelope.requiretls = notice->requiretls;
    envelope.body = eight_bit ? BODY_8BITMIME : BODY_7BIT;
    envelope.utf8 = notice_is_international(notice);
    notice_add_recipients(&envelope, addressee_of(notice), notice->targets);
    /* to nobody: the ledger takes no such mail, nor what comes with it */
    bool fits = envelope.recipient_count > 0 && envelope_format(&envelope, cargo);
    envelope_free(&envelope);
    return fits;
}

bool notice_build(const struct notice *notice, struct buffer *cargo, struct notice_lengths *lengths) {
    char date[CLOCK_MAIL_SIZE];
    bool eight_bit = text_has_eight_bit(notice->original) || notice_has_utf8(notice);
    size_t start = cargo->length, least = notice_least(notice->recipients, notice->count);
    size_t spare = cargo->maximum > least ? cargo->maximum - least : 0;
    if (!put_header(notice, cargo, eight_bit) || !notice_put_words(notice, cargo, spare / 4) ||
        !notice_put_status(notice, cargo) || !put_original(notice, cargo, eight_bit)) {
        return false;
    }
    lengths->message = cargo->length - start;
    clock_mail_date((time_t)notice->now, date);
    if (!buffer_format(cargo, "Received: by %s (Parcelpost)\r\n\tid %s; %s\r\n", notice->server_name, notice->id,
                       date)) {
        return false;
    }
    lengths->headers = cargo->length - start - lengths->message;
    bool fits = put_envelope(notice, cargo, eight_bit);
    lengths->envelope = cargo->length - start - lengths->message - lengths->headers;
    return fits;
}
