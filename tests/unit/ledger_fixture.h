/* SPDX-License-Identifier: MIT
 * A ledger as a process, and how its tests speak to it: as receivers, queue runner, listener, operator and sqlite3 do.
 */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H
#include "base/clock.h"
#include "config/config.h"
#include "ipc/ask.h"
#include "ipc/list.h"
#include "ledger/ledger.h"
#include "spool/checkpoint.h"
#include "store_fixture.h"

#include "service_child.h"
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct service_child child;
static struct fixture place; /* names only; the ledger has the spool */
static char storage[CHANNEL_MESSAGE_MAXIMUM];
static union channel_values values;
static int listening, runner;
static struct config config;

static void make_config(void) {
    static char file[] = "test.conf", empty[] = "", domain[] = "example.test";
    static char *domains[] = {domain};
    config = (struct config){.file = file,
                             .database = place.database,
                             .queue = place.queue,
                             .local_domains = {domains, 1},
                             .lock_command = empty,
                             .unlock_command = empty,
                             .journal_segment_size = 4 << 20,
                             .journal_max_message = 1 << 20,
                             .queue_maximum_size = 256 << 20,
                             .queue_lifetime = 86400,
                             .prohibited_seconds = 3600,
                             .lockout_maximum = 86400,
                             .max_failed_msgs_per_period = 3,
                             .history_days = 30};
}

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(chmod(path, 0666), 0);
    return fd;
}

static void connect_runner(void) {
    const struct hub_peer peer = {.peer = PEER_RUNNER, .pid = 2};
    int ends[2];
    assert_true(channel_pair(ends));
    assert_int_equal(channel_send(child.hub, HUB_PEER, 0, &peer, ends[1]), CHANNEL_OK);
    (void)close(ends[1]);
    runner = ends[0];
}

static void start_ledger(void) {
    struct process_start process = {PROCESS_WITHOUT_DESCRIPTORS, .config = &config};
    process.control = listening;
    service_child_start(&child, ledger_main, process);
    connect_runner();
}

static int start(void **state) {
    char directory[] = "/tmp/parcelpost-ledger-XXXXXX", path[96];
    (void)state;
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, 0777), 0);
    fixture_name(&place, directory);
    (void)snprintf(path, sizeof path, "%s/ledger.sock", directory);
    listening = listen_at(path);
    make_config();
    start_ledger();
    return 0;
}

static int end(void **state) {
    (void)state;
    (void)close(runner);
    (void)close(listening);
    assert_int_equal(service_child_end(&child), 0);
    (void)close(log_descriptor());
    remove_tree(place.directory);
    return 0;
}

/* ---- speaking ---- */

static void receive(int fd, uint32_t kind, struct channel_message *message) {
    assert_int_equal(channel_receive(fd, clock_deadline(5000), storage, &values, message), CHANNEL_OK);
    assert_int_equal(message->kind, kind);
}

static struct contact_state violate(void) {
    const struct contact_violation violation = {.contact = TEXT("192.0.2.7"),
                                                .verb = TEXT("RCPT"),
                                                .rule = TEXT("relay"),
                                                .reply = TEXT("550 5.7.1 no"),
                                                .account = TEXT_NONE,
                                                .mail_id = TEXT_NONE,
                                                .port = 25};
    struct contact_state answer;
    assert_true(ask_contact_violation(child.channel, &violation, &answer));
    return answer;
}

static enum commit_outcome commit(unsigned number, unsigned recipients, size_t size, bool in_memory_file, bool sealed) {
    struct buffer bytes;
    struct spool_cargo cargo;
    fixture_cargo(number, recipients, size, &bytes, &cargo);
    struct mail_commit request = {.place = in_memory_file ? CARGO_MEMFD : CARGO_INLINE,
                                  .message_length = (int64_t)cargo.lengths.message,
                                  .headers_length = (int64_t)cargo.lengths.headers,
                                  .envelope_length = (int64_t)cargo.lengths.envelope,
                                  .cargo = in_memory_file ? TEXT_NONE : cargo.bytes};
    int fd = in_memory_file ? file_memory("mail") : -1;
    if (in_memory_file) {
        assert_true(file_write_all(fd, bytes.data, bytes.length));
        assert_true(!sealed || file_seal(fd));
    }
    enum commit_outcome outcome = ask_commit(child.channel, &request, fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    buffer_free(&bytes);
    return outcome;
}

static void run_sql(const char *sql) {
    sqlite3 *handle;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(place.database, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

/* The first column of the first row, as text. */
static const char *read_sql(const char *sql) {
    static char text[512];
    sqlite3 *handle;
    sqlite3_stmt *statement;
    text[0] = '\0';
    assert_int_equal(sqlite3_open(place.database, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        (void)snprintf(text, sizeof text, "%s", column_string(statement, 0));
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return text;
}

/* As operator_settle does it: whoever connects finds what was answered in the rows. */
static void settle(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd end = {.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), .events = POLLIN};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/ledger.sock", place.directory);
    assert_int_equal(connect(end.fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(shutdown(end.fd, SHUT_WR), 0);
    assert_int_equal(poll(&end, 1, 5000), 1);
    (void)close(end.fd);
}
#endif
