/* SPDX-License-Identifier: MIT
 * Answers for those who are away (RFC 3834): who gets one, what it says, its envelope. */
#include "base/log.h"
#include "mail/header.h"
#include "runner/vacation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define TO_COCO "From: <friend@far.test>\r\nTo: Coco <coco@example.test>\r\n"

static const char *const addresses[] = {"coco@example.test", "info@example.test"};

static const struct {
    const char *sentence, *sender, *header;
    enum vacation_verdict verdict;
} rows[] = {
    {"a friend is answered", "friend@far.test", TO_COCO "Subject: hello\r\n", VACATION_ANSWERS},
    {"in Cc, in any case, among others", "friend@far.test",
     "To: a@far.test\r\ncc: b@far.test,\r\n COCO@Example.Test\r\n", VACATION_ANSWERS},
    {"by the alias it came by", "friend@far.test", "To: <info@example.test>\r\n", VACATION_ANSWERS},
    {"when it was sent again", "friend@far.test", "To: x@far.test\r\nResent-To: coco@example.test\r\n",
     VACATION_ANSWERS},
    {"Auto-Submitted: no is a human's", "friend@far.test", TO_COCO "Auto-Submitted: no (really)\r\n", VACATION_ANSWERS},
    {"never <>", "", TO_COCO, VACATION_NO_SENDER},
    {"never a mailer", "Mailer-Daemon@far.test", TO_COCO, VACATION_NO_SENDER},
    {"never a list's owner", "owner-talk@far.test", TO_COCO, VACATION_NO_SENDER},
    {"in either spelling", "talk-owner@far.test", TO_COCO, VACATION_NO_SENDER},
    {"never a list's robot", "talk-request@far.test", TO_COCO, VACATION_NO_SENDER},
    {"never who has no domain", "root", TO_COCO, VACATION_NO_SENDER},
    {"never by a list", "friend@far.test", TO_COCO "List-Id: <talk.far.test>\r\n", VACATION_LIST},
    {"by any of its fields", "friend@far.test", TO_COCO "LIST-unsubscribe: <mailto:x@far.test>\r\n", VACATION_LIST},
    {"never bulk", "friend@far.test", TO_COCO "Precedence: bulk\r\n", VACATION_LIST},
    {"nor junk", "friend@far.test", TO_COCO "Precedence: Junk\r\n", VACATION_LIST},
    {"nor list", "friend@far.test", TO_COCO "precedence:list\r\n", VACATION_LIST},
    {"first class is not bulk", "friend@far.test", TO_COCO "Precedence: first-class\r\n", VACATION_ANSWERS},
    {"never another answer", "friend@far.test", TO_COCO "Auto-Submitted: auto-replied\r\n", VACATION_AUTOMATIC},
    {"nor what a program made", "friend@far.test", TO_COCO "Auto-submitted: auto-generated; x=y\r\n",
     VACATION_AUTOMATIC},
    {"nor what asks for silence", "friend@far.test", TO_COCO "X-Auto-Response-Suppress: All\r\n", VACATION_AUTOMATIC},
    {"nor spam", "friend@far.test", TO_COCO "X-Spam-Flag: YES\r\n", VACATION_AUTOMATIC},
    {"never without his name in it", "friend@far.test", "To: undisclosed-recipients:;\r\n", VACATION_NOT_ADDRESSED},
    {"a part of an address is not it", "friend@far.test", "To: xcoco@example.test, coco@example.test.evil.test\r\n",
     VACATION_NOT_ADDRESSED},
    {"nor one in the subject", "friend@far.test", "Subject: coco@example.test\r\n", VACATION_NOT_ADDRESSED},
};

static void only_people_who_wrote_to_him_are_answered(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct vacation_question question = {.sender = rows[i].sender,
                                                   .header = text_of(rows[i].header),
                                                   .addresses = addresses,
                                                   .count = COUNT(addresses)};
        print_message("  %s\n", rows[i].sentence);
        assert_int_equal(vacation_judge(&question), rows[i].verdict);
    }
}

static void a_tag_is_not_part_of_who_is_away(void **state) {
    char owner[64];
    (void)state;
    vacation_owner("coco+shop@example.test", "+", owner, sizeof owner);
    assert_string_equal(owner, "coco@example.test");
    vacation_owner("coco@example.test", "+", owner, sizeof owner);
    assert_string_equal(owner, "coco@example.test");
    vacation_owner("coco+shop@example.test", "", owner, sizeof owner);
    assert_string_equal(owner, "coco+shop@example.test");
    vacation_owner("+x@example.test", "+", owner, sizeof owner);
    assert_string_equal(owner, "+x@example.test");
}

static struct vacation_answer sample(void) {
    return (struct vacation_answer){
        .server_name = "mail.example.test",
        .id = "1AbCdE-FgHiJk-Lm",
        .account = "coco@example.test",
        .correspondent = "friend@far.test",
        .targets = TEXT("remote:friend@far.test"),
        .subject = "Away until Monday",
        .message = "I am away.\nBack on Monday.\n",
        .header = TEXT("Message-ID: <2@far.test>\r\nReferences: <1@far.test>\r\nSubject: hello\r\n"),
        .now = 1000000000,
    };
}

static void build(const struct vacation_answer *answer, struct buffer *cargo, struct notice_lengths *lengths) {
    buffer_init(cargo, 64u * 1024);
    assert_true(vacation_build(answer, cargo, lengths));
    assert_int_equal(cargo->length, lengths->message + lengths->headers + lengths->envelope);
    for (size_t i = 0; i < lengths->message + lengths->headers; i++) {
        assert_true(cargo->data[i] != '\n' || (i > 0 && cargo->data[i - 1] == '\r'));
    }
}

