/* SPDX-License-Identifier: MIT
 * Lists inside messages: items packed one behind the other, each by a field table as messages are (numbers 4 or 8
 * bytes little-endian, texts with a 4-byte length). Called by whoever makes or reads a list, under its own privileges;
 * malformed bytes set *bad and end the list. */
#include "ipc/list.h"
#include "mail/address.h"
#include "mail/reply.h"
#include "mail/sql_action.h"
#include <endian.h>
#include <string.h>

#define ADDRESS_MAXIMUM (2 * ADDRESS_SIZE)
#define DOMAIN_MAXIMUM 256
#define ORCPT_MAXIMUM 1024 /* RFC 3461 4.2 allows 500, xtext-encoded by sloppy clients */

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct channel_field result_fields[] = {
    {FIELD_U32, offsetof(struct result_item, recipient), 0},
    {FIELD_U32, offsetof(struct result_item, kind), RESULT_FAILED},
    {FIELD_I64, offsetof(struct result_item, retry_at), 0},
    {FIELD_U32, offsetof(struct result_item, onward), ONWARD_BLIND},
    {FIELD_U32, offsetof(struct result_item, delay_told), 1},
    {FIELD_U32, offsetof(struct result_item, from_server), 1},
    {FIELD_TEXT, offsetof(struct result_item, reply), 4 * REPLY_TEXT_SIZE},
};
static const struct channel_field parcel_fields[] = {
    {FIELD_U32, offsetof(struct parcel_item, recipient), 0},
    {FIELD_U32, offsetof(struct parcel_item, delivery), 2},
    {FIELD_I64, offsetof(struct parcel_item, parcel_id), 0},
    {FIELD_I64, offsetof(struct parcel_item, retry_at), 0},
    {FIELD_U32, offsetof(struct parcel_item, attempts), 0},
    {FIELD_TEXT, offsetof(struct parcel_item, target), ADDRESS_MAXIMUM},
    {FIELD_TEXT, offsetof(struct parcel_item, domain), DOMAIN_MAXIMUM},
    {FIELD_TEXT, offsetof(struct parcel_item, sender), ADDRESS_MAXIMUM},
};
static const struct channel_field record_fields[] = {
    {FIELD_U32, offsetof(struct dns_record, preference), UINT16_MAX},
    {FIELD_TEXT, offsetof(struct dns_record, value), UINT16_MAX},
};
static const struct channel_field notice_fields[] = {
    {FIELD_I64, offsetof(struct notice_item, message_length), 0},
    {FIELD_I64, offsetof(struct notice_item, headers_length), 0},
    {FIELD_I64, offsetof(struct notice_item, envelope_length), 0},
    {FIELD_TEXT, offsetof(struct notice_item, cargo), NOTICES_MAXIMUM},
};
static const struct channel_field target_fields[] = {
    {FIELD_U32, offsetof(struct address_target, delivery), 2},
    {FIELD_TEXT, offsetof(struct address_target, target), ADDRESS_MAXIMUM},
    {FIELD_TEXT, offsetof(struct address_target, sender), ADDRESS_MAXIMUM},
};
static const struct channel_field fact_fields[] = {
    {FIELD_U32, offsetof(struct fact_item, fact), SQL_FACTS - 1},
    {FIELD_TEXT, offsetof(struct fact_item, value), SQL_FACT_VALUE_MAXIMUM},
};
static const struct channel_field action_fields[] = {
    {FIELD_U32, offsetof(struct action_item, action), SQL_ACTIONS - 1},
    {FIELD_TEXT, offsetof(struct action_item, rule), SQL_RULE_NAME_SIZE},
    {FIELD_TEXT, offsetof(struct action_item, value), SQL_ACTION_VALUE_MAXIMUM},
};
static const struct channel_field job_recipient_fields[] = {
    {FIELD_U32, offsetof(struct job_recipient, recipient), 0},
    {FIELD_TEXT, offsetof(struct job_recipient, target), ADDRESS_MAXIMUM},
    {FIELD_TEXT, offsetof(struct job_recipient, to_url), ADDRESS_MAXIMUM},
    {FIELD_TEXT, offsetof(struct job_recipient, notify), DOMAIN_MAXIMUM},
    {FIELD_TEXT, offsetof(struct job_recipient, orcpt), ORCPT_MAXIMUM},
};

static bool number_fits(const struct channel_field *field, uint32_t value) {
    return field->maximum == 0 || value <= field->maximum;
}

