/* SPDX-License-Identifier: MIT
 * Unit test of a receiver's session: a client on one side, stand-ins for ledger, lookup and resolver on the other, each
 * in a process of its own. Shows what the client reads, and what is committed, byte for byte. */
#include "session_stage.h"

static void a_message_is_committed_byte_for_byte(void **state) {
    const struct text message = TEXT("Subject: x\r\nX-Odd : \tfolded\r\n more\r\n\r\nbody \xff\xfe\x01\r\n");
    struct header_field field;

    (void)state;
    assert_int_equal(send_message(message), 250);
    assert_int_equal(seen->commits, 1);
    assert_int_equal(seen->commit.place, CARGO_INLINE);
    assert_true(text_equal(committed_message(), message));
    assert_true(header_find(committed_headers(), "Received", &field));
    assert_int_equal(seen->violations, 0);
}

static void the_envelope_holds_accepted_recipients_alone(void **state) {
    struct talk talk;
    struct envelope envelope;

    (void)state;
    start_talk(&talk, 0);
    read_greeting(&talk);
    say(&talk, TEXT("HELO client.example.net\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<coco@example.test>\r\n"
                    "RCPT TO:<nobody@example.test>\r\nRCPT TO:<b@elsewhere.net>\r\nRCPT TO:<coco@EXAMPLE.test>\r\n"
                    "RCPT TO:<PostMaster>\r\nDATA\r\n"));
    read_until(&talk, "354 Enter message, ending with \".\" on a line by itself\r\n");
    say(&talk, TEXT("Subject: x\r\n\r\n.\r\nQUIT\r\n"));
    (void)end_talk(&talk);
    const struct text text = {committed_headers().data + committed_headers().length,
                              (size_t)seen->commit.envelope_length};
    assert_true(envelope_parse(text, &envelope));
    assert_int_equal(envelope.recipient_count, 2);
    assert_string_equal(envelope.recipients[0].to_url, "coco@example.test");
    assert_string_equal(envelope.recipients[1].to_url, "PostMaster");
    assert_string_equal(envelope.recipients[1].target, "mike@example.test");
    assert_string_equal(envelope.from_url, "a@example.net");
    assert_string_equal(envelope.ehlo, "client.example.net");
    assert_string_equal(envelope.remote_ip, "192.0.2.1");
    assert_int_equal(envelope.contact_id, 7);
    assert_int_equal(seen->refused, 2);
    assert_int_equal(seen->violations, 2);
    envelope_free(&envelope);
    buffer_free(&talk.replies);
}

static void results_in_our_name_are_removed_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(send_message(TEXT("A: 1\r\nAuthentication-Results: mail.example.test;\r\n dkim=pass\r\n"
                                       "Authentication-Results: other.test; dkim=fail\r\n"
                                       "authentication-results: (x) MAIL.example.TEST; spf=pass\r\nB: 2\r\n\r\n"
                                       "Authentication-Results: mail.example.test; in the body\r\n")),
                     250);
    assert_true(
        text_equal(committed_message(), TEXT("A: 1\r\nAuthentication-Results: other.test; dkim=fail\r\nB: 2\r\n\r\n"
                                             "Authentication-Results: mail.example.test; in the body\r\n")));
}

static void results_in_our_name_behind_a_junk_line_are_removed_too(void **state) {
    (void)state;
    assert_int_equal(send_message(TEXT("A: 1\r\njunk\r\nAuthentication-Results: mail.example.test;\r\n dkim=pass\r\n"
                                       " folded junk\r\nB: 2\r\n more junk\r\n"
                                       "authentication-results: mail.example.test; spf=pass\r\n\r\n"
                                       "Authentication-Results: mail.example.test; in the body\r\n")),
                     250);
    assert_true(text_equal(committed_message(), TEXT("A: 1\r\njunk\r\nB: 2\r\n more junk\r\n\r\n"
                                                     "Authentication-Results: mail.example.test; in the body\r\n")));
}

static void check_large(size_t size, enum cargo_place place) {
    struct buffer message;

    buffer_init(&message, 4u << 20);
    assert_true(buffer_append_string(&message,
                                     "Subject: large\r\nAuthentication-Results: mail.example.test; dkim=pass\r\n\r\n"));
    while (message.length < size)
        assert_true(buffer_format(&message, "line %zu of a large message, 8-bit: \xc3\xbc\r\n", message.length));
    assert_int_equal(send_message(buffer_text(&message)), 250);
    assert_int_equal(seen->commit.place, place);
    struct text body = text_from(committed_message(), strlen("Subject: large\r\n"));
    struct text sent = text_from(buffer_text(&message), message.length - body.length);
    assert_true(text_starts_nocase(committed_message(), TEXT("Subject: large\r\n\r\nline ")));
    assert_true(text_equal(body, sent));
    buffer_free(&message);
}

