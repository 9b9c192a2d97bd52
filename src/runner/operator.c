/* SPDX-License-Identifier: MIT
 * The operator's channel: `parcelpost-queue` asks the resident runner to run what is due, or the mails it names
 * whatever their time, and gets the exit status when all of that has been tried once. Root and the runner's own user
 * may ask; whoever else connects is closed. */
#include "base/clock.h"
#include "base/log.h"
#include "mail/mail_id.h"
#include "runner/runner_private.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATUS_MAXIMUM 65536
#define ANSWER_OK 0
#define ANSWER_ERROR 1
#define ANSWER_DEFERRED 75
#define DESCRIPTOR_PAUSE_MS 1000 /* after EMFILE: the connection stays ready */
#define REQUEST_MS 3000          /* whoever connects asks at once */

static void answer(struct service_peer *peer, uint32_t serial, uint32_t exit_status, const char *words) {
    struct control_answer reply = {.exit_status = exit_status, .text = text_of(words)};
    service_answer(peer, CONTROL_ANSWER, serial, &reply, -1);
}

static void accept_operator(void *context, int fd, uint32_t events) {
    struct runner *runner = context;
    struct ucred asker;
    socklen_t length = sizeof asker;
    (void)events;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warn("no operator can be accepted now: %s", strerror(errno));
            loop_pause(runner->operators, DESCRIPTOR_PAUSE_MS, EPOLLIN);
        }
        return;
    }
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &asker, &length) != 0 ||
        (asker.uid != 0 && asker.uid != geteuid())) {
        log_warn("a connection to the control socket by a user who may not: closed");
        close(connection);
        return;
    }
    service_add_peer(runner->service, connection, PEER_OPERATOR, (uint32_t)asker.pid);
}

void operator_listen(struct runner *runner) {
    if (runner->start->control < 0) {
        return;
    }
    runner->operators =
        loop_watch(service_loop(runner->service), runner->start->control, EPOLLIN, accept_operator, runner);
    if (runner->start->cron) {
        runner->request_until = clock_deadline(REQUEST_MS);
    }
}

void operator_peer_gone(struct runner *runner, struct service_peer *peer) {
    for (size_t i = 0; i < RUNS_MAXIMUM; i++) {
        if (runner->runs[i].peer == peer) {
            runner->runs[i].peer = NULL; /* the work goes on, nobody is told */
        }
    }
}

static void finish_run(struct run *run) {
    if (run->peer != NULL) {
        uint32_t status = run->failed ? ANSWER_ERROR : run->deferred ? ANSWER_DEFERRED : ANSWER_OK;
        answer(run->peer, run->serial, status,
               run->failed     ? "an error occurred, see the log"
               : run->deferred ? "something was deferred"
                               : "nothing is left due");
    }
    *run = (struct run){.used = false};
}

void operator_parcel_ended(struct runner *runner, const struct parcel *parcel, enum parcel_end end) {
    for (size_t i = 0; parcel->runs != 0 && i < RUNS_MAXIMUM; i++) {
        struct run *run = &runner->runs[i];
        if ((parcel->runs & (1u << i)) == 0) {
            continue;
        }
        run->deferred |= end == PARCEL_DEFERRED;
        if (--run->pending == 0 && !run->reads) {
            finish_run(run);
        }
    }
}

void operator_parcel_added(struct runner *runner, struct parcel *parcel) {
    for (size_t i = 0; i < RUNS_MAXIMUM; i++) {
        if (runner->runs[i].reads) {
            parcel->runs |= 1u << i;
            runner->runs[i].pending++;
        }
    }
}

void operator_all_read(struct runner *runner) {
    for (size_t i = 0; i < RUNS_MAXIMUM; i++) {
        struct run *run = &runner->runs[i];
        bool through = run->reads && run->pending == 0;
        run->failed |= run->reads && runner->failed;
        run->reads = false;
        if (through) {
            finish_run(run);
        }
    }
}

