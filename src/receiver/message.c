/* SPDX-License-Identifier: MIT
 * Holding one message. Called by command_data.c and transaction_store.c in a confined receiver; a write that fails is
 * remembered in message->problem and becomes a 4xx, a message too large a 552; memory stays below 400 KiB. */
#include "receiver/message.h"
#include "base/file.h"
#include "base/log.h"
#include "ipc/ask.h"
#include "mail/header.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What one read may bring on top of a header section that is not complete. */
#define MEMORY_MAXIMUM (MESSAGE_HEADER_MAXIMUM + 128u * 1024)

void message_init(struct message *message, int ledger, const char *mail_id, const struct message_limits *limits) {
    *message = (struct message){.limits = *limits, .ledger = ledger, .mail_id = mail_id, .fd = -1};
    buffer_init_wiped(&message->memory, MEMORY_MAXIMUM);
    buffer_init_wiped(&message->original, MEMORY_MAXIMUM);
}

void message_free(struct message *message) {
    if (message->fd >= 0)
        (void)close(message->fd);
    message->fd = -1;
    buffer_free(&message->memory);
    buffer_free(&message->original);
}

void message_fail(struct message *message, enum message_problem problem) {
    if (message->problem == MESSAGE_OK)
        message->problem = problem;
    message_free(message);
}

bool message_write_at(struct message *message, struct text bytes, uint64_t offset) {
    if (file_pwrite_all(message->fd, bytes.data, bytes.length, (off_t)offset))
        return true;
    int reason = errno;
    log_error("the message cannot be kept: %s", strerror(reason));
    message_fail(message, reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? MESSAGE_FULL : MESSAGE_NOT_SAVED);
    return false;
}

static int open_spool_file(struct message *message) {
    enum commit_outcome outcome;
    int fd = ask_spool_file(message->ledger, message->mail_id, &outcome);

    if (fd < 0) {
        log_error("no file for a large message: %s",
                  outcome == COMMIT_FULL ? "the spool is full" : "the ledger has none");
        message_fail(message, outcome == COMMIT_FULL ? MESSAGE_FULL : MESSAGE_NOT_SAVED);
    }
    return fd;
}

/* From memory to a file; the header section stays in memory too. */
static bool leave_memory(struct message *message, bool to_spool) {
    struct buffer header;
    int fd = to_spool ? open_spool_file(message) : file_memory("mail");

    if (fd < 0)
        return false;
    message->fd = fd;
    message->place = to_spool ? CARGO_SPOOL_FILE : CARGO_MEMFD;
    message->stored_body = message->body_offset;
    if (!message_write_at(message, buffer_text(&message->memory), 0))
        return false;
    buffer_init_wiped(&header, MEMORY_MAXIMUM);
    (void)buffer_append_text(&header, text_first(buffer_text(&message->memory), message->header_length));
    buffer_free(&message->memory);
    message->memory = header;
    return true;
}

/* Where what is written next goes: the header section in the file may be a former one. */
static uint64_t file_length(const struct message *message) {
    return message->stored_body + (message->length - message->body_offset);
}

/* From the memfd to a spool file, when the message turns out too large for the journal. */
static bool leave_memfd(struct message *message) {
    int fd = open_spool_file(message);

    if (fd < 0)
        return false;
    bool copied = file_copy(message->fd, 0, fd, 0, file_length(message));
    int reason = errno;
    (void)close(message->fd);
    message->fd = fd;
    message->place = CARGO_SPOOL_FILE;
    if (copied)
        return true;
    log_error("the message cannot be kept: %s", strerror(reason));
    message_fail(message, reason == ENOSPC || reason == EDQUOT ? MESSAGE_FULL : MESSAGE_NOT_SAVED);
    return false;
}

