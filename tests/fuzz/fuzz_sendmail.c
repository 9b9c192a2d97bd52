/* SPDX-License-Identifier: MIT
 * Fuzz target: what sendmail makes of its standard input, which cron, scripts and forms of web sites fill: recipients
 * of the header (-t), line ends, missing fields. What goes to the server has whole lines, and no recipient ends a line.
 */
#include "control/address_list.h"
#include "control/sendmail.h"
#include "fuzz.h"
#include "mail/header.h"

#define MESSAGE_MAXIMUM 2048u /* small, so that a message that does not fit is a small input */

static char domain[] = "example.test", name[] = "mail.example.test", postmaster[] = "postmaster@example.test";
static char *domains[] = {domain};
static struct config config = {.server_name = name, .postmaster = postmaster, .local_domains = {domains, 1}};

static void fuzz_start(void) {
}

static void check_message(const struct sendmail_draft *draft) {
    struct text message = buffer_text(&draft->message), section, line;
    struct header_field field;

    section = text_first(message, header_section_length(message));
    FUZZ_CHECK(header_find(section, "From", &field) && header_find(section, "Date", &field));
    FUZZ_CHECK(header_find(section, "Message-ID", &field));
    FUZZ_CHECK(!draft->recipients_from_it || !header_find(section, "Bcc", &field));
    while (text_split(&message, '\n', &line))
        FUZZ_CHECK(line.length > 0 && text_find(line, '\r') == line.length - 1);
    for (size_t i = 0; i < draft->count; i++)
        FUZZ_CHECK(strpbrk(draft->recipients[i], "\r\n") == NULL && draft->recipients[i][0] != '\0');
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    struct buffer error;
    struct sendmail_draft draft = {
        .config = &config, .dots_are_data = flags & 1, .recipients_from_it = flags & 2, .sender = "me@example.test"};
    char *full_name = flags & 4 ? fuzz_string(&input) : NULL;

    draft.full_name = full_name;
    draft.sender[0] = flags & 8 ? '\0' : 'm';
    buffer_init(&draft.message, MESSAGE_MAXIMUM);
    buffer_init(&error, 256);
    for (unsigned i = 0; flags & 16 && i < 3; i++) {
        char *recipient = fuzz_string(&input);
        if (recipient[0] != '\0' && strpbrk(recipient, "\r\n") == NULL)
            (void)sendmail_add_recipient(&draft, recipient);
        free(recipient);
    }
    if (sendmail_prepare(&draft, input, &error) == 0)
        check_message(&draft);
    else
        FUZZ_CHECK(error.length > 0);
    for (size_t i = 0; i < draft.count; i++)
        free(draft.recipients[i]);
    free(draft.recipients);
    free(full_name);
    buffer_free(&draft.message);
    buffer_free(&error);
}
