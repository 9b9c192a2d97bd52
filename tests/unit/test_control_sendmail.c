/* SPDX-License-Identifier: MIT
 * What sendmail makes of a message on its standard input. */
#include "control/sendmail.h"
#include "mail/header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

static char domain[] = "example.test", name[] = "mail.example.test", postmaster[] = "postmaster@example.test";
static char *domains[] = {domain};
static struct config config = {.server_name = name, .postmaster = postmaster, .local_domains = {domains, 1}};

#define FIELDS "From: a@b.test\nDate: Sun, 22 Nov 2026 01:02:03 +0000\nMessage-ID: <1@b.test>\n"
#define FIELDS_CRLF "From: a@b.test\r\nDate: Sun, 22 Nov 2026 01:02:03 +0000\r\nMessage-ID: <1@b.test>\r\n"

struct row {
    const char *says, *input;
    bool from_message, dots; /* -t, -i */
    const char *recipient;   /* given as an argument, or NULL */
    int status;
    const char *message;    /* expected, or NULL */
    const char *recipients; /* expected, with a blank between */
};
static const struct row rows[] = {
    {"LF becomes CRLF", FIELDS "\nhello\n", false, false, "x@y.test", EX_OK, FIELDS_CRLF "\r\nhello\r\n", "x@y.test"},
    {"CRLF stays CRLF", FIELDS_CRLF "\r\nhello\r\n", false, false, "x@y.test", EX_OK, FIELDS_CRLF "\r\nhello\r\n",
     "x@y.test"},
    {"a last line without its end gets one", FIELDS "\nhello", false, false, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\nhello\r\n", "x@y.test"},
    {"a CR gone astray becomes a blank", FIELDS "\na\rb\r\r\n", false, false, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\na b\r\n", "x@y.test"},
    {"a lone dot ends the message", FIELDS "\nhello\n.\nnot sent\n", false, false, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\nhello\r\n", "x@y.test"},
    {"with -i it does not", FIELDS "\nhello\n.\nsent\n", false, true, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\nhello\r\n.\r\nsent\r\n", "x@y.test"},
    {"a name without a domain gets ours", FIELDS "\n", false, false, "root", EX_OK, FIELDS_CRLF "\r\n",
     "root@example.test"},
    {"bytes above 127 are kept", FIELDS "\nd\xc3\xa9j\xe0\n", false, false, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\nd\xc3\xa9j\xe0\r\n", "x@y.test"},
    {"-t takes To, Cc and Bcc, and removes Bcc", FIELDS "To: C <c@d.test>\nBcc: e@f.test,\n g@h.test\nCc: root\n\nhi\n",
     true, false, NULL, EX_OK, FIELDS_CRLF "To: C <c@d.test>\r\nCc: root\r\n\r\nhi\r\n",
     "c@d.test e@f.test g@h.test root@example.test"},
    {"-t takes nobody twice", FIELDS "To: c@d.test\nCc: c@d.test\n\n", true, false, "c@d.test", EX_OK, NULL,
     "c@d.test"},
    {"-t reads no addresses from the body", FIELDS "To: c@d.test\n\nTo: e@f.test\n", true, false, NULL, EX_OK, NULL,
     "c@d.test"},
    {"without -t the header gives no recipient", FIELDS "To: c@d.test\n\n", false, false, NULL, EX_USAGE, NULL, ""},
    {"-t with a malformed list is refused", FIELDS "To: <c@d.test\n\n", true, false, NULL, EX_DATAERR, NULL, ""},
    {"an mbox line is dropped", "From a@b.test Sun Nov 22\n" FIELDS "\nhello\n", false, false, "x@y.test", EX_OK,
     FIELDS_CRLF "\r\nhello\r\n", "x@y.test"},
};

static void draft_end(struct sendmail_draft *draft) {
    for (size_t i = 0; i < draft->count; i++) {
        free(draft->recipients[i]);
    }
    free(draft->recipients);
    buffer_free(&draft->message);
}

static void join(const struct sendmail_draft *draft, char *joined, size_t size) {
    joined[0] = '\0';
    for (size_t i = 0; i < draft->count; i++) {
        size_t length = strlen(joined);
        snprintf(joined + length, size - length, i > 0 ? " %s" : "%s", draft->recipients[i]);
    }
}

static void messages_are_made_ready_for_the_server(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct sendmail_draft draft = {.config = &config,
                                       .sender = "me@example.test",
                                       .dots_are_data = row->dots,
                                       .recipients_from_it = row->from_message};
        struct buffer error;
        char recipients[512];
        buffer_init(&error, 1000);
        buffer_init(&draft.message, 100000);
        if (row->recipient != NULL) {
            assert_true(sendmail_add_recipient(&draft, row->recipient));
        }
        int status = sendmail_prepare(&draft, text_of(row->input), &error);
        if (status != row->status) {
            fail_msg("%s: status %d", row->says, status);
        }
        if (row->message != NULL && strcmp(row->message, buffer_string(&draft.message)) != 0) {
            fail_msg("%s: made \"%s\"", row->says, buffer_string(&draft.message));
        }
        join(&draft, recipients, sizeof(recipients));
        if (strcmp(recipients, row->recipients) != 0) {
            fail_msg("%s: recipients \"%s\"", row->says, recipients);
        }
        buffer_free(&error);
        draft_end(&draft);
    }
}

/* What is added to "hello" alone, which has no header at all. */
static void missing_fields_are_added_before_a_bare_body(void **state) {
    (void)state;
    struct sendmail_draft draft = {.config = &config, .sender = "me@example.test", .full_name = "My \"own\" name"};
    struct buffer error;
    struct header_field field;
    buffer_init(&error, 1000);
    buffer_init(&draft.message, 100000);
    assert_true(sendmail_add_recipient(&draft, "x@y.test"));
    assert_int_equal(sendmail_prepare(&draft, TEXT("hello world\n"), &error), EX_OK);
    struct text whole = buffer_text(&draft.message);
    struct text section = text_first(whole, header_section_length(whole));
    assert_true(header_find(section, "From", &field));
    assert_true(text_equal(field.value, TEXT("\"My \\\"own\\\" name\" <me@example.test>")));
    assert_true(header_find(section, "Date", &field));
    assert_true(header_find(section, "Message-ID", &field));
    assert_true(text_equal(text_from(whole, section.length), TEXT("\r\nhello world\r\n")));
    buffer_free(&error);
    draft_end(&draft);
}

static void a_message_that_is_too_large_is_refused(void **state) {
    (void)state;
    struct sendmail_draft draft = {.config = &config, .sender = "me@example.test"};
    struct buffer error;
    buffer_init(&error, 1000);
    buffer_init(&draft.message, 300);
    assert_true(sendmail_add_recipient(&draft, "x@y.test"));
    char input[400];
    memset(input, 'a', sizeof(input));
    assert_int_equal(sendmail_prepare(&draft, (struct text){input, sizeof(input)}, &error), EX_DATAERR);
    buffer_free(&error);
    draft_end(&draft);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_made_ready_for_the_server),
        cmocka_unit_test(missing_fields_are_added_before_a_bare_body),
        cmocka_unit_test(a_message_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
