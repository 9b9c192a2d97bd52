/* SPDX-License-Identifier: MIT
 * Fuzz target: notices and answers of those who are away, made of strangers' addresses, replies, hosts and headers.
 * Whatever these are, the header is ours alone, every line of it whole, and the envelope can be read. */
#include "fuzz.h"
#include "mail/header.h"
#include "runner/vacation.h"

#define RECIPIENTS 3
#define ROOM_MAXIMUM (64u * 1024)

static void fuzz_start(void) {
}

/* No field but those that we write, each once. */
static void check_header(struct text message) {
    static const char *const names[] = {
        "From",       "To",           "Subject",        "Date",         "Message-ID",   "In-Reply-To",
        "References", "MIME-Version", "Auto-Submitted", "Content-Type", "TLS-Required", "Content-Transfer-Encoding",
    };
    struct text rest = text_first(message, header_section_length(message)), line;
    struct text section = rest;
    struct header_field field;
    unsigned seen[sizeof names / sizeof names[0]] = {0};

    FUZZ_CHECK(text_starts_nocase(text_from(message, section.length), TEXT("\r\n")));
    while (header_next(&rest, &field)) {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && !text_equal_nocase(field.name, text_of(names[i])))
            i++;
        FUZZ_CHECK(i < sizeof names / sizeof names[0] && seen[i]++ == 0);
    }
    while (text_split(&section, '\n', &line))
        FUZZ_CHECK(line.length > 0 && text_find(line, '\r') == line.length - 1);
}

static void check_cargo(const struct buffer *cargo, const struct notice_lengths *lengths) {
    struct text whole = buffer_text(cargo);
    struct envelope envelope;

    FUZZ_CHECK(lengths->message + lengths->headers + lengths->envelope == whole.length);
    check_header(text_first(whole, lengths->message));
    FUZZ_CHECK(header_count(text_first(text_from(whole, lengths->message), lengths->headers), "Received") == 1);
    bool good = envelope_parse(text_from(whole, lengths->message + lengths->headers), &envelope);
    FUZZ_CHECK(good && envelope.auto_generated == 1);
    envelope_free(&envelope);
}

static void build_notice(uint8_t flags, uint8_t more, size_t room, struct text *input) {
    struct notice_recipient recipients[RECIPIENTS];
    char *strings[3 * RECIPIENTS], *others[6];
    struct notice_lengths lengths;
    struct buffer cargo;

    for (size_t i = 0; i < 3 * RECIPIENTS; i++)
        strings[i] = fuzz_string(input);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        others[i] = fuzz_string(input);
    for (size_t i = 0; i < RECIPIENTS; i++)
        recipients[i] = (struct notice_recipient){.to_url = strings[3 * i],
                                                  .target = strings[3 * i + 1],
                                                  .orcpt = strings[3 * i + 2],
                                                  .reply = fuzz_piece(input),
                                                  .from_server = more & (1u << i),
                                                  .expired = more & (8u << i)};
    const struct notice notice = {.kind = (enum notice_kind)(flags % NOTICE_KINDS),
                                  .copy = flags & 8,
                                  .server_name = "mail.example.test",
                                  .server_title = "Parcelpost",
                                  .postmaster = "postmaster@example.test",
                                  .id = "AAAAAA-BBBBBB-CC",
                                  .mail_id = "AAAAAA-BBBBBB-CD",
                                  .addressee = others[0],
                                  .targets = fuzz_piece(input),
                                  .envid = others[1],
                                  .message_id = others[2],
                                  .future_release = others[3],
                                  .host = others[4],
                                  .arrived_at = 1000000,
                                  .tried_since = more & 64 ? 1000000 : 2000000,
                                  .attempted_at = more & 128 ? 2000000 : 0,
                                  .expires_at = 3000000,
                                  .now = 2000000 + (int64_t)more * 5000,
                                  .requiretls = flags & 16,
                                  .original = *input,
                                  .whole = flags & 32,
                                  .recipients = recipients,
                                  .count = 1u + flags / 64 % RECIPIENTS};
    buffer_init(&cargo, room);
    if (notice_build(&notice, &cargo, &lengths))
        check_cargo(&cargo, &lengths);
    buffer_free(&cargo);
    for (size_t i = 0; i < 3 * RECIPIENTS; i++)
        free(strings[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        free(others[i]);
}

static void build_answer(uint8_t flags, size_t room, struct text *input) {
    char *sender = fuzz_string(input), *address = fuzz_string(input), *subject = fuzz_string(input);
    char *message = fuzz_string(input), owner[256];
    const char *addresses[] = {"coco@example.test", address};
    struct text targets = fuzz_piece(input);
    struct notice_lengths lengths;
    struct buffer cargo;

    vacation_owner(address, flags & 8 ? "+" : "", owner, sizeof owner);
    FUZZ_CHECK(strlen(owner) <= strlen(address));
    const struct vacation_question question = {sender, *input, addresses, 2};
    const struct vacation_answer answer = {.server_name = "mail.example.test",
                                           .id = "AAAAAA-BBBBBB-CC",
                                           .account = "coco@example.test",
                                           .correspondent = sender,
                                           .targets = targets,
                                           .subject = subject,
                                           .message = message,
                                           .header = *input,
                                           .requiretls = flags & 16,
                                           .tls_optional = flags & 32,
                                           .now = 2000000};
    buffer_init(&cargo, room);
    if (vacation_judge(&question) == VACATION_ANSWERS && vacation_build(&answer, &cargo, &lengths))
        check_cargo(&cargo, &lengths);
    buffer_free(&cargo);
    free(sender);
    free(address);
    free(subject);
    free(message);
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input), more = fuzz_byte(&input), room = fuzz_byte(&input);
    size_t bytes = room == 0 ? ROOM_MAXIMUM : 128u * room;

    if (flags % 8 == 7)
        build_answer(flags, bytes, &input);
    else
        build_notice(flags, more, bytes, &input);
}