void operator_left_some(struct runner *runner) {
    for (size_t i = 0; i < RUNS_MAXIMUM; i++) {
        runner->runs[i].deferred |= runner->runs[i].reads;
    }
}

struct run_choice {
    size_t run;
    const char *mail_id; /* NULL: all */
};

static void join_run(struct runner *runner, struct parcel *parcel, void *context) {
    const struct run_choice *choice = context;
    uint32_t bit = 1u << choice->run;
    if ((choice->mail_id == NULL || strcmp(choice->mail_id, parcel->mail_id) == 0) && (parcel->runs & bit) == 0) {
        parcel->runs |= bit;
        runner->runs[choice->run].pending++;
    }
}

/* "ID ID …": false when one of them is no mail id. */
static bool join_mails(struct runner *runner, size_t number, struct text ids) {
    struct text word;
    char mail_id[MAIL_ID_SIZE];
    while (text_split(&ids, ' ', &word)) {
        struct run_choice choice = {.run = number, .mail_id = mail_id};
        if (word.length == 0) {
            continue;
        }
        if (!mail_id_is_valid(word)) {
            return false;
        }
        text_copy(mail_id, sizeof mail_id, word);
        runner->runs[number].reads = true; /* what finds no room counts as deferred */
        runner->runs[number].failed |= !due_load(runner, mail_id);
        runner->runs[number].reads = false;
        parcel_each(runner, join_run, &choice);
    }
    return true;
}

static void leave_run(struct runner *runner, struct parcel *parcel, void *context) {
    const struct run_choice *choice = context;
    (void)runner;
    parcel->runs &= ~(1u << choice->run);
}

static void start_run(struct runner *runner, size_t number, struct service_peer *peer, uint32_t serial,
                      struct text ids) {
    struct run *run = &runner->runs[number];
    struct run_choice choice = {.run = number, .mail_id = NULL};
    runner->request_until = 0;
    *run = (struct run){.used = true, .peer = peer, .serial = serial};
    if (ids.length > 0 && !join_mails(runner, number, ids)) {
        parcel_each(runner, leave_run, &choice);
        answer(peer, serial, ANSWER_ERROR, "that is no mail id");
        *run = (struct run){.used = false};
        return;
    }
    if (ids.length == 0) {
        due_load(runner, NULL);
        parcel_each(runner, join_run, &choice);
        run->reads = true;
    }
    if (run->pending == 0 && !run->reads) {
        finish_run(run);
    }
}

bool operator_on_request(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    const struct control_request *request = &message->values->control_request;
    size_t number = 0;
    if (text_equal(request->verb, TEXT("ping"))) {
        answer(peer, message->serial, ANSWER_OK, "running");
        return true;
    }
    if (text_equal(request->verb, TEXT("status"))) {
        struct buffer text;
        buffer_init(&text, STATUS_MAXIMUM);
        status_write(runner, &text);
        answer(peer, message->serial, ANSWER_OK, buffer_string(&text));
        buffer_free(&text);
        return true;
    }
    if (!text_equal(request->verb, TEXT("run"))) {
        answer(peer, message->serial, ANSWER_ERROR, "the queue runner knows only \"run\", \"status\" and \"ping\"");
        return true;
    }
    while (number < RUNS_MAXIMUM && runner->runs[number].used) {
        number++;
    }
    if (number == RUNS_MAXIMUM || runner->stopping) {
        answer(peer, message->serial, ANSWER_DEFERRED, "the queue runner is busy with others' requests, or stopping");
        return true;
    }
    struct text ids = text_trim(request->argument);
    if (ids.length > 0 && !runner_rows_are_right(runner)) {
        answer(peer, message->serial, ANSWER_DEFERRED,
               "the machine's clock was set, and what waits is being moved with it: try again in a moment");
        return true;
    }
    start_run(runner, number, peer, message->serial, ids);
    return true;
}