/* Copies lines up to an empty one, without the fields that claim to be ours. Lines that are no fields are kept. */
static unsigned keep_genuine(struct text *lines, const char *own_name, struct buffer *kept) {
    struct header_field field;
    unsigned cut = 0;

    while (lines->length > 0 && !text_starts_nocase(*lines, TEXT("\r\n"))) {
        if (header_next(lines, &field)) {
            if (header_claims_our_results(&field, own_name))
                cut++;
            else
                (void)buffer_append_text(kept, field.whole);
            continue;
        }
        size_t end = text_find(*lines, '\n');
        struct text line = text_first(*lines, end < lines->length ? end + 1 : end);
        (void)buffer_append_text(kept, line);
        *lines = text_from(*lines, line.length);
    }
    return cut;
}

/* RFC 8601 5: results that claim to be ours, but came from outside, must not be believed by anybody behind us. For us a
 * line that is no field ends the header section; others read on to the empty line, so their header is searched too. */
static void cut_forged_results(struct message *message, size_t section_length) {
    struct text memory = buffer_text(&message->memory);
    struct text section = text_first(memory, section_length), rest = section;
    struct buffer kept;

    buffer_init_wiped(&kept, MEMORY_MAXIMUM);
    unsigned cut = keep_genuine(&rest, message->limits.own_name, &kept);
    size_t header_length = kept.length;
    rest = text_from(memory, section_length);
    cut += keep_genuine(&rest, message->limits.own_name, &kept);
    message->header_length = section_length;
    if (cut > 0) {
        log_warn("removed %u Authentication-Results that claimed to be ours", cut);
        message->header_length = header_length;
        (void)buffer_append_text(&message->original, section);
        (void)buffer_append_text(&kept, rest);
        message->length -= message->memory.length - kept.length;
        buffer_free(&message->memory);
        message->memory = kept;
        return;
    }
    buffer_free(&kept);
}

/* A From field in such lines is one to those who read on. Whether there is one shows the empty line, or the end of the
 * message: without them nobody knows. */
static bool is_author_hidden(struct text lines, bool whole) {
    struct header_field field;

    while (lines.length > 0 && !text_starts_nocase(lines, TEXT("\r\n")))
        if (!header_next(&lines, &field))
            lines = text_from(lines, text_find(lines, '\n') + 1);
        else if (text_equal_nocase(field.name, TEXT("From")))
            return true;
    return lines.length == 0 && !whole;
}

/* A first line that begins with a blank would go on with whatever field is put above it, and its sender would write the
 * end of what we say, or a milter. It belongs to no header: an empty line tells everybody. */
static void keep_apart(struct message *message) {
    struct text memory = buffer_text(&message->memory);
    struct buffer apart;

    if (memory.length == 0 || (memory.data[0] != ' ' && memory.data[0] != '\t'))
        return;
    buffer_init_wiped(&apart, MEMORY_MAXIMUM + 2);
    (void)buffer_append_string(&apart, "\r\n");
    (void)buffer_append_text(&apart, memory);
    message->length += 2;
    buffer_free(&message->memory);
    message->memory = apart;
}

static void end_header(struct message *message, bool whole) {
    keep_apart(message);
    struct text memory = buffer_text(&message->memory);
    size_t section_length = header_section_length(memory);

    message->author_hidden = is_author_hidden(text_from(memory, section_length), whole);
    cut_forged_results(message, section_length);
    memory = text_from(buffer_text(&message->memory), message->header_length);
    message->body_offset = message->header_length + (text_starts_nocase(memory, TEXT("\r\n")) ? 2 : 0);
    message->header_done = true;
}

/* The empty line ends the header section; so does, without one, its largest size or the end of the message. */
static void look_for_header_end(struct message *message) {
    struct text memory = buffer_text(&message->memory);
    size_t from = message->scanned > 3 ? message->scanned - 3 : 0;

    message->scanned = memory.length;
    if (text_starts_nocase(memory, TEXT("\r\n")) ||
        memmem(memory.data + from, memory.length - from, "\r\n\r\n", 4) != NULL) {
        end_header(message, false);
        return;
    }
    if (memory.length <= MESSAGE_HEADER_MAXIMUM)
        return;
    if (header_section_length(memory) > MESSAGE_HEADER_MAXIMUM)
        message_fail(message, MESSAGE_HEADER_TOO_LARGE);
    else
        end_header(message, false);
}