static void an_answer_is_a_plain_message_of_him(void **state) {
    struct vacation_answer answer = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    build(&answer, &cargo, &lengths);
    const char expected[] = "From: <coco@example.test>\r\nTo: <friend@far.test>\r\nSubject: Away until Monday\r\n"
                            "Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n"
                            "Message-ID: <1AbCdE-FgHiJk-Lm@mail.example.test>\r\n"
                            "In-Reply-To: <2@far.test>\r\nReferences: <1@far.test>\r\n <2@far.test>\r\n"
                            "Auto-Submitted: auto-replied (vacation)\r\nMIME-Version: 1.0\r\n"
                            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
                            "I am away.\r\nBack on Monday.\r\n";
    assert_int_equal(lengths.message, sizeof expected - 1);
    assert_memory_equal(cargo.data, expected, sizeof expected - 1);
    buffer_free(&cargo);
}

static void its_envelope_cannot_cause_another(void **state) {
    struct vacation_answer answer = sample();
    struct notice_lengths lengths;
    struct envelope envelope;
    struct buffer cargo;
    (void)state;
    answer.targets = TEXT("local:mike@example.test remote:friend@far.test");
    build(&answer, &cargo, &lengths);
    assert_true(envelope_parse(text_from(buffer_text(&cargo), lengths.message + lengths.headers), &envelope));
    assert_string_equal(envelope.from_url, "");
    assert_string_equal(envelope.role, "vacation");
    assert_string_equal(envelope.account, "coco@example.test");
    assert_int_equal(envelope.auto_generated, 1);
    assert_int_equal(envelope.recipient_count, 2);
    assert_string_equal(envelope.recipients[0].to_url, "friend@far.test");
    assert_string_equal(envelope.recipients[0].target, "mike@example.test");
    assert_int_equal(envelope.recipients[1].delivery, DELIVERY_REMOTE);
    assert_string_equal(envelope.recipients[0].notify, "NEVER");
    envelope_free(&envelope);
    buffer_free(&cargo);
}

static const struct {
    const char *sentence, *subject, *header, *line;
} subjects[] = {
    {"without one it is the message's", "", "Subject: hello\r\n", "Subject: Re: hello\r\n"},
    {"which may be an answer already", "", "Subject: RE: hello\r\n", "Subject: Re: hello\r\n"},
    {"or folded", "", "Subject: a\r\n b\r\n", "Subject: Re: a b\r\n"},
    {"or none", "", "From: x\r\n", "Subject: Re: your message\r\n"},
    {"or 8-bit, which is shown", "", "Subject: \xe4\r\n", "Subject: Re: \\xe4\r\n"},
    {"letters outside ASCII are encoded", "Gr\xc3\xbc\xc3\x9f Gott", "", "Subject: =?UTF-8?B?R3LDvMOfIEdvdHQ=?=\r\n"},
};

static void subjects_are_his_own_or_the_messages(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        struct vacation_answer answer = sample();
        struct notice_lengths lengths;
        struct buffer cargo;
        answer.subject = subjects[i].subject;
        answer.header = text_of(subjects[i].header);
        print_message("  %s\n", subjects[i].sentence);
        build(&answer, &cargo, &lengths);
        assert_non_null(memmem(cargo.data, lengths.message, subjects[i].line, strlen(subjects[i].line)));
        buffer_free(&cargo);
    }
}

static void odd_messages_and_words_stay_within_their_lines(void **state) {
    static char long_line[5000], references[3000], long_id[600];
    struct vacation_answer answer = sample();
    struct notice_lengths lengths;
    struct buffer cargo, header;
    (void)state;
    memset(long_line, 'x', sizeof long_line - 1);
    memcpy(long_line + 899, "\xc3\xbc", 2); /* where a line is cut */
    memset(references, 'y', sizeof references - 1);
    memset(long_id, 'z', sizeof long_id - 1);
    buffer_init(&header, 10000);
    (void)buffer_format(&header, "Message-ID: <2@far.test>\r\nReferences: %s\r\n", references);
    answer.message = long_line;
    answer.header = buffer_text(&header);
    build(&answer, &cargo, &lengths);
    assert_non_null(memmem(cargo.data, lengths.message, "References: <2@far.test>\r\n", 26));
    assert_non_null(memmem(cargo.data, lengths.message, "8bit", 4));
    assert_non_null(memmem(cargo.data, lengths.message, "\r\n\xc3\xbcx", 5)); /* the letter in one piece */
    buffer_free(&cargo);
    buffer_clear(&header);
    (void)buffer_format(&header, "Message-ID: <%s>\r\n", long_id);
    answer.header = buffer_text(&header);
    build(&answer, &cargo, &lengths);
    assert_null(memmem(cargo.data, lengths.message, "In-Reply-To", 11));
    buffer_free(&cargo);
    buffer_free(&header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_people_who_wrote_to_him_are_answered),
        cmocka_unit_test(a_tag_is_not_part_of_who_is_away),
        cmocka_unit_test(an_answer_is_a_plain_message_of_him),
        cmocka_unit_test(its_envelope_cannot_cause_another),
        cmocka_unit_test(subjects_are_his_own_or_the_messages),
        cmocka_unit_test(odd_messages_and_words_stay_within_their_lines),
    };
    log_start(2, "test_vacation", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
