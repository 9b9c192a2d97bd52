/* SPDX-License-Identifier: MIT
 * The crash matrix: the ledger's own code does what a server does with mail, and is ended at each of its system calls
 * that changes a file, one run a call. Then the spool is opened as a server opens it, and the promise is checked: each
 * message that had its answer is there, whole, or is recorded as finished; nothing that had a recorded end waits again;
 * nothing is there twice; spool and database agree; and the spool goes on. tests/crash/matrix/run makes the table.
 *
 *   matrix SCENARIO CRASH FIRST STEP    prints a line a run: number, call, result, addresses of the callers
 */
#include "agent/maildir.h"
#include "steps.h"
#include "store/history.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- scenarios ---- */

static void accept_scenario(void) {
    open_spool();
    accept_mail(0, 1, 500);
    accept_mail(1, 5, 3000);
    accept_large(6);
    fixture_hold = "an operator said so";
    accept_mail(7, 2, 400);
    fixture_hold = "";
    checkpoint();
    accept_mail(9, 3, 60000);
    fixture_close(&fixture);
}

static void deliver_scenario(void) {
    open_spool();
    accept_mail(0, 6, 500);
    accept_large(6);
    deliver_all(0);
    report(1, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    report(1, 1, SPOOL_DELIVERED, "250 2.0.0 OK");
    fail_with_notice(2, 20);
    report(2, 1, SPOOL_ENDED_EXPIRED, "554 4.4.7 too old");
    change(4, PARCEL_HOLD);
    report(1, 0, SPOOL_DELIVERED, "250 2.0.0 OK");
    report(3, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    change(3, PARCEL_HOLD);
    change(4, PARCEL_RELEASE);
    change(5, PARCEL_RETRY);
    report(3, 0, SPOOL_ENDED_REMOVED, "removed by the operator");
    report(6, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    report(6, 0, SPOOL_DELIVERED, "250 2.0.0 OK");
    fail_with_notice(20, 21);
    deliver_all(4);
    change(5, PARCEL_HOLD);
    fixture_close(&fixture);
}

/* Rows follow their messages, by themselves or because something else is recorded; the last have none at the end. */
static void late_scenario(void) {
    open_spool();
    fixture.options.rows_maximum = 12;
    spool_set_options(fixture.spool, &fixture.options);
    accept_mail(0, 2, 500);
    accept_mail(2, 1, 3000);
    deliver_all(1);
    accept_large(6);
    fixture_hold = "an operator said so";
    accept_mail(7, 1, 400);
    fixture_hold = "";
    accept_mail(8, 1, 500);
    change(8, PARCEL_HOLD);
    checkpoint();
    accept_mail(9, 6, 400);
    accept_mail(15, 1, 500);
    spool_settle(fixture.spool);
    fail_with_notice(15, 20);
    accept_mail(16, 1, 500);
    report(16, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    accept_mail(17, 2, 500);
    accept_large(19);
    fixture_close(&fixture);
}

/* Segments are filled, emptied, and used again; one old mail pins the first of them. */
static void reuse_scenario(void) {
    open_spool();
    accept_mail(0, 1, 500);
    for (unsigned first = 1; first + 4 <= 21; first += 4) {
        accept_mail(first, 4, 60000);
        for (unsigned i = first; i < first + 4; i++)
            deliver_all(i);
        checkpoint();
        spool_unpin(fixture.spool);
    }
    deliver_all(0);
    fixture_close(&fixture);
}

static void purge_scenario(void) {
    struct history history = {.now = time(NULL) + 1000, .before = time(NULL) + 1000, .tls_before = time(NULL)};
    bool more = true;

    open_spool();
    accept_mail(0, 8, 300);
    for (unsigned i = 0; i < 4; i++) {
        deliver_all(i);
        run->messages[i].purged = true;
    }
    while (more && history_purge(spool_database(fixture.spool), &history, &more))
        continue;
    for (int i = 0; i < 20 && spool_sweep(fixture.spool, i == 0); i++)
        spool_retry_rows(fixture.spool, &(struct spool_events){&fixture, fixture_answered, fixture_news});
    checkpoint();
    fixture_close(&fixture);
}

static void rebuild_scenario(void) {
    struct buffer text;

    open_spool();
    accept_mail(0, 4, 500);
    accept_large(4);
    deliver_all(0);
    report(1, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    report(2, 1, SPOOL_DELIVERED, "250 2.0.0 OK");
    fixture_close(&fixture);
    run->rebuilt = true;
    buffer_init(&text, 1u << 20);
    (void)worked(spool_rebuild(&fixture.options, &text));
    buffer_free(&text);
    open_spool();
    accept_mail(5, 1, 500);
    fixture_close(&fixture);
}

static void before_restart(void) {
    open_spool();
    accept_mail(0, 6, 500);
    accept_large(6);
    report(1, 0, SPOOL_DEFERRED, "451 4.4.1 later");
    deliver_all(0);
    fail_with_notice(2, 20);
    _exit(0); /* no end: as after kill -9 */
}

/* The start after a crash, itself ended at each call. */
static void restart_scenario(void) {
    long crash_at = run->disk.crash_at;
    int status;

    run->disk.crash_at = 0;
    pid_t child = fork();
    if (child == 0)
        before_restart();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    atomic_store(&run->disk.calls, 0);
    run->disk.crash_at = crash_at;
    open_spool();
    accept_mail(7, 1, 500);
    deliver_all(7);
    fixture_close(&fixture);
}

static void maildir_scenario(void) {
    static struct delivery_content content;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/Maildir", run->disk.directory);
    for (unsigned i = 0; i < 3; i++) {
        memset(&content, 0, sizeof content);
        content.fd = -1;
        buffer_init(&content.cargo, 1u << 20);
        while (content.cargo.length < 40000)
            assert_true(buffer_format(&content.cargo, "line at %zu\r\n", content.cargo.length));
        content.message_length = content.cargo.length;
        run->tried_to_store++;
        run->stored +=
            worked(maildir_make(path) &&
                   maildir_store(path, "mail.example.test", TEXT("Return-Path: <>\r\n"), &content) == MAILDIR_STORED);
        buffer_free(&content.cargo);
    }
}

/* ---- what must hold afterwards ---- */

#define MUST(condition, ...)                                                                                           \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)printf("FAULT " __VA_ARGS__);                                                                        \
            (void)printf("\n");                                                                                        \
            (void)fflush(stdout);                                                                                      \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static bool is_waiting(const char *state) {
    return strcmp(state, "queued") == 0 || strcmp(state, "deferred") == 0 || strcmp(state, "held") == 0;
}

static void check_message(unsigned number) {
    const struct message *message = &run->messages[number];
    char states[256], *place = states, *state;
    unsigned recipient = 0;
    bool waits = false, over = true;

    for (unsigned i = 0; i < message->recipients; i++)
        over = over && message->tried[i];
    (void)snprintf(states, sizeof states, "%s", fixture_states(&fixture, number));
    if (states[0] == '\0') { /* a power failure may take the rows of what has ended along: SQLite does not flush them */
        bool may_have_no_rows =
            message->purged || run->rebuilt || run->disk.crash == DISK_FORGET || run->disk.crash == DISK_MIX;
        MUST(!message->accepted || (over && may_have_no_rows), "message %u was accepted and is lost", number);
        return;
    }
    MUST(message->offered, "message %u came from nowhere", number);
    if (message->purged) /* the rows of those who have ended leave one by one */
        return;
    for (; (state = strsep(&place, ",")) != NULL; recipient++) {
        MUST(recipient < message->recipients, "message %u has a recipient too many", number);
        MUST(is_waiting(state) || message->tried[recipient], "message %u recipient %u is %s unasked", number, recipient,
             state);
        MUST(!is_waiting(state) || !message->ended[recipient], "message %u recipient %u ended and is %s", number,
             recipient, state);
        waits = waits || is_waiting(state);
    }
    MUST(recipient == message->recipients, "message %u lost a recipient", number);
    bool held = strcmp(states, "held") == 0; /* strsep has cut it behind recipient 0 */
    MUST(message->hold == MAY_BE_HELD || !is_waiting(states) || held == (message->hold == IS_HELD),
         "message %u is %s, and an operator was told otherwise", number, states);
    if (waits)
        fixture_same_bytes(&fixture, number, message->recipients, message->size);
}

static void check_spool(void) {
    for (unsigned i = 0; i < MESSAGES; i++)
        check_message(i);
}

/* The spool goes on: what waits can be delivered, new mail comes in. */
static void go_on(void) {
    for (unsigned i = 0; i < MESSAGES; i++)
        for (uint32_t k = 0; k < run->messages[i].recipients; k++)
            if (fixture_states(&fixture, i)[0] != '\0')
                (void)fixture_result(&fixture, i, k, SPOOL_DELIVERED, "250 2.0.0 OK");
    MUST(fixture_add(&fixture, 63, 1, 500) == SPOOL_OK, "no new mail after the crash");
    fixture_finish(&fixture);
    MUST(fixture.answers[63] == SPOOL_OK, "new mail after the crash is refused");
    MUST(strcmp(fixture_states(&fixture, 63), "queued") == 0, "new mail after the crash has no row");
}

static void check_maildir(void) {
    char path[PATH_MAX], file[2 * PATH_MAX];
    unsigned whole = 0;
    struct stat status;

    (void)snprintf(path, sizeof path, "%s/Maildir/new", run->disk.directory);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        MUST(stat(file, &status) == 0 && status.st_size > 37000, "half a message in new/: %s", entry->d_name);
        whole++;
    }
    MUST(whole >= run->stored, "%u messages stored, %u there", run->stored, whole);
    MUST(whole <= run->tried_to_store, "%u messages, %u there", run->tried_to_store, whole);
}

static void look(bool maildir, bool rebuild) {
    struct buffer text;

    if (maildir) {
        check_maildir();
        return;
    }
    open_spool();
    check_spool();
    if (rebuild) {
        fixture_close(&fixture);
        buffer_init(&text, 1u << 20);
        MUST(spool_rebuild(&fixture.options, &text), "no rebuild: %s", buffer_string(&text));
        buffer_free(&text);
        run->rebuilt = true;
        fixture_open(&fixture);
        check_spool();
    }
    go_on();
    fixture_close(&fixture);
}

/* ---- runs ---- */

static const struct scenario {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    {"accept", accept_scenario},   {"deliver", deliver_scenario}, {"late", late_scenario},
    {"reuse", reuse_scenario},     {"purge", purge_scenario},     {"rebuild", rebuild_scenario},
    {"restart", restart_scenario}, {"maildir", maildir_scenario},
};
static const char *const crash_names[DISK_CRASHES] = {"kill",   "tear",   "forget", "mix",   "eio",
                                                      "enospc", "emfile", "eintr",  "short", "enomem"};

static int in_child(void (*what)(const struct scenario *), const struct scenario *scenario) {
    int status;
    pid_t child = fork();

    if (child == 0) {
        log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "matrix", LOG_LEVEL_FATAL);
        what(scenario);
        exit(0);
    }
    return waitpid(child, &status, 0) == child ? status : -1;
}

static void play(const struct scenario *scenario) {
    journal_flush = fdatasync;
    disk_watch(&run->disk);
    scenario->play();
}

static void check(const struct scenario *scenario) {
    look(scenario->play == maildir_scenario, run->disk.crash_at % 4 == 0 && scenario->play != maildir_scenario);
}

static void print_callers(void) {
    Dl_info here, there;

    (void)dladdr((void *)(uintptr_t)print_callers, &here);
    for (int i = 0; i < run->disk.frame_count; i++)
        if (dladdr(run->disk.frames[i], &there) != 0 && there.dli_fbase == here.dli_fbase)
            (void)printf(" %tx", (char *)run->disk.frames[i] - (char *)here.dli_fbase);
}

/* True when the call was reached, false when the run came to its end before. */
static bool run_once(const struct scenario *scenario, enum disk_crash crash, long crash_at, bool *held) {
    memset(run, 0, sizeof *run);
    (void)snprintf(run->disk.directory, sizeof run->disk.directory, "/dev/shm/parcelpost-crash-XXXXXX");
    if (mkdtemp(run->disk.directory) == NULL)
        abort();
    (void)snprintf(run->disk.shadow, sizeof run->disk.shadow, "%s.shadow", run->disk.directory);
    (void)mkdir(run->disk.shadow, 0700);
    run->disk.crash = crash;
    run->disk.crash_at = crash_at;
    run->disk.seed = (unsigned)crash_at;
    int status = in_child(play, scenario);
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) == DISK_EXIT, reached = run->disk.call[0] != '\0';
    *held = (ended || status == 0) && disk_forget(&run->disk) && in_child(check, scenario) == 0;
    (void)printf("%s %s %ld %s %s", scenario->name, crash_names[crash], crash_at, reached ? run->disk.call : "-",
                 *held ? "held" : "LOST");
    print_callers();
    (void)printf("\n");
    (void)fflush(stdout);
    if (*held) {
        remove_tree(run->disk.directory);
        remove_tree(run->disk.shadow);
    }
    return reached;
}

int main(int argc, char **argv) {
    enum disk_crash crash = DISK_KILL;
    const struct scenario *scenario = scenarios;
    bool held = true, all = true;

    if (argc != 5)
        return 64;
    while (crash < DISK_CRASHES && strcmp(crash_names[crash], argv[2]) != 0)
        crash++;
    while (scenario < scenarios + sizeof scenarios / sizeof scenarios[0] && strcmp(scenario->name, argv[1]) != 0)
        scenario++;
    if (crash == DISK_CRASHES || scenario == scenarios + sizeof scenarios / sizeof scenarios[0])
        return 64;
    run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED)
        return 1;
    for (long at = strtol(argv[3], NULL, 10); run_once(scenario, crash, at, &held); at += strtol(argv[4], NULL, 10))
        all = all && held;
    return all && held ? 0 : 1;
}