static void large_messages_travel_as_files(void **state) {
    (void)state;
    check_large(64 * 1024, CARGO_INLINE);
    check_large(92 * 1024, CARGO_INLINE);
    check_large(96 * 1024, CARGO_MEMFD);
    check_large(500 * 1024, CARGO_MEMFD);
    check_large(3 << 19, CARGO_SPOOL_FILE);
}

static void too_large_messages_are_refused_in_step(void **state) {
    struct buffer message;

    (void)state;
    buffer_init(&message, 4u << 20);
    while (message.length <= 2u << 20)
        assert_true(buffer_append_string(&message, "a line of a message that is too large for this server\r\n"));
    assert_int_equal(send_message(buffer_text(&message)), 552);
    buffer_clear(&message);
    while (message.length <= 300u << 10)
        assert_true(buffer_append_string(&message, "X-Field: a header section that is too large\r\n"));
    assert_int_equal(send_message(buffer_text(&message)), 552);
    assert_int_equal(seen->commits, 0);
    buffer_free(&message);
}

static void smuggled_ends_are_refused(void **state) {
    (void)state;
    assert_int_equal(send_message(TEXT("x\n.\r\nMAIL FROM:<b@example.net>\r\n")), 550);
    assert_int_equal(send_message(TEXT("x\r.\r\nMAIL FROM:<b@example.net>\r\n")), 550);
    assert_int_equal(seen->commits, 0);
    assert_int_equal(seen->violations, 1);
}

static void a_connection_cut_in_the_data_stores_nothing(void **state) {
    struct talk talk;

    (void)state;
    start_talk(&talk, 0);
    read_greeting(&talk);
    say(&talk, TEXT(TRANSACTION));
    read_until(&talk, "354 Enter message, ending with \".\" on a line by itself\r\n");
    say(&talk, TEXT("Subject: cut\r\n\r\nno end\r\n."));
    (void)end_talk(&talk);
    assert_int_equal(seen->commits, 0);
    assert_int_equal(seen->broken, 1);
    buffer_free(&talk.replies);
}

static void the_listeners_stop_closes_with_421(void **state) {
    struct talk talk;

    (void)state;
    start_talk(&talk, 0);
    read_greeting(&talk);
    (void)shutdown(talk.hub, SHUT_RDWR);
    read_until(&talk, "421 4.3.2 mail.example.test shutting down\r\n");
    (void)end_talk(&talk);
    assert_int_equal(seen->violations, 0);
    buffer_free(&talk.replies);
}

static void the_listeners_stop_reaches_a_client_that_never_pauses(void **state) {
    enum { NOOPS = 30000 }; /* their replies fill the connection: most are unread at the stop */
    struct buffer commands;
    struct talk talk;
    size_t answered = 0;

    (void)state;
    buffer_init(&commands, NOOPS * 6 + 1);
    for (int i = 0; i < NOOPS; i++)
        assert_true(buffer_append_string(&commands, "NOOP\r\n"));
    start_talk(&talk, 0);
    read_greeting(&talk);
    say(&talk, buffer_text(&commands));
    (void)shutdown(talk.hub, SHUT_RDWR);
    const char *replies = end_talk(&talk);
    for (const char *at = replies; (at = strstr(at, "250 ")) != NULL; at++)
        answered++;
    assert_non_null(strstr(replies, "421 4.3.2 mail.example.test shutting down\r\n"));
    assert_in_range(answered, 1, NOOPS - 1);
    buffer_free(&commands);
    buffer_free(&talk.replies);
}

static void talking_before_the_greeting_is_refused(void **state) {
    struct talk talk;

    (void)state;
    start_talk(&talk, 0);
    say(&talk, TEXT("EHLO client.example.net\r\n"));
    const char *replies = end_talk(&talk);
    /* The session may have been quicker than the test: then it has greeted. */
    assert_true(strncmp(replies, "554 5.5.1", 9) == 0 ? seen->violations == 1 : strncmp(replies, "220 ", 4) == 0);
    buffer_free(&talk.replies);
}

