/* SPDX-License-Identifier: MIT
 * The ledger's conversations: this test is its listener, a receiver, the queue runner, an operator, and somebody with
 * sqlite3. */
#include "ledger_fixture.h"

/* ---- contacts ---- */

static void the_listener_is_told_of_a_lockout_and_of_its_end_by_hand(void **state) {
    struct contact_state contact;
    struct channel_message message;
    (void)state;
    assert_true(ask_contact_open(child.channel,
                                 &(struct contact_open){.contact = TEXT("192.0.2.7"), .network = TEXT_NONE, .port = 25},
                                 &contact));
    assert_int_equal(contact.verdict, CONTACT_ADMITTED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(violate().verdict, CONTACT_ADMITTED);
    }
    assert_true(ask_contact_open(child.channel,
                                 &(struct contact_open){.contact = TEXT("192.0.2.7"), .network = TEXT_NONE, .port = 25},
                                 &contact));
    assert_int_equal(contact.verdict, CONTACT_WARNED);
    receive(child.hub, HUB_LOCKED, &message);
    assert_true(text_equal(values.hub_contact.contact, TEXT("192.0.2.7")));
    assert_int_equal(values.hub_contact.until, contact.expires_at);
    assert_string_equal(read_sql("SELECT violations || ' ' || locks FROM contacts"), "4 1");
    run_sql("UPDATE contacts SET violations = 0");
    receive(child.hub, HUB_UNLOCKED, &message);
    assert_true(ask_contact_open(child.channel,
                                 &(struct contact_open){.contact = TEXT("192.0.2.7"), .network = TEXT_NONE, .port = 25},
                                 &contact));
    assert_int_equal(contact.verdict, CONTACT_ADMITTED);
}

static void hits_reported_by_the_listener_move_the_end(void **state) {
    struct channel_message message;
    const struct hub_hits hits = {TEXT("192.0.2.7"), 7, time(NULL)};
    (void)state;
    for (int i = 0; i < 4; i++) {
        (void)violate();
    }
    receive(child.hub, HUB_LOCKED, &message);
    run_sql("UPDATE contacts SET expires_at = datetime(expires_at, '-100 seconds')");
    receive(child.hub, HUB_LOCKED, &message);
    int64_t former = values.hub_contact.until;
    assert_int_equal(channel_send(child.hub, HUB_HITS, 0, &hits, -1), CHANNEL_OK);
    receive(child.hub, HUB_LOCKED, &message);
    assert_true(values.hub_contact.until > former);
    assert_string_equal(read_sql("SELECT hits FROM contacts"), "7");
}

/* ---- mail ---- */

static void a_commit_goes_to_the_runner_and_is_in_the_rows_soon(void **state) {
    struct channel_message message;
    struct parcel_item item;
    bool bad = false;
    (void)state;
    assert_int_equal(commit(1, 2, 1000, false, false), COMMIT_OK);
    settle();
    assert_string_equal(read_sql("SELECT group_concat(state) FROM parcels"), "queued,queued");
    receive(runner, PARCELS_NEW, &message);
    struct text list = values.parcels_new.recipients;
    assert_true(text_equal(values.parcels_new.mail_id, TEXT("1aBcDe-000001-Zz")));
    assert_true(list_next_parcel(&list, &item, &bad) && item.parcel_id > 0 && item.recipient == 0);
    assert_true(text_equal(item.domain, TEXT("example.test")));
    assert_true(list_next_parcel(&list, &item, &bad) && item.recipient == 1);
    assert_false(list_next_parcel(&list, &item, &bad) || bad);
}

static void the_runner_reads_the_database_once_rows_that_were_refused_are_in(void **state) {
    struct channel_message message;
    sqlite3 *handle;
    sqlite3_stmt *begin;
    unsigned number = 0;
    (void)state;
    assert_int_equal(sqlite3_open(place.database, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, "BEGIN IMMEDIATE", -1, &begin, NULL), SQLITE_OK);
    settle(); /* what the start wrote */
    assert_int_equal(sqlite3_step(begin), SQLITE_DONE);
    sqlite3_finalize(begin);
    while (commit(++number, 1, 500, false, false) == COMMIT_OK) { /* until its patience with the lock is over */
        receive(runner, PARCELS_NEW, &message);
        assert_true(values.parcels_new.mail_id.length > 0);
    }
    assert_true(number > 1);
    const struct mail_fetch fetch = {TEXT("1aBcDe-000001-Zz")};
    assert_int_equal(channel_send(runner, MAIL_FETCH, 1, &fetch, -1), CHANNEL_OK);
    receive(runner, MAIL_CONTENT, &message);
    assert_int_equal(values.mail_content.found, CONTENT_LATER);
    sqlite3_close(handle);
    receive(runner, PARCELS_NEW, &message);
    assert_int_equal(values.parcels_new.mail_id.length, 0);
    assert_string_equal(read_sql("SELECT count(*) > 0 AND min(state) = 'queued' FROM parcels"), "1");
}

