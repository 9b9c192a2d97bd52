/* SPDX-License-Identifier: MIT
 * The envelope's text form (queue/README.md, "Envelope"), written and read. Called by receivers, ledger, runner and
 * agents; the reader trusts nothing, as the text comes from other processes and from disk; fails by return value. */
#include "base/clock.h"
#include "mail/envelope_fields.h"
#include <string.h>

#define FORMAT_VERSION 1
#define FIELDS_A_RECIPIENT 7
#define FIELDS_LEAST 6 /* before 0.2: without sender */

#define FIELD(name)                                                                                                    \
    { #name, offsetof(struct envelope, name) }
const struct envelope_field envelope_fields[ENVELOPE_STRINGS] = {
    FIELD(remote_ip),     FIELD(remote_name),    FIELD(local_ip),  FIELD(role),
    FIELD(protocol),      FIELD(ehlo),           FIELD(from_url),  FIELD(account),
    FIELD(tls),           FIELD(message_id),     FIELD(ret),       FIELD(envid),
    FIELD(verdicts),      FIELD(sender_targets), FIELD(solicit),   FIELD(future_release),
    FIELD(hold),          FIELD(reverse),        FIELD(listed_in), FIELD(dnsbl_score),
    FIELD(owner_targets),
};

char **envelope_string(struct envelope *envelope, size_t number) {
    return (char **)(void *)((char *)envelope + envelope_fields[number].place);
}

static const struct envelope_field numbers[] = {
    FIELD(local_port), FIELD(auto_generated), FIELD(utf8), FIELD(requiretls), FIELD(tls_optional),
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])
static const char *const body_names[] = {
    [BODY_7BIT] = "7BIT", [BODY_8BITMIME] = "8BITMIME", [BODY_BINARYMIME] = "BINARYMIME"};
static const char statuses[] = {RECIPIENT_QUEUED,  RECIPIENT_DELIVERED, RECIPIENT_FAILED,
                                RECIPIENT_EXPIRED, RECIPIENT_REMOVED,   RECIPIENT_HELD};

/* A value with one of these would read back as something else. */
static bool is_clean(const char *value) {
    return strpbrk(value, "\t\r\n") == NULL;
}

static bool start_line(struct buffer *text, const char *key) {
    return buffer_append_string(text, key) && buffer_append_text(text, TEXT(": "));
}

static bool format_string(struct buffer *text, const char *key, const char *value) {
    return is_clean(value) && start_line(text, key) && buffer_append_string(text, value) &&
           buffer_append_byte(text, '\n');
}

static bool format_number(struct buffer *text, const char *key, uint64_t value) {
    return start_line(text, key) && buffer_append_number(text, value) && buffer_append_byte(text, '\n');
}

static bool format_time(struct buffer *text, const char *key, int64_t seconds) {
    char at[CLOCK_TEXT_SIZE];
    clock_text((time_t)seconds, at);
    return format_string(text, key, at);
}

static bool format_numbers(const struct envelope *envelope, struct buffer *text) {
    bool fits = format_number(text, "contact_id", (uint64_t)envelope->contact_id); /* never below 0 here */
    for (size_t i = 0; fits && i < NUMBERS; i++) {
        const char *place = (const char *)envelope + numbers[i].place;
        uint32_t number;
        memcpy(&number, place, sizeof number);
        fits = format_number(text, numbers[i].key, number);
    }
    return fits;
}

static bool format_fields(struct envelope *envelope, struct buffer *text) {
    if (!format_number(text, "envelope", FORMAT_VERSION) || !mail_id_is_valid(text_of(envelope->mail_id)) ||
        envelope->contact_id < 0 || !format_string(text, "mail_id", envelope->mail_id) ||
        !format_time(text, "received_at", envelope->received_at) ||
        (envelope->hold_until > 0 && !format_time(text, "hold_until", envelope->hold_until)) ||
        !format_numbers(envelope, text) || !format_string(text, "body", body_names[envelope->body])) {
        return false;
    }
    for (size_t i = 0; i < ENVELOPE_STRINGS; i++) {
        if (!format_string(text, envelope_fields[i].key, *envelope_string(envelope, i))) {
            return false;
        }
    }
    return true;
}

static bool format_recipient(struct envelope_recipient *recipient, struct buffer *text, size_t start) {
    const char *const fields[] = {envelope_delivery_name(recipient->delivery),
                                  recipient->to_url,
                                  recipient->target,
                                  recipient->notify,
                                  recipient->orcpt,
                                  recipient->sender};
    recipient->status_offset = (uint32_t)(text->length - start);
    bool whole = buffer_append_byte(text, (char)recipient->status);
    for (size_t i = 0; whole && i < sizeof fields / sizeof fields[0]; i++) {
        whole = is_clean(fields[i]) && buffer_append_byte(text, '\t') && buffer_append_string(text, fields[i]);
    }
    return whole && buffer_append_byte(text, '\n');
}

bool envelope_format(struct envelope *envelope, struct buffer *text) {
    size_t start = text->length;
    bool whole = format_fields(envelope, text);
    for (size_t i = 0; whole && i < envelope->recipient_count; i++) {
        whole = format_recipient(&envelope->recipients[i], text, start);
    }
    if (!whole || text->length - start > ENVELOPE_TEXT_MAXIMUM) {
        text->length = start; /* all or nothing */
        return false;
    }
    return true;
}

static bool parse_status(struct text text, enum recipient_status *status) {
    if (text.length != 1 || memchr(statuses, text.data[0], sizeof statuses) == NULL) {
        return false;
    }
    *status = (enum recipient_status)text.data[0];
    return true;
}

