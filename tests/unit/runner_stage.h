/* SPDX-License-Identifier: MIT
 * The stage for the queue runner's tests: a forked runner, and this process as its listener, its ledger, its agents and
 * its operator. The database is there and empty; parcels are pushed. Anything unexpected fails the test. */
#ifndef TESTS_RUNNER_STAGE_H
#define TESTS_RUNNER_STAGE_H
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/confinement.h"
#include "ipc/list.h"
#include "mail/envelope.h"
#include "runner/runner.h"
#include "store/database.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAIL "1AbCdE-FgHiJk-Lm"
#define OTHER "1AbCdE-FgHiJk-Ln"

static char directory[] = "/tmp/parcelpost-test-XXXXXX";
static char database_path[64], control_path[64];
static pid_t holder; /* has the database open, as the ledger has it: a reader cannot make its write-ahead log */
static char storage[CHANNEL_MESSAGE_MAXIMUM];
static union channel_values values;

struct stage {
    pid_t pid;
    int hub, ledger, control;
    int runner_hub, runner_ledger; /* the other ends, until the runner has them */
    long retry;
    const char *blocks;                                 /* of the configuration; NULL for none */
    long account_limit, agent_limit, destination_limit; /* 0: as the stage has them */
};

/* A file of its own that begins with the text; the caller closes it. */
static inline int configuration_of(const char *text) {
    int fd = file_memory("configuration");
    assert_true(fd >= 0 && file_write_all(fd, text, strlen(text)) && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline struct config *read_configuration(const struct stage *stage) {
    struct buffer text, errors;
    buffer_init(&text, 4000);
    buffer_init(&errors, 4000);
    assert_true(buffer_format(&text,
                              "server_name = mail.example.test\ndatabase = \"%s\"\nlocal_transport = maildir\n"
                              "local_domains = {example.test}\nretry_schedule = {%ld}\nqueue_lifetime = 1000\n"
                              "agent_limit = %ld\ndestination_limit = %ld\naccount_limit = %ld\n"
                              "agent_recipients = 2\ndelay_warning = 0\n%s",
                              database_path, stage->retry, stage->agent_limit > 0 ? stage->agent_limit : 2,
                              stage->destination_limit > 0 ? stage->destination_limit : 1, stage->account_limit,
                              stage->blocks != NULL ? stage->blocks : ""));
    FILE *file = fdopen(configuration_of(buffer_string(&text)), "r");
    struct config *config = config_read_stream(file, "FILE", &errors);
    if (config == NULL) {
        print_error("%s\n", buffer_string(&errors));
        _exit(1);
    }
    fclose(file);
    buffer_free(&text);
    buffer_free(&errors);
    return config;
}

static inline void run_child(struct stage *stage, int hub, int ledger, bool cron) {
    struct config *config = read_configuration(stage);
    struct process_start start = {PROCESS_WITHOUT_DESCRIPTORS, .config = config, .cron = cron};
    start.hub = hub;
    start.ledger = ledger;
    start.control = cron ? -1 : stage->control;
    if (privilege_is_root()) { /* it does not go on as root */
        assert_true(privilege_find("nobody", "", &start.user));
    }
    confinement_prepare(false);
    runner_main(&start);
}

/* Everything but the runner: what is pushed now is there when it looks for the first time. */
static inline struct stage prepare(void) {
    struct stage stage = {.retry = 60};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int hub[2], ledger[2];
    assert_true(channel_pair(hub) && channel_pair(ledger));
    stage.control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    unlink(control_path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", control_path);
    assert_int_equal(bind(stage.control, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(stage.control, 5), 0);
    stage.hub = hub[0];
    stage.runner_hub = hub[1];
    stage.ledger = ledger[0];
    stage.runner_ledger = ledger[1];
    return stage;
}

static inline void launch(struct stage *stage, bool cron) {
    stage->pid = fork();
    if (stage->pid == 0) {
        close(stage->hub);
        close(stage->ledger);
        run_child(stage, stage->runner_hub, stage->runner_ledger, cron);
    }
    close(stage->runner_hub);
    close(stage->runner_ledger);
}

static inline struct stage begin(bool cron) {
    struct stage stage = prepare();
    launch(&stage, cron);
    return stage;
}

static inline int status_of(struct stage *stage) {
    int status;
    assert_int_equal(waitpid(stage->pid, &status, 0), stage->pid);
    close(stage->hub);
    close(stage->ledger);
    close(stage->control);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void finish(struct stage *stage) {
    shutdown(stage->hub, SHUT_RDWR);
    assert_int_equal(status_of(stage), 0);
}

/* Ends it with jobs in hand, whose results it would otherwise wait to have recorded. */
static inline void cut_short(struct stage *stage) {
    assert_int_equal(kill(stage->pid, SIGKILL), 0);
    assert_int_equal(waitpid(stage->pid, NULL, 0), stage->pid);
    close(stage->hub);
    close(stage->ledger);
    close(stage->control);
}

static inline uint32_t expect_with(int fd, uint32_t kind, int *passed) {
    struct channel_message message = {.fd = -1};
    assert_int_equal(channel_receive(fd, clock_deadline(8000), storage, &values, &message), CHANNEL_OK);
    assert_int_equal(message.kind, kind);
    if (passed != NULL) {
        *passed = message.fd;
    }
    return message.serial;
}

static inline uint32_t expect(int fd, uint32_t kind) {
    return expect_with(fd, kind, NULL);
}

static inline void expect_silence(int fd) {
    struct channel_message message = {.fd = -1};
    assert_int_equal(channel_receive(fd, clock_deadline(200), storage, &values, &message), CHANNEL_TIMEOUT);
}

static inline void expect_end(int fd) {
    struct channel_message message = {.fd = -1};
    assert_int_equal(channel_receive(fd, clock_deadline(8000), storage, &values, &message), CHANNEL_GONE);
    close(fd);
}

/* `count` local parcels of a mail, ids from first on. */
static inline void push(struct stage *stage, const char *mail_id, const char *from, int64_t first, uint32_t count,
                        int64_t expires_at) {
    struct buffer list;
    buffer_init(&list, 10000);
    for (uint32_t i = 0; i < count; i++) {
        struct parcel_item item = {.recipient = i,
                                   .delivery = DELIVERY_LOCAL,
                                   .parcel_id = first + i,
                                   .retry_at = 1,
                                   .target = TEXT("coco@example.test"),
                                   .domain = TEXT("example.test")};
        assert_true(list_add_parcel(&list, &item));
    }
    struct parcels_new news = {.mail_id = text_of(mail_id),
                               .from_url = text_of(from),
                               .account = TEXT_NONE,
                               .received_at = 1000000000,
                               .expires_at = expires_at,
                               .recipients = buffer_text(&list)};
    assert_int_equal(channel_send(stage->ledger, PARCELS_NEW, 0, &news, -1), CHANNEL_OK);
    buffer_free(&list);
}

static inline void answer_fetch(struct stage *stage, uint32_t serial, const char *mail_id, const char *from,
                                uint32_t count, enum recipient_status status) {
    struct envelope envelope;
    struct buffer cargo;
    envelope_init(&envelope);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(mail_id));
    envelope_set(&envelope.from_url, text_of(from));
    for (uint32_t i = 0; i < count; i++) {
        envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
        envelope.recipients[i].status = status;
    }
    buffer_init(&cargo, 20000);
    assert_true(buffer_append_string(&cargo, "Subject: s\r\n\r\nb\r\nReceived: r\r\n"));
    size_t before = cargo.length;
    assert_true(envelope_format(&envelope, &cargo));
    struct mail_content content = {.found = 1,
                                   .message_length = 17,
                                   .headers_length = 13,
                                   .envelope_length = (int64_t)(cargo.length - before),
                                   .cargo = buffer_text(&cargo)};
    assert_int_equal(channel_send(stage->ledger, MAIL_CONTENT, serial, &content, -1), CHANNEL_OK);
    buffer_free(&cargo);
    envelope_free(&envelope);
}

static inline void give_content(struct stage *stage, const char *mail_id, const char *from, uint32_t count) {
    uint32_t serial = expect(stage->ledger, MAIL_FETCH);
    assert_true(text_equal(values.mail_fetch.mail_id, text_of(mail_id)));
    answer_fetch(stage, serial, mail_id, from, count, RECIPIENT_QUEUED);
}

/* Hands the runner an agent for this transport; returns our end. */
static inline int give_agent_by(struct stage *stage, const char *transport) {
    int ends[2];
    struct hub_agent answer;
    expect(stage->hub, HUB_AGENT_WANTED);
    assert_true(text_equal(values.hub_agent.transport, text_of(transport)));
    answer = values.hub_agent;
    assert_true(channel_pair(ends));
    assert_int_equal(channel_send(stage->hub, HUB_AGENT, 0, &answer, ends[1]), CHANNEL_OK);
    close(ends[1]);
    return ends[0];
}

static inline int give_agent(struct stage *stage) {
    return give_agent_by(stage, "maildir");
}

/* The agent's answer: results as letters, one a recipient. */
static inline void report(int agent, const char *mail_id, const char *letters) {
    uint32_t serial = expect(agent, AGENT_JOB);
    struct text list = values.agent_job.recipients;
    struct job_recipient recipient;
    struct buffer results;
    bool bad = false;
    assert_true(text_equal(values.agent_job.mail_id, text_of(mail_id)));
    buffer_init(&results, 10000);
    for (; *letters != '\0'; letters++) {
        assert_true(list_next_job_recipient(&list, &recipient, &bad));
        struct result_item item = {.recipient = recipient.recipient,
                                   .kind = *letters == 'D'   ? RESULT_DELIVERED
                                           : *letters == 'T' ? RESULT_DEFERRED
                                                             : RESULT_FAILED,
                                   .reply = TEXT("599 5.9.9 scripted")};
        assert_true(list_add_result(&results, &item));
    }
    assert_false(list_next_job_recipient(&list, &recipient, &bad));
    struct agent_result result = {.mail_id = text_of(mail_id),
                                  .results = buffer_text(&results),
                                  .route = TEXT("r"),
                                  .host = TEXT("h"),
                                  .address = TEXT("a"),
                                  .tls = TEXT_NONE,
                                  .reusable = 1};
    assert_int_equal(channel_send(agent, AGENT_RESULT, serial, &result, -1), CHANNEL_OK);
    buffer_free(&results);
}

/* What the ledger gets, as letters; answers with this outcome. */
static inline void record(struct stage *stage, const char *letters, bool notice, enum commit_outcome outcome) {
    static const char kinds[] = {[RESULT_DELIVERED] = 'D', [RESULT_DEFERRED] = 'T', [RESULT_FAILED] = 'F'};
    uint32_t serial = expect(stage->ledger, MAIL_RESULT);
    struct text list = values.mail_result.results;
    struct result_item item;
    bool bad = false;
    assert_int_equal(values.mail_result.notices.length > 0, notice);
    for (; *letters != '\0'; letters++) {
        assert_true(list_next_result(&list, &item, &bad));
        assert_int_equal(kinds[item.kind], *letters);
        assert_int_equal(item.kind == RESULT_DEFERRED, item.retry_at > 0);
    }
    assert_false(list_next_result(&list, &item, &bad));
    struct mail_recorded answer = {.outcome = outcome};
    assert_int_equal(channel_send(stage->ledger, MAIL_RECORDED, serial, &answer, -1), CHANNEL_OK);
}

static inline int hand_over(void) {
    struct privilege_user nobody;
    if (!privilege_find("nobody", "", &nobody)) {
        return -1;
    }
    return chown(directory, nobody.uid, nobody.gid) == 0 ? chown(database_path, nobody.uid, nobody.gid) : -1;
}

/* In a process of its own: SQLite's locks must not be inherited. */
static inline int hold_database(void) {
    int ready[2];
    char byte;
    if (pipe(ready) != 0 || (holder = fork()) < 0) {
        return -1;
    }
    if (holder == 0) {
        struct buffer error;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        buffer_init(&error, 1000);
        if (database_open(database_path, DATABASE_MAIN, DATABASE_WRITE, &error) == NULL) {
            print_error("%s\n", buffer_string(&error));
            _exit(1);
        }
        (void)!write(ready[1], "", 1);
        for (;;) {
            (void)pause();
        }
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    return got == 1 ? 0 : -1;
}

static inline int make_directory(void **state) {
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(database_path, sizeof database_path, "%s/parcelpost.db", directory);
    snprintf(control_path, sizeof control_path, "%s/control", directory);
    if (hold_database() != 0) {
        return -1;
    }
    return privilege_is_root() ? hand_over() : 0;
}

static inline int remove_directory(void **state) {
    static const char *const names[] = {"parcelpost.db", "parcelpost.db-wal", "parcelpost.db-shm", "control"};
    (void)state;
    (void)kill(holder, SIGKILL);
    (void)waitpid(holder, NULL, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}
#endif
