/* SPDX-License-Identifier: MIT
 * Packs and unpacks the journal's records. Called by journal.c and spool_recover.c in the ledger; no I/O, no state;
 * malformed bytes give false. */
#include "spool/record.h"
#include <string.h>
#define XXH_INLINE_ALL /* no library to map in every process; XXH3_state_t on the stack */
#include <xxhash.h>

#define MAGIC "PPJR"
#define VERSION 1u
#define CHECKSUM_OFFSET 24u
#define BEGINS_BATCH 0x8000u /* in the type */
#define ID_LENGTH (MAIL_ID_SIZE - 1u)
#define REPLY_MAXIMUM 2048u

static void put_number(unsigned char *bytes, uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t get_number(const void *from, unsigned count) {
    const unsigned char *bytes = from;
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

uint64_t cargo_total(const struct cargo_lengths *lengths) {
    return lengths->message + lengths->headers + lengths->envelope;
}

uint64_t record_room(uint64_t payload_length) {
    uint64_t size = RECORD_HEADER_SIZE + payload_length;
    return (size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

static uint64_t checksum(const unsigned char *header, uint64_t salt, struct text head, struct text body) {
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, salt);
    XXH3_64bits_update(&state, header, CHECKSUM_OFFSET);
    XXH3_64bits_update(&state, head.data, head.length);
    XXH3_64bits_update(&state, body.data, body.length);
    return XXH3_64bits_digest(&state);
}

void record_header_format(struct record_header *header, uint64_t salt, struct text head, struct text body,
                          unsigned char bytes[RECORD_HEADER_SIZE]) {
    header->length = head.length + body.length;
    memcpy(bytes, MAGIC, 4);
    put_number(bytes + 4, VERSION, 2);
    put_number(bytes + 6, (uint64_t)header->type | (header->begins_batch ? BEGINS_BATCH : 0), 2);
    put_number(bytes + 8, header->segment, 8);
    put_number(bytes + 16, header->length, 8);
    header->checksum = checksum(bytes, salt, head, body);
    put_number(bytes + CHECKSUM_OFFSET, header->checksum, 8);
}

bool record_header_parse(const unsigned char bytes[RECORD_HEADER_SIZE], struct record_header *header) {
    uint64_t type = get_number(bytes + 6, 2) & ~(uint64_t)BEGINS_BATCH;
    if (memcmp(bytes, MAGIC, 4) != 0 || get_number(bytes + 4, 2) != VERSION || type < RECORD_OPEN ||
        type > RECORD_CUT) {
        return false;
    }
    header->type = (enum record_type)type;
    header->begins_batch = (get_number(bytes + 6, 2) & BEGINS_BATCH) != 0;
    header->segment = get_number(bytes + 8, 8);
    header->length = get_number(bytes + 16, 8);
    header->checksum = get_number(bytes + CHECKSUM_OFFSET, 8);
    return true;
}

bool record_checksum_matches(const unsigned char bytes[RECORD_HEADER_SIZE], const struct record_header *header,
                             uint64_t salt, struct text payload) {
    return payload.length == header->length && checksum(bytes, salt, payload, TEXT_NONE) == header->checksum;
}

static bool take_id(struct text *payload, char id[MAIL_ID_SIZE]) {
    struct text bytes = text_first(*payload, ID_LENGTH);
    *payload = text_from(*payload, ID_LENGTH);
    return mail_id_is_valid(bytes) && text_copy(id, MAIL_ID_SIZE, bytes);
}

static bool take_number(struct text *payload, unsigned count, uint64_t *value) {
    if (payload->length < count) {
        return false;
    }
    *value = get_number(payload->data, count);
    *payload = text_from(*payload, count);
    return true;
}

static bool add_number(struct buffer *payload, uint64_t value, unsigned count) {
    unsigned char bytes[8];
    put_number(bytes, value, count);
    return buffer_append(payload, bytes, count);
}

void record_mail_head(const struct record_mail *mail, unsigned char bytes[RECORD_MAIL_HEAD_SIZE]) {
    memcpy(bytes, mail->mail_id, ID_LENGTH);
    put_number(bytes + ID_LENGTH, mail->lengths.message, 8);
    put_number(bytes + ID_LENGTH + 8, mail->lengths.headers, 8);
    put_number(bytes + ID_LENGTH + 16, mail->lengths.envelope, 8);
}

bool record_mail_parse(struct text payload, struct record_mail *mail, struct text *cargo) {
    uint64_t left;
    if (!take_id(&payload, mail->mail_id) || !take_number(&payload, 8, &mail->lengths.message) ||
        !take_number(&payload, 8, &mail->lengths.headers) || !take_number(&payload, 8, &mail->lengths.envelope)) {
        return false;
    }
    left = payload.length; /* one after the other, so that no sum can overflow */
    if (mail->lengths.message > left || mail->lengths.headers > left - mail->lengths.message) {
        return false;
    }
    left -= mail->lengths.message + mail->lengths.headers;
    *cargo = payload;
    return mail->lengths.envelope == left;
}

bool record_done_format(const struct record_done *done, struct buffer *payload) {
    return buffer_append(payload, done->mail_id, ID_LENGTH) && add_number(payload, done->recipient, 4) &&
           add_number(payload, done->status, 4) && add_number(payload, (uint64_t)done->at, 8) &&
           buffer_append_text(payload, text_first(done->reply, REPLY_MAXIMUM));
}

bool record_done_parse(struct text payload, struct record_done *done) {
    uint64_t recipient, status, at;
    if (!take_id(&payload, done->mail_id) || !take_number(&payload, 4, &recipient) ||
        !take_number(&payload, 4, &status) || !take_number(&payload, 8, &at)) {
        return false;
    }
    done->recipient = (uint32_t)recipient;
    done->status = (uint32_t)status;
    done->at = (int64_t)at;
    done->reply = payload;
    return true;
}

bool record_gone_format(const struct record_gone *gone, struct buffer *payload) {
    return buffer_append(payload, gone->mail_id, ID_LENGTH) && buffer_append_byte(payload, (char)gone->reason);
}

bool record_gone_parse(struct text payload, struct record_gone *gone) {
    if (!take_id(&payload, gone->mail_id) || payload.length != 1 ||
        (payload.data[0] != GONE_ENDED && payload.data[0] != GONE_TO_FILE)) {
        return false;
    }
    gone->reason = (enum gone_reason)payload.data[0];
    return true;
}

bool record_open_format(uint64_t salt, struct buffer *payload) {
    return add_number(payload, salt, 8);
}

bool record_open_parse(struct text payload, uint64_t *salt) {
    return take_number(&payload, 8, salt) && payload.length == 0;
}

bool record_cut_format(const struct record_cut *cut, struct buffer *payload) {
    return add_number(payload, cut->segment, 8) && add_number(payload, cut->position, 8);
}

bool record_cut_parse(struct text payload, struct record_cut *cut) {
    return take_number(&payload, 8, &cut->segment) && take_number(&payload, 8, &cut->position) && payload.length == 0;
}
