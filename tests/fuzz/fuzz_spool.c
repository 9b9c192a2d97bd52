/* SPDX-License-Identifier: MIT
 * Fuzz target: a start of the ledger over a queue in which anything may lie: records with right checksums and any
 * content, remnants, mail files whole and damaged. It starts, tells nothing of what it cannot read, and a second start
 * finds what the first one made. */
#include "base/file.h"
#include "fuzz_directory.h"
#include "spool/mail_file.h"
#include "spool/spool.h"

#define SALT UINT64_C(0x0123456789abcdef)
#define SEGMENT 8 /* numbered behind those of the template */
#define IDS 3
#define DAMAGED 128 /* of a record's kind: a byte of it becomes another */
#define FORMER_LIFE 64
#define FILE_SIZE_MAXIMUM (256u * 1024)

static const char *const ids[IDS] = {"AAAAAA-BBBBBB-CC", "AAAAAA-BBBBBB-DD", "AAAAAA-BBBBBB-EE"};
static const char *const domains[] = {"example.test", "second.test"};
static char queue[96], database[96], journal[128];
static struct buffer template_bytes;
static struct spool_options options;

static int no_flush(int fd) {
    (void)fd;
    return 0;
}

static struct spool *open_spool(void) {
    struct buffer error;

    buffer_init(&error, 4096);
    struct spool *spool = spool_open(&options, &error);
    if (spool == NULL)
        (void)fprintf(stderr, "%s\n", buffer_string(&error));
    FUZZ_CHECK(spool != NULL);
    buffer_free(&error);
    return spool;
}

/* An empty database, made once. */
static void fuzz_start(void) {
    journal_flush = no_flush;
    fuzz_make_directory();
    (void)snprintf(queue, sizeof queue, "%s/queue", fuzz_directory);
    (void)snprintf(database, sizeof database, "%s/parcelpost.db", fuzz_directory);
    (void)snprintf(journal, sizeof journal, "%s/journal", queue);
    options = (struct spool_options){.queue = queue,
                                     .database = database,
                                     .limits = {.segment_size = 64u * 1024, .maximum_size = 64u << 20},
                                     .journal_max_message = 32u * 1024,
                                     .queue_lifetime = 86400,
                                     .local_domains = domains,
                                     .local_domain_count = 1};
    spool_close(open_spool());
    int fd = open(database, O_RDONLY | O_CLOEXEC);
    buffer_init(&template_bytes, 4u << 20);
    FUZZ_CHECK(fd >= 0 && file_read_into(fd, &template_bytes));
    (void)close(fd);
}

static struct text long_piece(struct text *input) {
    size_t length = fuzz_byte(input);

    length += (size_t)fuzz_byte(input) << 8;
    struct text piece = text_first(*input, length);
    *input = text_from(*input, piece.length);
    return piece;
}

/* Whole, or the input's own text. */
static void add_envelope(uint8_t flags, const char *mail_id, struct text *input, struct buffer *out) {
    struct envelope envelope;

    if (flags & 16) {
        (void)buffer_append_text(out, long_piece(input));
        return;
    }
    envelope_init(&envelope);
    (void)text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(mail_id));
    envelope.received_at = 1800000000;
    envelope_set(&envelope.role, TEXT("mx"));
    envelope_set(&envelope.from_url, TEXT("sender@remote.test"));
    for (uint8_t count = fuzz_byte(input) % 4; count > 0; count--)
        (void)envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
    (void)envelope_format(&envelope, out);
    envelope_free(&envelope);
}

static void add_mail(uint8_t flags, struct text *input, struct buffer *payload) {
    struct record_mail mail = {.lengths = {.message = 0}};
    unsigned char head[RECORD_MAIL_HEAD_SIZE];
    struct buffer envelope;
    struct text message = fuzz_piece(input), headers = fuzz_piece(input);

    buffer_init(&envelope, FILE_SIZE_MAXIMUM);
    (void)text_copy(mail.mail_id, sizeof mail.mail_id, text_of(ids[flags % IDS]));
    add_envelope(flags, ids[flags / 64 % IDS], input, &envelope);
    mail.lengths = (struct cargo_lengths){message.length, headers.length, envelope.length};
    if (flags & 8) /* it says something else than it has */
        mail.lengths.headers += fuzz_byte(input);
    record_mail_head(&mail, head);
    (void)buffer_append(payload, head, sizeof head);
    (void)buffer_append_text(payload, message);
    (void)buffer_append_text(payload, headers);
    (void)buffer_append_text(payload, buffer_text(&envelope));
    buffer_free(&envelope);
}

static enum record_type add_small(uint8_t flags, struct text *input, struct buffer *payload) {
    struct record_done done = {.recipient = fuzz_byte(input), .status = fuzz_byte(input), .at = 1800000000};
    struct record_gone gone = {.reason = flags & 8 ? GONE_ENDED : GONE_TO_FILE};
    struct record_cut cut = {.segment = fuzz_byte(input), .position = (uint64_t)fuzz_byte(input) * 32};

    (void)text_copy(done.mail_id, sizeof done.mail_id, text_of(ids[flags % IDS]));
    (void)text_copy(gone.mail_id, sizeof gone.mail_id, text_of(ids[flags % IDS]));
    done.reply = fuzz_piece(input);
    switch (flags / 16 % 4) {
    case 0:
        (void)record_gone_format(&gone, payload);
        return RECORD_GONE;
    case 1:
        (void)record_cut_format(&cut, payload);
        return RECORD_CUT;
    case 2:
        (void)buffer_append_text(payload, fuzz_piece(input));
        return (enum record_type)(1 + flags % 5);
    default:
        (void)record_done_format(&done, payload);
        return RECORD_DONE;
    }
}

