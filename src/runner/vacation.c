/* SPDX-License-Identifier: MIT
 * RFC 3834 as functions of header and addresses; see vacation.h. Called by record_vacation.c. Everything that comes
 * from the message is bounded and cannot end a line early. Fails only when the cargo would not fit. */
#include "runner/vacation.h"
#include "base/clock.h"
#include "mail/header.h"
#include <stdio.h>
#include <string.h>

#define VALUE_SIZE 4096
#define SUBJECT_SIZE 512
#define REFERENCES_MAXIMUM 900u
#define LINE_MAXIMUM 900u /* bytes of a line of the answer */
#define ENCODED_PIECE 45u /* bytes in one encoded word (RFC 2047 2: 75 characters) */

/* ---- whether ---- */

static bool value_of(struct text header, const char *name, char value[VALUE_SIZE]) {
    struct header_field field;
    value[0] = '\0';
    return header_find(header, name, &field) && (header_value(&field, value, VALUE_SIZE) || value[0] != '\0');
}

/* RFC 3834 2: names that programs send with. */
static bool is_programs_name(struct text local) {
    static const char *const whole[] = {"MAILER-DAEMON", "LISTSERV", "majordomo", "mailer", "noreply", "no-reply"};
    static const char *const ends[] = {"-request", "-owner", "-bounces", "-noreply"};
    static const char *const begins[] = {"owner-", "SRS0=", "SRS1="};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (text_equal_nocase(local, text_of(whole[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (text_ends_nocase(local, text_of(ends[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (text_starts_nocase(local, text_of(begins[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_of_a_list(struct text header) {
    struct header_field field;
    struct text rest = header;
    char value[VALUE_SIZE];
    while (header_next(&rest, &field)) {
        if (text_starts_nocase(field.name, TEXT("List-"))) {
            return true;
        }
    }
    return value_of(header, "Precedence", value) &&
           (text_equal_nocase(text_of(value), TEXT("bulk")) || text_equal_nocase(text_of(value), TEXT("junk")) ||
            text_equal_nocase(text_of(value), TEXT("list")));
}

static bool is_automatic(struct text header) {
    char value[VALUE_SIZE];
    return header_is_automatic(header) || value_of(header, "X-Auto-Response-Suppress", value) ||
           (value_of(header, "X-Spam-Flag", value) && text_starts_nocase(text_of(value), TEXT("yes")));
}

static bool is_address_byte(char byte) {
    return byte != '\0' && strchr("<>,;:()\" \t\r\n", byte) == NULL;
}

/* As a whole address somewhere in the field. */
static bool holds_address(struct text value, struct text address) {
    for (size_t at = 0; address.length > 0 && at + address.length <= value.length; at++) {
        char before = at > 0 ? value.data[at - 1] : '\0';
        char behind = at + address.length < value.length ? value.data[at + address.length] : '\0';
        if (text_equal_nocase(text_first(text_from(value, at), address.length), address) && !is_address_byte(before) &&
            !is_address_byte(behind)) {
            return true;
        }
    }
    return false;
}

static bool is_addressed(const struct vacation_question *question) {
    static const char *const fields[] = {"To", "Cc", "Resent-To", "Resent-Cc"};
    struct header_field field;
    struct text rest = question->header;
    while (header_next(&rest, &field)) {
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
            for (size_t n = 0; text_equal_nocase(field.name, text_of(fields[i])) && n < question->count; n++) {
                if (holds_address(field.value, text_of(question->addresses[n]))) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Into a header field, UTF-8 too. */
static bool can_be_written(struct text address) {
    for (size_t i = 0; i < address.length; i++) {
        unsigned char byte = (unsigned char)address.data[i];
        if (byte < ' ' || byte == 0x7f) {
            return false;
        }
    }
    return text_is_utf8(address);
}

enum vacation_verdict vacation_judge(const struct vacation_question *question) {
    struct text sender = text_of(question->sender);
    size_t at = text_find(sender, '@');
    if (sender.length == 0 || at == sender.length || !can_be_written(sender) ||
        is_programs_name(text_first(sender, at))) {
        return VACATION_NO_SENDER;
    }
    if (is_of_a_list(question->header)) {
        return VACATION_LIST;
    }
    if (is_automatic(question->header)) {
        return VACATION_AUTOMATIC;
    }
    return is_addressed(question) ? VACATION_ANSWERS : VACATION_NOT_ADDRESSED;
}

void vacation_owner(const char *address, const char *delimiter, char *owner, size_t size) {
    const char *at = strrchr(address, '@');
    const char *tag = delimiter != NULL && delimiter[0] != '\0' ? strchr(address, delimiter[0]) : NULL;
    bool tagged = at != NULL && tag != NULL && tag < at && tag > address;
    (void)snprintf(owner, size, "%.*s%s", tagged ? (int)(tag - address) : (int)strlen(address), address,
                   tagged ? at : "");
}

/* ---- what it says ---- */

static bool put_encoded(struct buffer *out, struct text words) {
    char encoded[2 * ENCODED_PIECE];
    bool fits = true;
    for (size_t at = 0; fits && at < words.length;) {
        size_t length = words.length - at < ENCODED_PIECE ? words.length - at : ENCODED_PIECE;
        while (at + length < words.length && length > 1 && (words.data[at + length] & 0xc0) == 0x80) {
            length--; /* a character is not divided */
        }
        fits = text_base64_encode(text_first(text_from(words, at), length), encoded, sizeof encoded) &&
               buffer_format(out, "%s=?UTF-8?B?%s?=", at > 0 ? "\r\n " : "", encoded);
        at += length;
    }
    return fits;
}

/* The operator's words in UTF-8, or the message's own as it stands. */
static bool put_subject(const struct vacation_answer *answer, struct buffer *out) {
    char value[VALUE_SIZE], shown[SUBJECT_SIZE];
    if (answer->subject[0] == '\0') {
        struct text own = value_of(answer->header, "Subject", value) ? text_of(value) : TEXT("your message");
        own = text_starts_nocase(own, TEXT("Re:")) ? text_trim(text_from(own, 3)) : own;
        return buffer_format(out, "Subject: Re: %s\r\n", text_printable(shown, sizeof shown, own));
    }
    struct text subject = text_of(answer->subject);
    return buffer_append_string(out, "Subject: ") &&
           (text_is_printable(subject) ? buffer_append_text(out, subject) : put_encoded(out, subject)) &&
           buffer_append_string(out, "\r\n");
}

/* RFC 5322 3.6.4, RFC 3834 3.1.5 */
static bool put_references(const struct vacation_answer *answer, struct buffer *out) {
    char id[VALUE_SIZE], former[VALUE_SIZE];
    struct text text = value_of(answer->header, "Message-ID", id) ? text_of(id) : TEXT_NONE;
    if (text.length < 3 || text.length > 250 || id[0] != '<' || !text_is_printable(text)) {
        return true;
    }
    bool more = value_of(answer->header, "References", former) && strlen(former) < REFERENCES_MAXIMUM &&
                text_is_printable(text_of(former));
    return buffer_format(out, "In-Reply-To: %s\r\nReferences: %s%s%s\r\n", id, more ? former : "", more ? "\r\n " : "",
                         id);
}

static bool put_message(struct buffer *out, struct text rest) {
    struct text line;
    bool fits = true;
    while (fits && text_split(&rest, '\n', &line)) {
        if (line.length > 0 && line.data[line.length - 1] == '\r') {
            line.length--;
        }
        do {
            struct text piece = text_first(line, LINE_MAXIMUM);
            while (piece.length < line.length && piece.length > 1 && (line.data[piece.length] & 0xc0) == 0x80) {
                piece.length--;
            }
            fits = buffer_append_text(out, piece) && buffer_append_string(out, "\r\n");
            line = text_from(line, piece.length);
        } while (fits && line.length > 0);
    }
    return fits;
}

static bool put_header(const struct vacation_answer *answer, struct buffer *out, bool eight_bit) {
    char date[CLOCK_MAIL_SIZE];
    clock_mail_date((time_t)answer->now, date);
    return buffer_format(out, "From: <%s>\r\nTo: <%s>\r\n", answer->account, answer->correspondent) &&
           put_subject(answer, out) &&
           buffer_format(out, "Date: %s\r\nMessage-ID: <%s@%s>\r\n", date, answer->id, answer->server_name) &&
           put_references(answer, out) &&
           buffer_format(out,
                         "%sAuto-Submitted: auto-replied (vacation)\r\n"
                         "MIME-Version: 1.0\r\n"
                         "Content-Type: text/plain; charset=utf-8\r\n"
                         "Content-Transfer-Encoding: %s\r\n\r\n",
                         answer->tls_optional ? "TLS-Required: No\r\n" : "", eight_bit ? "8bit" : "7bit");
}

/* RFC 8689 6: it may quote the message, so it asks of its way what the message did. */
static bool put_envelope(const struct vacation_answer *answer, struct buffer *cargo, bool eight_bit) {
    struct envelope envelope;
    char message_id[SUBJECT_SIZE];
    envelope_init(&envelope);
    (void)snprintf(message_id, sizeof message_id, "<%s@%s>", answer->id, answer->server_name);
    (void)text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(answer->id));
    envelope.received_at = answer->now;
    envelope_set(&envelope.role, TEXT("vacation"));
    envelope_set(&envelope.account, text_of(answer->account));
    envelope_set(&envelope.message_id, text_of(message_id));
    envelope.auto_generated = 1;
    envelope.body = eight_bit ? BODY_8BITMIME : BODY_7BIT;
    envelope.utf8 = text_has_eight_bit(text_of(answer->account)) || text_has_eight_bit(text_of(answer->correspondent));
    envelope.requiretls = answer->requiretls;
    envelope.tls_optional = answer->tls_optional;
    notice_add_recipients(&envelope, answer->correspondent, answer->targets);
    bool fits = envelope.recipient_count > 0 && envelope_format(&envelope, cargo);
    envelope_free(&envelope);
    return fits;
}

bool vacation_build(const struct vacation_answer *answer, struct buffer *cargo, struct notice_lengths *lengths) {
    struct text message = text_of(answer->message);
    bool eight_bit = text_has_eight_bit(message);
    size_t start = cargo->length;
    char date[CLOCK_MAIL_SIZE];
    clock_mail_date((time_t)answer->now, date);
    if (!put_header(answer, cargo, eight_bit) || !put_message(cargo, message)) {
        return false;
    }
    lengths->message = cargo->length - start;
    if (!buffer_format(cargo, "Received: by %s (Parcelpost)\r\n\tid %s; %s\r\n", answer->server_name, answer->id,
                       date)) {
        return false;
    }
    lengths->headers = cargo->length - start - lengths->message;
    bool fits = put_envelope(answer, cargo, eight_bit);
    lengths->envelope = cargo->length - start - lengths->message - lengths->headers;
    return fits;
}