static bool add_field(struct buffer *list, const struct channel_field *field, const unsigned char *item) {
    struct text text;
    uint32_t small;
    uint64_t large;

    switch (field->type) {
    case FIELD_U32:
        memcpy(&small, item + field->offset, sizeof small);
        if (!number_fits(field, small))
            return false;
        small = htole32(small);
        return buffer_append(list, &small, sizeof small);
    case FIELD_I64:
        memcpy(&large, item + field->offset, sizeof large);
        large = htole64(large);
        return buffer_append(list, &large, sizeof large);
    case FIELD_TEXT:
        memcpy(&text, item + field->offset, sizeof text);
        if (text.length > field->maximum)
            return false;
        small = htole32((uint32_t)text.length);
        return buffer_append(list, &small, sizeof small) && buffer_append_text(list, text);
    }
    return false;
}

/* All of the item or nothing. */
static bool add_item(struct buffer *list, const struct channel_field *fields, size_t count, const void *item) {
    size_t before = list->length;

    for (size_t i = 0; i < count; i++)
        if (!add_field(list, &fields[i], item)) {
            list->length = before;
            return false;
        }
    return true;
}

static bool take_bytes(struct text *list, void *destination, size_t length) {
    if (list->length < length)
        return false;
    memcpy(destination, list->data, length);
    *list = text_from(*list, length);
    return true;
}

static bool next_field(struct text *list, const struct channel_field *field, unsigned char *item) {
    struct text text;
    uint32_t small;
    uint64_t large;

    if (field->type == FIELD_I64) {
        if (!take_bytes(list, &large, sizeof large))
            return false;
        large = le64toh(large);
        memcpy(item + field->offset, &large, sizeof large);
        return true;
    }
    if (!take_bytes(list, &small, sizeof small))
        return false;
    small = le32toh(small);
    if (field->type == FIELD_U32) {
        memcpy(item + field->offset, &small, sizeof small);
        return number_fits(field, small);
    }
    if (small > field->maximum || small > list->length)
        return false;
    text = text_first(*list, small);
    memcpy(item + field->offset, &text, sizeof text);
    *list = text_from(*list, small);
    return true;
}

static bool next_item(struct text *list, const struct channel_field *fields, size_t count, void *item, bool *bad) {
    if (list->length == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!next_field(list, &fields[i], item)) {
            *list = TEXT_NONE;
            *bad = true;
            return false;
        }
    return true;
}

bool list_add_result(struct buffer *list, const struct result_item *item) {
    return add_item(list, result_fields, COUNT(result_fields), item);
}

bool list_next_result(struct text *list, struct result_item *item, bool *bad) {
    return next_item(list, result_fields, COUNT(result_fields), item, bad);
}

bool list_add_parcel(struct buffer *list, const struct parcel_item *item) {
    return add_item(list, parcel_fields, COUNT(parcel_fields), item);
}

bool list_next_parcel(struct text *list, struct parcel_item *item, bool *bad) {
    return next_item(list, parcel_fields, COUNT(parcel_fields), item, bad);
}

bool list_add_record(struct buffer *list, const struct dns_record *item) {
    return add_item(list, record_fields, COUNT(record_fields), item);
}

bool list_next_record(struct text *list, struct dns_record *item, bool *bad) {
    return next_item(list, record_fields, COUNT(record_fields), item, bad);
}

bool list_add_notice(struct buffer *list, const struct notice_item *item) {
    return add_item(list, notice_fields, COUNT(notice_fields), item);
}

bool list_next_notice(struct text *list, struct notice_item *item, bool *bad) {
    return next_item(list, notice_fields, COUNT(notice_fields), item, bad);
}

bool list_add_target(struct buffer *list, const struct address_target *item) {
    return add_item(list, target_fields, COUNT(target_fields), item);
}

bool list_next_target(struct text *list, struct address_target *item, bool *bad) {
    return next_item(list, target_fields, COUNT(target_fields), item, bad);
}

bool list_add_fact(struct buffer *list, const struct fact_item *item) {
    return add_item(list, fact_fields, COUNT(fact_fields), item);
}

bool list_next_fact(struct text *list, struct fact_item *item, bool *bad) {
    return next_item(list, fact_fields, COUNT(fact_fields), item, bad);
}

bool list_add_action(struct buffer *list, const struct action_item *item) {
    return add_item(list, action_fields, COUNT(action_fields), item);
}

bool list_next_action(struct text *list, struct action_item *item, bool *bad) {
    return next_item(list, action_fields, COUNT(action_fields), item, bad);
}

bool list_add_job_recipient(struct buffer *list, const struct job_recipient *item) {
    return add_item(list, job_recipient_fields, COUNT(job_recipient_fields), item);
}

bool list_next_job_recipient(struct text *list, struct job_recipient *item, bool *bad) {
    return next_item(list, job_recipient_fields, COUNT(job_recipient_fields), item, bad);
}
