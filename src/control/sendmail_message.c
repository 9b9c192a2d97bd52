/* SPDX-License-Identifier: MIT
 * What sendmail makes of its standard input: line ends, recipients of the header (-t), missing fields. Values, no I/O;
 * called by sendmail.c under the caller's privileges. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "control/address_list.h"
#include "control/sendmail.h"
#include "control/submission.h"
#include "mail/header.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

bool sendmail_qualify(const struct config *config, const char *address, char *qualified, size_t size) {
    const char *domain = config_main_domain(config);
    /* An @ inside a quoted local part is not the one before a domain. */
    const char *at = strrchr(address, '@'), *quote = strrchr(address, '"');
    bool has_domain = at != NULL && (quote == NULL || quote < at);
    int length =
        has_domain ? snprintf(qualified, size, "%s", address) : snprintf(qualified, size, "%s@%s", address, domain);
    return length > 0 && (size_t)length < size;
}

bool sendmail_add_recipient(struct sendmail_draft *draft, const char *address) {
    char qualified[SENDMAIL_RECIPIENT_SIZE];
    if (!sendmail_qualify(draft->config, address, qualified, sizeof(qualified))) {
        return false;
    }
    for (size_t i = 0; i < draft->count; i++) {
        if (strcmp(draft->recipients[i], qualified) == 0) {
            return true;
        }
    }
    if (draft->count >= SUBMISSION_RECIPIENTS_MAXIMUM) {
        return false;
    }
    if (draft->count == draft->capacity) {
        draft->capacity = draft->capacity == 0 ? 16 : draft->capacity * 2;
        draft->recipients = memory_resize(draft->recipients, draft->capacity, sizeof(*draft->recipients));
    }
    draft->recipients[draft->count++] = memory_string(text_of(qualified));
    return true;
}

/* Any of LF, CRLF, and CRs gone astray becomes a line's end or nothing: the server takes strict CRLF only. */
static bool append_line(struct buffer *message, struct text line) {
    while (line.length > 0 && line.data[line.length - 1] == '\r') {
        line.length--;
    }
    for (size_t at; (at = text_find(line, '\r')) < line.length; line = text_from(line, at + 1)) {
        if (!buffer_append_text(message, text_first(line, at)) || !buffer_append_byte(message, ' ')) {
            return false;
        }
    }
    return buffer_append_text(message, line) && buffer_append_string(message, "\r\n");
}

static bool append_lines(struct sendmail_draft *draft, struct text rest) {
    struct text line;
    while (text_split(&rest, '\n', &line)) {
        bool lone_dot = text_equal(line, TEXT(".")) || text_equal(line, TEXT(".\r"));
        if (lone_dot && !draft->dots_are_data) {
            return true;
        }
        if (!append_line(&draft->message, line)) {
            return false;
        }
    }
    return true;
}

/* "From " lines of mbox files are no header field. */
static struct text without_mbox_line(struct text input) {
    if (!text_starts_nocase(input, TEXT("From ")) || memcmp(input.data, "From ", 5) != 0) {
        return input;
    }
    return text_from(input, text_find(input, '\n') + 1);
}

static bool add_from_field(void *context, const char *address) {
    return sendmail_add_recipient(context, address);
}

static bool is_recipient_field(struct text name) {
    return text_equal_nocase(name, TEXT("To")) || text_equal_nocase(name, TEXT("Cc")) ||
           text_equal_nocase(name, TEXT("Bcc"));
}

static int take_recipients(struct sendmail_draft *draft, struct text section, struct buffer *error) {
    struct header_field field;
    while (header_next(&section, &field)) {
        if (is_recipient_field(field.name) && !address_list_each(field.value, add_from_field, draft)) {
            buffer_format(error, "the field %.*s holds what is no list of addresses", TEXT_ARGS(field.name));
            return EX_DATAERR;
        }
    }
    return EX_OK;
}