/* What is too large for the journal never travels inside the request. */
static uint64_t inline_maximum(const struct message *message) {
    return message->limits.journal < COMMIT_INLINE_MAXIMUM ? message->limits.journal : COMMIT_INLINE_MAXIMUM;
}

void message_write(struct message *message, struct text piece, uint64_t expected) {
    message->received += piece.length;
    if (message->received > message->limits.maximum)
        message_fail(message, MESSAGE_TOO_LARGE);
    if (message->problem != MESSAGE_OK)
        return;
    if (message->fd >= 0) {
        if (message->place == CARGO_MEMFD && message->length + piece.length > message->limits.journal &&
            !leave_memfd(message))
            return;
        if (message_write_at(message, piece, file_length(message)))
            message->length += piece.length;
        return;
    }
    if (message->memory.capacity == 0 && expected > piece.length)
        (void)buffer_reserve(&message->memory, expected < inline_maximum(message) ? expected : inline_maximum(message));
    if (!buffer_append_text(&message->memory, piece)) {
        message_fail(message, MESSAGE_HEADER_TOO_LARGE);
        return;
    }
    message->length += piece.length;
    if (!message->header_done)
        look_for_header_end(message);
    if (message->problem == MESSAGE_OK && message->header_done && message->length > inline_maximum(message))
        (void)leave_memory(message, expected > message->limits.journal || message->length > message->limits.journal);
}

void message_drop(struct message *message) {
    message_fail(message, MESSAGE_DROPPED);
}

void message_finish(struct message *message) {
    if (message->problem != MESSAGE_OK || message->header_done)
        return;
    if (header_section_length(buffer_text(&message->memory)) > MESSAGE_HEADER_MAXIMUM)
        message_fail(message, MESSAGE_HEADER_TOO_LARGE);
    else
        end_header(message, true);
}

struct text message_header(const struct message *message) {
    return text_first(buffer_text(&message->memory), message->header_length);
}

struct text message_original_header(const struct message *message) {
    return message->original.length > 0 ? buffer_text(&message->original) : message_header(message);
}

uint64_t message_body_offset(const struct message *message) {
    return message->body_offset;
}

struct text message_content(const struct message *message) {
    return message->fd < 0 ? text_first(buffer_text(&message->memory), message->length) : TEXT_NONE;
}

ssize_t message_read_body(const struct message *message, uint64_t offset, char *bytes, size_t size) {
    uint64_t left = message->length - message->body_offset;

    if (message->problem != MESSAGE_OK)
        return -1;
    left = offset < left ? left - offset : 0;
    size = left < size ? (size_t)left : size;
    if (size == 0)
        return 0;
    if (message->fd < 0)
        memcpy(bytes, message->memory.data + message->body_offset + offset, size);
    else if (!file_pread_all(message->fd, bytes, size, (off_t)(message->stored_body + offset)))
        return -1;
    return (ssize_t)size;
}

/* Behind what is in memory there is room: nothing is copied. */
static bool append_inline(struct message *message, struct text tail, struct text *cargo) {
    message->place = CARGO_INLINE;
    buffer_truncate(&message->memory, message->length); /* without a former tail */
    bool fits = buffer_append_text(&message->memory, tail);
    *cargo = buffer_text(&message->memory);
    return fits;
}

bool message_append_tail(struct message *message, struct text tail, struct text *cargo) {
    uint64_t total = message->length + tail.length;

    *cargo = TEXT_NONE;
    if (message->problem != MESSAGE_OK)
        return false;
    if (message->fd < 0 && total <= inline_maximum(message))
        return append_inline(message, tail, cargo);
    if (message->fd < 0 && !leave_memory(message, total > message->limits.journal))
        return false;
    if (!message_settle(message))
        return false;
    if (message->place == CARGO_MEMFD && total > message->limits.journal && !leave_memfd(message))
        return false;
    if (!message_write_at(message, tail, message->length))
        return false;
    if (ftruncate(message->fd, (off_t)total) == 0)
        return true;
    log_error("the message cannot be kept: %s", strerror(errno));
    message_fail(message, MESSAGE_NOT_SAVED);
    return false;
}
