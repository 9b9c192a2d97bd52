/* SPDX-License-Identifier: MIT
 * Building a notice; see notice.h. Everything that came from outside (addresses, replies, headers) is bounded and
 * cannot end a line early. Fails only when the cargo would not fit into one message between processes. */
#include "runner/notice.h"
#include "base/clock.h"
#include "mail/header.h"
#include "mail/reply.h"
#include <stdio.h>
#include <string.h>

#define TOLD_IN_WORDS 10    /* recipients in the human part; the machine's part has all */
#define SHORT_RECIPIENT 100 /* bytes for one in the machine's part with what RFC 3464 demands, besides its address */
#define LONG_RECIPIENT 2600 /* with everything, at most */
#define ENVELOPE_RESERVE 2048
#define ADDRESS_ROOM 700

bool notice_is_wanted(const char *notify) {
    struct text rest = text_of(notify), word;
    if (rest.length == 0) {
        return true;
    }
    while (text_split(&rest, ',', &word)) {
        if (text_equal_nocase(text_trim(word), TEXT("FAILURE"))) {
            return true;
        }
    }
    return false;
}

void notice_status(const char *reply, char status[12]) {
    unsigned code;
    bool more;
    struct text text;
    if (!reply_parse_line(text_of(reply), &code, &more, &text)) {
        code = 500;
        text = TEXT_NONE;
    }
    reply_split_enhanced(&text, status);
    if (status[0] != '4' && status[0] != '5') {
        snprintf(status, 12, "%c.0.0", code / 100 == 4 ? '4' : '5');
    }
}

/* An address or other words for a header or the report: printable ASCII, bounded. */
static const char *shown(char *room, size_t size, const char *value) {
    return text_printable(room, size, text_of(value));
}

static bool is_plain_message_id(const char *id) {
    struct text text = text_of(id);
    return text.length > 2 && text.length < 250 && id[0] == '<' && text_is_printable(text) && strchr(id, ' ') == NULL;
}

static bool put_header(const struct notice *notice, struct buffer *out, bool eight_bit) {
    char date[CLOCK_MAIL_SIZE], to[ADDRESS_ROOM];
    clock_mail_date((time_t)notice->now, date);
    bool fits =
        buffer_format(out,
                      "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
                      "To: <%s>\r\n"
                      "Subject: Undelivered Mail Returned to Sender\r\n"
                      "Date: %s\r\n"
                      "Message-ID: <%s@%s>\r\n",
                      notice->server_name, shown(to, sizeof to, notice->sender), date, notice->id, notice->server_name);
    if (is_plain_message_id(notice->message_id)) {
        fits =
            fits && buffer_format(out, "In-Reply-To: %s\r\nReferences: %s\r\n", notice->message_id, notice->message_id);
    }
    return fits && buffer_format(out,
                                 "Auto-Submitted: auto-replied\r\n"
                                 "MIME-Version: 1.0\r\n"
                                 "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                                 "\tboundary=\"=_%s\"\r\n"
                                 "Content-Transfer-Encoding: %s\r\n"
                                 "\r\n"
                                 "This is a report in MIME format.\r\n",
                                 notice->id, eight_bit ? "8bit" : "7bit");
}

static bool put_part(const struct notice *notice, struct buffer *out, const char *type) {
    return buffer_format(out, "\r\n--=_%s\r\nContent-Type: %s\r\n", notice->id, type);
}

static bool put_words(const struct notice *notice, struct buffer *out) {
    char date[CLOCK_MAIL_SIZE], to[ADDRESS_ROOM], reply[600];
    clock_mail_date((time_t)notice->arrived_at, date);
    bool fits = put_part(notice, out, "text/plain; charset=us-ascii") &&
                buffer_format(out,
                              "\r\n"
                              "This is the mail system of %s (%s).\r\n"
                              "\r\n"
                              "Your message of %s could not be delivered\r\n"
                              "to the recipients below. It will not be tried again.\r\n",
                              shown(reply, sizeof reply, notice->server_title), notice->server_name, date);
    for (size_t i = 0; i < notice->count && i < TOLD_IN_WORDS; i++) {
        fits = fits && buffer_format(out, "\r\n<%s>\r\n    %s\r\n", shown(to, sizeof to, notice->failures[i].to_url),
                                     shown(reply, sizeof reply, notice->failures[i].reply));
    }
    if (notice->count > TOLD_IN_WORDS) {
        fits =
            fits && buffer_format(out, "\r\nand %zu more, listed in the next part.\r\n", notice->count - TOLD_IN_WORDS);
    }
    return fits && buffer_format(out,
                                 "\r\n"
                                 "The next part tells the same to programs, the last one holds the headers\r\n"
                                 "of your message. Questions: <%s>, please with the id %s.\r\n",
                                 shown(to, sizeof to, notice->postmaster), notice->mail_id);
}