static void the_runner_has_rows_written_before_it_reads_them(void **state) {
    const struct empty_message empty = {0};
    struct channel_message message;
    (void)state;
    for (unsigned i = 1; i <= 20; i++) { /* a ledger that answers too early is found out by one of them */
        char rows[16];
        assert_int_equal(commit(i, 1, 500, false, false), COMMIT_OK);
        assert_int_equal(channel_send(runner, ROWS_WANTED, i, &empty, -1), CHANNEL_OK);
        receive(runner, PARCELS_NEW, &message);
        receive(runner, ROWS_WRITTEN, &message);
        (void)snprintf(rows, sizeof rows, "%u", i);
        assert_string_equal(read_sql("SELECT count(*) FROM parcels"), rows);
    }
}

static int flush_slowly(int fd) {
    const struct timespec pause = {.tv_sec = 2, .tv_nsec = 100000000};
    (void)nanosleep(&pause, NULL); /* the fault: a disk that stalls */
    return fdatasync(fd);
}

/* It may have read what was due meanwhile, and goes on from there. */
static void the_runner_reads_the_database_after_rows_that_a_slow_disk_made_late(void **state) {
    struct channel_message message;
    journal_flush = flush_slowly;
    assert_int_equal(start(state), 0);
    journal_flush = fdatasync;
    assert_int_equal(commit(1, 1, 500, false, false), COMMIT_OK);
    receive(runner, PARCELS_NEW, &message);
    assert_true(values.parcels_new.mail_id.length > 0);
    receive(runner, PARCELS_NEW, &message);
    assert_int_equal(values.parcels_new.mail_id.length, 0);
    assert_int_equal(end(state), 0);
}

/* How often the write-ahead log was begun anew (its header's sequence, big-endian), and its size. */
static uint32_t log_sequence(int64_t *size) {
    char path[PATH_MAX];
    unsigned char bytes[4];
    (void)snprintf(path, sizeof path, "%s-wal", place.database);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && file_pread_all(fd, (char *)bytes, sizeof bytes, 12));
    *size = file_size(fd);
    (void)close(fd);
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void commits_without_a_pause_do_not_grow_the_write_ahead_log(void **state) {
    const int64_t due = CHECKPOINT_RESTART_PAGES * 4096LL;
    int64_t size = 0, former = 0;
    uint32_t first = 0, sequence = 0;
    (void)state;
    if (getenv("PARCELPOST_VALGRIND") != NULL) {
        skip(); /* it runs one thread at a time, and the checkpoints' has to keep up */
    }
    for (unsigned i = 1; size < 6 * due && (former < due || sequence == first); i++) {
        assert_int_equal(commit(i, 400, 500, false, false), COMMIT_OK);
        former = size;
        sequence = log_sequence(&size);
        first = i == 1 || size < due ? sequence : first;
    }
    assert_true(sequence > first);
    assert_true(size < 6 * due);
}

static void a_memory_file_must_be_sealed(void **state) {
    (void)state;
    assert_int_equal(commit(1, 1, 100000, true, false), COMMIT_INVALID);
    assert_int_equal(commit(1, 1, 100000, true, true), COMMIT_OK);
    assert_int_equal(commit(1, 1, 100000, true, true), COMMIT_INVALID);
    settle();
    assert_string_equal(read_sql("SELECT count(*) FROM mails"), "1");
}

static void a_large_message_goes_through_a_file_of_queue_tmp(void **state) {
    struct buffer bytes;
    struct spool_cargo cargo;
    enum commit_outcome outcome;
    (void)state;
    fixture_cargo(5, 1, 3000000, &bytes, &cargo);
    int fd = ask_spool_file(child.channel, "1aBcDe-000005-Zz", &outcome);
    assert_true(fd >= 0 && file_write_all(fd, bytes.data, bytes.length));
    (void)close(fd);
    struct mail_commit request = {.place = CARGO_SPOOL_FILE,
                                  .message_length = (int64_t)cargo.lengths.message,
                                  .headers_length = (int64_t)cargo.lengths.headers,
                                  .envelope_length = (int64_t)cargo.lengths.envelope,
                                  .cargo = TEXT_NONE};
    assert_int_equal(ask_commit(child.channel, &request, -1), COMMIT_OK);
    assert_true(fixture_has_file(&place, 5));
    settle();
    assert_string_equal(read_sql("SELECT place FROM mails"), "file");
    assert_int_equal(ask_commit(child.channel, &request, -1), COMMIT_INVALID); /* without a file */
    buffer_free(&bytes);
}