/* A blind copy's name must not reach the others. */
static bool remove_blind(struct buffer *message) {
    struct text section = text_first(buffer_text(message), header_section_length(buffer_text(message)));
    struct buffer kept;
    struct header_field field;
    size_t head = section.length;
    bool good = true;
    buffer_init(&kept, message->maximum);
    while (good && header_next(&section, &field)) {
        bool blind = text_equal_nocase(field.name, TEXT("Bcc")) || text_equal_nocase(field.name, TEXT("Resent-Bcc"));
        good = blind || buffer_append_text(&kept, field.whole);
    }
    good = good && buffer_append_text(&kept, text_from(buffer_text(message), head));
    buffer_free(message);
    *message = kept;
    return good;
}

/* RFC 5322 3.6.2 phrase: a name with other than atoms is quoted. */
static bool append_from(struct buffer *head, const struct sendmail_draft *draft, const char *sender) {
    if (draft->full_name == NULL || draft->full_name[0] == '\0') {
        return buffer_format(head, "From: %s\r\n", sender);
    }
    bool good = buffer_append_string(head, "From: \"");
    for (const char *byte = draft->full_name; good && *byte != '\0'; byte++) {
        if (*byte == '\r' || *byte == '\n') {
            continue;
        }
        good = (*byte != '"' && *byte != '\\') || buffer_append_byte(head, '\\');
        good = good && buffer_append_byte(head, *byte);
    }
    return good && buffer_format(head, "\" <%s>\r\n", sender);
}

static bool append_missing(const struct sendmail_draft *draft, struct text section, struct buffer *head) {
    struct header_field field;
    char date[CLOCK_MAIL_SIZE];
    bool good = true;
    if (!header_find(section, "From", &field)) {
        const char *sender = draft->sender[0] != '\0' ? draft->sender : draft->config->postmaster;
        good = append_from(head, draft, sender);
    }
    if (good && !header_find(section, "Date", &field)) {
        clock_mail_date(time(NULL), date);
        good = buffer_format(head, "Date: %s\r\n", date);
    }
    if (good && !header_find(section, "Message-ID", &field)) {
        uint64_t noise[2];
        random_fill(noise, sizeof(noise));
        good = buffer_format(head, "Message-ID: <%016llx%016llx@%s>\r\n", (unsigned long long)noise[0],
                             (unsigned long long)noise[1], draft->config->server_name);
    }
    return good;
}

/* What is missing goes in front; a message that begins with its body gets an empty line between. */
static bool add_missing(struct sendmail_draft *draft) {
    struct text message = buffer_text(&draft->message);
    struct text section = text_first(message, header_section_length(message));
    struct buffer whole;
    buffer_init(&whole, draft->message.maximum);
    bool has_separator = text_from(message, section.length).length == 0 ||
                         text_starts_nocase(text_from(message, section.length), TEXT("\r\n"));
    bool good = append_missing(draft, section, &whole) && buffer_append_text(&whole, section) &&
                (has_separator || buffer_append_string(&whole, "\r\n")) &&
                buffer_append_text(&whole, text_from(message, section.length));
    buffer_free(&draft->message);
    draft->message = whole;
    return good;
}

int sendmail_prepare(struct sendmail_draft *draft, struct text input, struct buffer *error) {
    bool fits = append_lines(draft, without_mbox_line(input));
    if (fits && draft->recipients_from_it) {
        struct text message = buffer_text(&draft->message);
        int status = take_recipients(draft, text_first(message, header_section_length(message)), error);
        if (status != EX_OK) {
            return status;
        }
        fits = remove_blind(&draft->message);
    }
    if (!fits || !add_missing(draft)) {
        buffer_format(error, "the message is larger than message_maximum allows");
        return EX_DATAERR;
    }
    if (draft->count == 0) {
        buffer_format(error, "there is no recipient");
        return EX_USAGE;
    }
    return EX_OK;
}