static void a_member_on_the_internal_port_is_not_trusted_for_the_claim(void **state) {
    struct talk talk;

    (void)state;
    start_talk(&talk, 1);
    read_greeting(&talk);
    say(&talk, TEXT("HELO anything\r\nMAIL FROM:<coco@example.test>\r\nQUIT\r\n"));
    assert_non_null(strstr(end_talk(&talk), "530 5.7.0 Traffic on port"));
    assert_string_equal(seen->last_rule, "authentication");
    buffer_free(&talk.replies);
}

static void a_local_program_needs_no_dns_and_no_login(void **state) {
    struct talk talk;

    (void)state;
    start_talk(&talk, 2);
    read_greeting(&talk);
    say(&talk, TEXT("EHLO localhost\r\nMAIL FROM:<coco@example.test>\r\nRCPT TO:<b@nowhere.example>\r\nDATA\r\n"));
    read_until(&talk, "354 Enter message, ending with \".\" on a line by itself\r\n");
    say(&talk, TEXT("From: coco@example.test\r\n\r\ntext\r\n.\r\nMAIL FROM:<x@foreign.net>\r\nQUIT\r\n"));
    assert_non_null(strstr(end_talk(&talk), "250 2.0.0 OK id="));
    assert_int_equal(seen->commits, 1);
    assert_int_equal(header_count(committed_headers(), "Message-ID"), 1);
    assert_int_equal(header_count(committed_headers(), "Date"), 1);
    assert_int_equal(seen->violations, 0);
    buffer_free(&talk.replies);
}

/* What was logged since then. */
static const char *read_log(int log) {
    static char lines[4096];
    int64_t length = file_size(log);

    assert_true(length > 0 && length < (int64_t)sizeof lines && file_pread_all(log, lines, (size_t)length, 0));
    lines[length] = '\0';
    return lines;
}

static void a_commit_without_an_answer_is_refused_and_not_called_lost(void **state) {
    int log = file_memory("log"), silent = log_descriptor();

    (void)state;
    log_start(log, "test", LOG_LEVEL_ERROR);
    seen->ledger_dies = true;
    assert_int_equal(send_message(TEXT("Subject: a\r\n\r\ntext\r\n.\r\n")), 451);
    seen->ledger_dies = false;
    log_start(silent, "test", LOG_LEVEL_FATAL);
    assert_int_equal(seen->commits, 1);
    assert_non_null(strstr(read_log(log), "perhaps saved: from=<a@example.net> to=1: the ledger gave no answer"));
    assert_null(strstr(read_log(log), "not saved"));
    (void)close(log);
}

/* RFC 5321 4.5.3.2: five minutes for a command, two and three for the data. */
static void nobody_is_hurried_beyond_the_standards_minima(void **state) {
    static const int64_t minima[] = {
        [PHASE_COMMAND] = 300000, [PHASE_DATA_START] = 120000, [PHASE_DATA_BLOCK] = 180000, [PHASE_REPLY] = 300000};
    struct config times = {.receiver_timeout = 0};
    struct session session = {.config = &times};

    (void)state;
    for (size_t i = 0; i < sizeof minima / sizeof minima[0]; i++) {
        int64_t before = clock_now_ms();
        assert_true(session_deadline(&session, (enum session_phase)i) >= before + minima[i]);
        times.receiver_timeout = 3600; /* shortens only */
        assert_true(session_deadline(&session, (enum session_phase)i) <= clock_now_ms() + minima[i]);
        times.receiver_timeout = 7;
        assert_true(session_deadline(&session, (enum session_phase)i) <= clock_now_ms() + 7000);
        times.receiver_timeout = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_committed_byte_for_byte),
        cmocka_unit_test(the_envelope_holds_accepted_recipients_alone),
        cmocka_unit_test(results_in_our_name_are_removed_and_nothing_else),
        cmocka_unit_test(results_in_our_name_behind_a_junk_line_are_removed_too),
        cmocka_unit_test(large_messages_travel_as_files),
        cmocka_unit_test(too_large_messages_are_refused_in_step),
        cmocka_unit_test(smuggled_ends_are_refused),
        cmocka_unit_test(a_connection_cut_in_the_data_stores_nothing),
        cmocka_unit_test(the_listeners_stop_closes_with_421),
        cmocka_unit_test(the_listeners_stop_reaches_a_client_that_never_pauses),
        cmocka_unit_test(talking_before_the_greeting_is_refused),
        cmocka_unit_test(a_member_on_the_internal_port_is_not_trusted_for_the_claim),
        cmocka_unit_test(a_local_program_needs_no_dns_and_no_login),
        cmocka_unit_test(a_commit_without_an_answer_is_refused_and_not_called_lost),
        cmocka_unit_test(nobody_is_hurried_beyond_the_standards_minima),
    };

    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