static void a_file_that_is_given_up_is_removed(void **state) {
    char path[PATH_MAX];
    enum commit_outcome outcome;
    (void)state;
    int fd = ask_spool_file(child.channel, "1aBcDe-000005-Zz", &outcome);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(path, sizeof path, "%s/tmp/1aBcDe-000005-Zz", place.queue);
    assert_int_equal(access(path, F_OK), 0);
    fd = ask_spool_file(child.channel, "1aBcDe-000006-Zz", &outcome);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(access(path, F_OK), -1);
}

static void fetch_and_compare(unsigned number, size_t size) {
    struct channel_message message;
    struct buffer bytes;
    struct spool_cargo cargo;
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    const struct mail_fetch fetch = {text_of(id)};
    fixture_cargo(number, 1, size, &bytes, &cargo);
    assert_int_equal(channel_send(runner, MAIL_FETCH, number, &fetch, -1), CHANNEL_OK);
    receive(runner, MAIL_CONTENT, &message);
    assert_int_equal(message.serial, number);
    assert_int_equal(values.mail_content.found, 1);
    assert_int_equal(values.mail_content.message_length, cargo.lengths.message);
    if (message.fd >= 0) {
        char *there = memory_new(1, cargo.lengths.message);
        assert_true(file_pread_all(message.fd, there, cargo.lengths.message, (off_t)values.mail_content.offset));
        assert_memory_equal(there, bytes.data, cargo.lengths.message);
        assert_int_equal(write(message.fd, "x", 1), -1); /* sealed, or read-only */
        free(there);
        (void)close(message.fd);
    } else {
        assert_memory_equal(values.mail_content.cargo.data, bytes.data, cargo.lengths.message);
    }
    buffer_free(&bytes);
}

static enum commit_outcome report(unsigned number, enum result_kind kind, const char *reply) {
    struct channel_message message;
    struct buffer list;
    char id[MAIL_ID_SIZE];
    const struct result_item item = {.kind = kind, .retry_at = time(NULL) + 60, .reply = text_of(reply)};
    fixture_id(number, id);
    buffer_init(&list, 1024);
    assert_true(list_add_result(&list, &item));
    const struct mail_result result = {.mail_id = text_of(id),
                                       .results = buffer_text(&list),
                                       .route = TEXT("lmtp"),
                                       .host = TEXT("h"),
                                       .address = TEXT("a"),
                                       .tls = TEXT_NONE,
                                       .started_at = time(NULL),
                                       .notices = TEXT_NONE};
    assert_int_equal(channel_send(runner, MAIL_RESULT, 7, &result, -1), CHANNEL_OK);
    receive(runner, MAIL_RECORDED, &message);
    buffer_free(&list);
    return (enum commit_outcome)values.mail_recorded.outcome;
}

static void the_runner_fetches_and_reports(void **state) {
    struct channel_message message;
    static const size_t sizes[] = {500, 200000, 2000000};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(commit(i, 1, sizes[i], sizes[i] > 60000, true), COMMIT_OK);
        receive(runner, PARCELS_NEW, &message);
        fetch_and_compare(i, sizes[i]);
    }
    assert_int_equal(report(0, RESULT_DELIVERED, "250 OK"), COMMIT_OK);
    assert_int_equal(report(1, RESULT_DEFERRED, "451 later"), COMMIT_OK);
    assert_int_equal(report(2, RESULT_FAILED, "550 no"), COMMIT_OK);
    assert_int_equal(report(0, RESULT_FAILED, "550 again"), COMMIT_OK); /* and changes nothing */
    assert_string_equal(read_sql("SELECT group_concat(state) FROM parcels"), "delivered,deferred,failed");
    assert_string_equal(read_sql("SELECT group_concat(place) FROM mails"), "gone,file,gone");
    fetch_and_compare(1, sizes[1]);
}

static void a_parcel_set_to_retry_by_hand_wakes_the_runner(void **state) {
    struct channel_message message;
    (void)state;
    assert_int_equal(commit(1, 1, 500, false, false), COMMIT_OK);
    receive(runner, PARCELS_NEW, &message);
    assert_int_equal(report(1, RESULT_DEFERRED, "451 later"), COMMIT_OK);
    run_sql("UPDATE parcels SET retry_at = datetime('now')");
    receive(runner, PARCELS_NEW, &message);
    assert_int_equal(values.parcels_new.mail_id.length, 0);
}

/* ---- deaths ---- */