static void put_record(struct buffer *segment, enum record_type type, uint64_t number, struct text payload) {
    struct record_header header = {.type = type, .segment = number, .length = payload.length};
    unsigned char bytes[RECORD_HEADER_SIZE];
    size_t start = segment->length;

    record_header_format(&header, type == RECORD_OPEN ? 0 : SALT, payload, TEXT_NONE, bytes);
    (void)buffer_append(segment, bytes, sizeof bytes);
    (void)buffer_append_text(segment, payload);
    while (segment->length - start < record_room(payload.length))
        (void)buffer_append_byte(segment, '\0');
}

static void put_file(uint8_t flags, struct text *input) {
    struct mail_files files;
    struct envelope envelope;
    struct buffer cargo, error;
    char path[PATH_MAX];
    struct text message = fuzz_piece(input);
    const char *mail_id = ids[flags % IDS];

    buffer_init(&error, 256);
    buffer_init(&cargo, FILE_SIZE_MAXIMUM);
    FUZZ_CHECK(mail_files_open(&files, queue, &error));
    (void)buffer_append_text(&cargo, message);
    add_envelope(flags, ids[flags / 64 % IDS], input, &cargo);
    struct cargo_lengths lengths = {.message = message.length, .envelope = cargo.length - message.length};
    (void)envelope_parse(text_from(buffer_text(&cargo), message.length), &envelope);
    (void)mail_file_write(&files, mail_id, buffer_text(&cargo), &lengths, &envelope);
    envelope_free(&envelope);
    if (flags & 32) { /* it stands in the file alone */
        const struct mail_status status = {0, message.length % 2 == 0 ? RECIPIENT_HELD : RECIPIENT_DELIVERED};
        (void)mail_file_set_status(&files, mail_id, &status, 1);
    }
    (void)snprintf(path, sizeof path, "%s/%s", files.mail, mail_id);
    if (flags & 8) { /* a byte of it, which no flush has written, or all of it */
        int fd = open(path, O_RDWR | O_CLOEXEC);
        uint8_t byte = fuzz_byte(input), at = fuzz_byte(input);
        if (fd >= 0)
            FUZZ_CHECK(pwrite(fd, &byte, 1, at) == 1);
        if (fd >= 0)
            (void)close(fd);
    }
    buffer_free(&cargo);
    buffer_free(&error);
}

/* The segment, and files beside it. */
static void fill_queue(struct text *input) {
    struct buffer segment, payload;
    char path[160];

    buffer_init(&segment, FILE_SIZE_MAXIMUM);
    buffer_init(&payload, FILE_SIZE_MAXIMUM);
    (void)record_open_format(SALT, &payload);
    put_record(&segment, RECORD_OPEN, SEGMENT, buffer_text(&payload));
    while (input->length > 0) {
        uint8_t kind = fuzz_byte(input), flags = fuzz_byte(input);
        buffer_clear(&payload);
        if (kind % 4 == 0) {
            add_mail(flags, input, &payload);
            put_record(&segment, RECORD_MAIL, SEGMENT, buffer_text(&payload));
        } else if (kind % 4 == 1) {
            enum record_type type = add_small(flags, input, &payload);
            put_record(&segment, type, kind & FORMER_LIFE ? SEGMENT - 1 : SEGMENT, buffer_text(&payload));
        } else if (kind % 4 == 2) {
            put_file(flags, input);
        } else {
            (void)buffer_append_text(&segment, fuzz_piece(input));
        }
        if ((kind & DAMAGED) && segment.length > flags % 64)
            segment.data[segment.length - 1 - flags % 64] ^= 1;
    }
    (void)snprintf(path, sizeof path, "%s/%06u", journal, SEGMENT);
    fuzz_write_file(path, buffer_text(&segment));
    buffer_free(&payload);
    buffer_free(&segment);
}

static void fetch_all(struct spool *spool) {
    struct spool_content content;
    struct spool_recipient *recipients;
    size_t count;

    for (size_t i = 0; i < IDS; i++) {
        if (spool_fetch(spool, ids[i], &content)) {
            FUZZ_CHECK(content.bytes != NULL || content.fd >= 0);
            free(content.bytes);
            if (content.fd >= 0)
                (void)close(content.fd);
        }
        FUZZ_CHECK(spool_waiting(spool, ids[i], &recipients, &count));
        free(recipients);
    }
    for (bool more = spool_sweep(spool, true); more;)
        more = spool_sweep(spool, false);
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    struct buffer report;

    options.limits.maximum_size = flags & 2 ? 0 : 64u << 20;
    options.local_domain_count = 2;
    fuzz_remove_tree(queue);
    (void)unlink(database);
    FUZZ_CHECK(mkdir(queue, 0700) == 0 && mkdir(journal, 0700) == 0);
    fuzz_write_file(database, buffer_text(&template_bytes));
    fill_queue(&input);
    struct spool *spool = open_spool();
    fetch_all(spool);
    options.local_domain_count = 1 + flags / 4 % 2;
    spool_set_options(spool, &options);
    FUZZ_CHECK(spool_sync_domains(spool));
    spool_close(spool);
    if (flags & 8) { /* out of a backup, though its mail has left perhaps */
        struct text file = TEXT("\003a\r\n\001");
        put_file(0, &file);
    }
    spool_close(open_spool());
    if (flags & 1) {
        buffer_init(&report, 16384);
        FUZZ_CHECK(spool_rebuild(&options, &report));
        buffer_free(&report);
        spool_close(open_spool());
    }
}