/* RFC 3464 2.3; brief: only what is mandatory there. */
static bool put_recipient(const struct notice *notice, const struct notice_failure *failure, bool brief,
                          struct buffer *out) {
    char to[ADDRESS_ROOM], room[600], date[CLOCK_MAIL_SIZE], status[12];
    bool fits = buffer_append_string(out, "\r\n");
    if (failure->orcpt[0] != '\0' && !brief) {
        fits = fits && buffer_format(out, "Original-Recipient: %s\r\n", shown(room, sizeof room, failure->orcpt));
    }
    notice_status(failure->reply, status);
    fits = fits && buffer_format(out, "Final-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: %s\r\n",
                                 shown(to, sizeof to, failure->target), status);
    if (brief) {
        return fits;
    }
    if (notice->host[0] != '\0') {
        fits = fits && buffer_format(out, "Remote-MTA: dns; %s\r\n", shown(room, sizeof room, notice->host));
    }
    clock_mail_date((time_t)notice->now, date);
    return fits && buffer_format(out, "Diagnostic-Code: smtp; %s\r\nLast-Attempt-Date: %s\r\n",
                                 shown(room, sizeof room, failure->reply), date);
}

/* Is there room for everything about recipient `number`, so that all after it can still be told? */
static bool has_room(const struct notice *notice, size_t number, const struct buffer *out) {
    size_t rest = 2 * ENVELOPE_RESERVE + LONG_RECIPIENT;
    for (size_t i = number + 1; i < notice->count; i++) {
        rest += SHORT_RECIPIENT + strlen(notice->failures[i].target);
    }
    return out->length + rest < out->maximum;
}

/* RFC 3464 2.1, 2.2 */
static bool put_status(const struct notice *notice, struct buffer *out) {
    char date[CLOCK_MAIL_SIZE], room[600];
    clock_mail_date((time_t)notice->arrived_at, date);
    bool fits = put_part(notice, out, "message/delivery-status") && buffer_append_string(out, "\r\n");
    if (notice->envid[0] != '\0') {
        fits = fits && buffer_format(out, "Original-Envelope-Id: %s\r\n", shown(room, sizeof room, notice->envid));
    }
    fits = fits && buffer_format(out, "Reporting-MTA: dns; %s\r\nX-Parcelpost-Mail-ID: %s\r\nArrival-Date: %s\r\n",
                                 notice->server_name, notice->mail_id, date);
    for (size_t i = 0; i < notice->count; i++) {
        fits = fits && put_recipient(notice, &notice->failures[i], !has_room(notice, i, out), out);
    }
    return fits;
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

static bool put_headers(const struct notice *notice, struct buffer *out, struct text quoted, bool eight_bit) {
    return put_part(notice, out, "text/rfc822-headers") &&
           buffer_format(out, "Content-Transfer-Encoding: %s\r\n\r\n", eight_bit ? "8bit" : "7bit") &&
           buffer_append_text(out, quoted) && buffer_format(out, "\r\n--=_%s--\r\n", notice->id);
}

static bool put_envelope(const struct notice *notice, struct buffer *cargo, bool eight_bit) {
    struct envelope envelope;
    char message_id[ADDRESS_ROOM];
    envelope_init(&envelope);
    snprintf(message_id, sizeof message_id, "<%s@%s>", notice->id, notice->server_name);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(notice->id));
    envelope.received_at = notice->now;
    envelope_set(&envelope.role, TEXT("notice"));
    envelope_set(&envelope.message_id, text_of(message_id));
    envelope.auto_generated = 1;
    envelope.body = eight_bit ? BODY_8BITMIME : BODY_7BIT;
    envelope_add(&envelope, text_of(notice->sender), text_of(notice->target != NULL ? notice->target : notice->sender),
                 notice->delivery);
    bool fits = envelope_format(&envelope, cargo);
    envelope_free(&envelope);
    return fits;
}

bool notice_build(const struct notice *notice, struct buffer *cargo, struct notice_lengths *lengths) {
    char date[CLOCK_MAIL_SIZE];
    bool eight_bit = text_has_eight_bit(notice->original);
    size_t start = cargo->length;
    if (!put_header(notice, cargo, eight_bit) || !put_words(notice, cargo) || !put_status(notice, cargo) ||
        cargo->length + ENVELOPE_RESERVE > cargo->maximum) {
        return false;
    }
    struct text quoted = quoted_headers(notice->original, cargo->maximum - cargo->length - ENVELOPE_RESERVE);
    if (!put_headers(notice, cargo, quoted, eight_bit)) {
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