static void a_killed_ledger_forgets_nothing_that_it_answered(void **state) {
    struct contact_state contact;
    (void)state;
    assert_int_equal(commit(1, 1, 500, false, false), COMMIT_OK);
    assert_int_equal(commit(2, 1, 100000, true, true), COMMIT_OK);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    assert_false(ask_contact_open(
        child.channel, &(struct contact_open){.contact = TEXT("192.0.2.7"), .network = TEXT_NONE, .port = 25},
        &contact));
    (void)close(child.hub);
    (void)close(child.channel);
    (void)close(runner);
    start_ledger();
    assert_string_equal(read_sql("SELECT group_concat(state) FROM parcels"), "queued,queued");
    fetch_and_compare(1, 500);
    fetch_and_compare(2, 100000);
}

/* ---- the operator ---- */

static const char *control(const char *verb, const char *argument, uint32_t *status) {
    static char text[512];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_answer answer;
    const struct control_request request = {text_of(verb), text_of(argument), TEXT_NONE, 0};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/ledger.sock", place.directory);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(
        channel_ask(fd, CONTROL_REQUEST, &request, -1, CONTROL_ANSWER, &answer, NULL, clock_deadline(5000)),
        CHANNEL_OK);
    (void)text_copy(text, sizeof text, answer.text);
    *status = answer.exit_status;
    (void)close(fd);
    return text;
}

static void the_operator_changes_queue_and_contacts(void **state) {
    static const struct {
        const char *verb, *argument;
        uint32_t status;
        const char *words, *states;
    } rows[] = {
        {"ping", "", 0, "the ledger is there", "queued,queued"},
        {"queue retry", "1aBcDe-000001-Zz", 0, "1 parcel due now", "queued,queued"},
        {"queue hold", "1aBcDe-000001-Zz", 0, "1 parcel held", "held,queued"},
        {"queue retry", "1aBcDe-000077-Zz", 67, "no waiting parcel of 1aBcDe-000077-Zz", "held,queued"},
        {"queue hold", "1aBcDe-000077-Zz", 67, "no waiting parcel of 1aBcDe-000077-Zz", "held,queued"},
        {"queue release", "1aBcDe-000001-Zz", 0, "1 parcel released", "queued,queued"},
        {"queue remove", "1aBcDe-000001-Zz", 0, "1 parcel removed", "removed,queued"},
        {"queue remove", "1aBcDe-000001-Zz", 67, "no waiting parcel of 1aBcDe-000001-Zz", "removed,queued"},
        {"contacts forgive", "192.0.2.9", 67, "0 contacts forgiven", "removed,queued"},
        {"contacts lock", "nonsense", 64, "\"nonsense\" is no address", "removed,queued"},
        {"format disk", "all", 1, "the ledger knows no \"format disk\"", "removed,queued"},
    };
    struct channel_message message;
    uint32_t status;
    (void)state;
    assert_int_equal(commit(1, 1, 500, false, false), COMMIT_OK);
    assert_int_equal(commit(2, 1, 500, false, false), COMMIT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(control(rows[i].verb, rows[i].argument, &status), rows[i].words);
        assert_int_equal(status, rows[i].status);
        assert_string_equal(read_sql("SELECT group_concat(state) FROM parcels"), rows[i].states);
    }
    (void)control("contacts lock", "192.0.2.9", &status);
    assert_int_equal(status, 0);
    receive(child.hub, HUB_LOCKED, &message);
    assert_string_equal(control("contacts forgive", "192.0.2.9", &status), "1 contact forgiven");
    receive(child.hub, HUB_UNLOCKED, &message);
    assert_string_equal(read_sql("SELECT count(*) FROM operator_changes"), "6");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_listener_is_told_of_a_lockout_and_of_its_end_by_hand),
        TEST(hits_reported_by_the_listener_move_the_end),
        TEST(a_commit_goes_to_the_runner_and_is_in_the_rows_soon),
        TEST(commits_without_a_pause_do_not_grow_the_write_ahead_log),
        TEST(the_runner_reads_the_database_once_rows_that_were_refused_are_in),
        TEST(the_runner_has_rows_written_before_it_reads_them),
        cmocka_unit_test(the_runner_reads_the_database_after_rows_that_a_slow_disk_made_late),
        TEST(a_memory_file_must_be_sealed),
        TEST(a_large_message_goes_through_a_file_of_queue_tmp),
        TEST(a_file_that_is_given_up_is_removed),
        TEST(the_runner_fetches_and_reports),
        TEST(a_parcel_set_to_retry_by_hand_wakes_the_runner),
        TEST(a_killed_ledger_forgets_nothing_that_it_answered),
        TEST(the_operator_changes_queue_and_contacts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