static bool parse_delivery(struct text text, enum envelope_delivery *delivery) {
    for (enum envelope_delivery d = DELIVERY_NONE; d <= DELIVERY_REMOTE; d++) {
        if (text_equal(text, text_of(envelope_delivery_name(d)))) {
            *delivery = d;
            return true;
        }
    }
    return false;
}

/* "Q<TAB>local<TAB>to_url<TAB>target<TAB>notify<TAB>orcpt<TAB>sender", of which the last three may be empty. */
static bool parse_recipient(struct text line, uint32_t offset, struct envelope *envelope) {
    struct text fields[FIELDS_A_RECIPIENT];
    enum recipient_status status;
    enum envelope_delivery delivery;
    size_t count = 0;
    for (bool more = true; more && count < FIELDS_A_RECIPIENT; count++) {
        size_t end = text_find(line, '\t');
        more = end < line.length;
        fields[count] = text_first(line, end);
        line = text_from(line, end + 1);
        if (more && count + 1 == FIELDS_A_RECIPIENT) {
            return false;
        }
    }
    if (count < FIELDS_LEAST) {
        return false;
    }
    if (!parse_status(fields[0], &status) || !parse_delivery(fields[1], &delivery)) {
        return false;
    }
    struct envelope_recipient *recipient = envelope_add(envelope, fields[2], fields[3], delivery);
    recipient->status = status;
    recipient->status_offset = offset;
    envelope_set(&recipient->notify, fields[4]);
    envelope_set(&recipient->orcpt, fields[5]);
    envelope_set(&recipient->sender, count == FIELDS_A_RECIPIENT ? fields[6] : TEXT_NONE);
    return true;
}

enum parsed { PARSED, MALFORMED, NOT_MINE };

static enum parsed parse_number(struct text key, struct text value, struct envelope *envelope) {
    uint64_t number;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!text_equal(key, text_of(numbers[i].key))) {
            continue;
        }
        bool fits = text_number(value, UINT32_MAX, &number);
        const uint32_t small = fits ? (uint32_t)number : 0;
        memcpy((char *)envelope + numbers[i].place, &small, sizeof small);
        return fits ? PARSED : MALFORMED;
    }
    if (!text_equal(key, TEXT("contact_id"))) {
        return NOT_MINE;
    }
    if (!text_number(value, INT64_MAX, &number)) {
        return MALFORMED;
    }
    envelope->contact_id = (int64_t)number;
    return PARSED;
}

static enum parsed parse_time(struct text value, int64_t *at) {
    char string[CLOCK_TEXT_SIZE];
    time_t seconds;
    if (!text_copy(string, sizeof string, value) || !clock_parse(string, &seconds)) {
        return MALFORMED;
    }
    *at = seconds;
    return PARSED;
}

static enum parsed parse_body(struct text value, struct envelope *envelope) {
    for (enum envelope_body b = BODY_7BIT; b <= BODY_BINARYMIME; b++) {
        if (text_equal(value, text_of(body_names[b]))) {
            envelope->body = b;
            return PARSED;
        }
    }
    return MALFORMED;
}

static enum parsed parse_string(struct text key, struct text value, struct envelope *envelope) {
    for (size_t i = 0; i < ENVELOPE_STRINGS; i++) {
        if (text_equal(key, text_of(envelope_fields[i].key))) {
            envelope_set(envelope_string(envelope, i), value);
            return PARSED;
        }
    }
    return NOT_MINE;
}

/* "key: value", with a blank even when the value is empty. */
static enum parsed parse_field(struct text line, struct envelope *envelope) {
    size_t colon = text_find(line, ':');
    struct text key = text_first(line, colon);
    struct text value = text_from(line, colon + 2);
    if (colon == 0 || colon + 1 >= line.length || line.data[colon + 1] != ' ' ||
        text_find(value, '\t') < value.length) {
        return MALFORMED;
    }
    if (text_equal(key, TEXT("mail_id"))) {
        return mail_id_is_valid(value) && text_copy(envelope->mail_id, MAIL_ID_SIZE, value) ? PARSED : MALFORMED;
    }
    if (text_equal(key, TEXT("received_at"))) {
        return parse_time(value, &envelope->received_at);
    }
    if (text_equal(key, TEXT("hold_until"))) {
        return parse_time(value, &envelope->hold_until);
    }
    if (text_equal(key, TEXT("body"))) {
        return parse_body(value, envelope);
    }
    enum parsed parsed = parse_number(key, value, envelope);
    return parsed == NOT_MINE ? parse_string(key, value, envelope) : parsed; /* unknown keys are skipped */
}

/* The first line is "envelope: 1": another version is another format. */
static bool take_version(struct text *rest) {
    static const struct text expected = {"envelope: 1\n", 12};
    bool known = text_equal(text_first(*rest, expected.length), expected);
    *rest = text_from(*rest, expected.length);
    return known;
}

bool envelope_parse(struct text text, struct envelope *envelope) {
    struct text rest = text;
    envelope_init(envelope);
    if (text.length > ENVELOPE_TEXT_MAXIMUM || text.length == 0 || text.data[text.length - 1] != '\n' ||
        text_find(text, '\0') < text.length || text_find(text, '\r') < text.length || !take_version(&rest)) {
        return false;
    }
    while (rest.length > 0) {
        uint32_t offset = (uint32_t)(rest.data - text.data);
        struct text line = text_first(rest, text_find(rest, '\n'));
        rest = text_from(rest, line.length + 1);
        bool recipient = line.length > 1 && line.data[1] == '\t';
        if (recipient ? !parse_recipient(line, offset, envelope) : parse_field(line, envelope) == MALFORMED) {
            return false;
        }
    }
    return envelope->mail_id[0] != '\0';
}
