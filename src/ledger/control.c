/* SPDX-License-Identifier: MIT
 * What the operator asks over the control socket: changes of queue and contacts, one function a verb. Runs in the
 * ledger; only root and the ledger's own user may ask. Each change is recorded in operator_changes; the answer says in
 * a sentence what was done, with the exit status for parcelpost: 0, 67 when nothing matched, 1 when it failed. */
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "ledger/ledger_private.h"
#include "store/changes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAXIMUM 8192
#define DESCRIPTOR_PAUSE_MS 1000 /* after EMFILE: the connection stays ready */

struct request {
    struct ledger *ledger;
    const char *argument, *detail;
    struct buffer *answer;
};

static enum exit_status say_failed(const struct request *request) {
    buffer_format(request->answer, "the ledger could not do that: see its log");
    return EXIT_STATUS_ERROR;
}

static enum exit_status say_no_parcel(const struct request *request) {
    buffer_format(request->answer, "no waiting parcel of %s", request->argument);
    return EXIT_STATUS_NO_USER;
}

/* ---- queue ---- */

static enum exit_status queue_retry(const struct request *request) {
    int64_t changed;
    bool all = strcmp(request->argument, "all") == 0;
    if (!changes_retry(spool_database(request->ledger->spool), all ? NULL : request->argument, (int64_t)time(NULL),
                       &changed)) {
        return say_failed(request);
    }
    if (changed == 0 && !all) {
        return say_no_parcel(request);
    }
    buffer_format(request->answer, "%lld parcel%s due now", (long long)changed, changed == 1 ? " is" : "s are");
    round_wake_runner(request->ledger);
    return EXIT_STATUS_OK;
}

/* Counts before, so that the answer can say what was done; the batch ends here, with whatever else is in it. */
static enum exit_status apply(const struct request *request, enum changes_kind kind, const char *words) {
    struct ledger *ledger = request->ledger;
    size_t count = 0;
    enum spool_outcome outcome = changes_add(ledger->spool, request->argument, kind, &count);
    if (outcome == SPOOL_NOTHING || (outcome == SPOOL_OK && count == 0)) {
        return say_no_parcel(request);
    }
    if (outcome != SPOOL_OK) {
        return say_failed(request);
    }
    round_finish(ledger);
    round_wake_runner(ledger);
    buffer_format(request->answer, "%zu parcel%s %s", count, count == 1 ? "" : "s", words);
    return EXIT_STATUS_OK;
}

static enum exit_status queue_remove(const struct request *request) {
    return apply(request, CHANGES_REMOVE, "removed");
}

static enum exit_status queue_hold(const struct request *request) {
    return apply(request, CHANGES_HOLD, "held");
}

static enum exit_status queue_release(const struct request *request) {
    return apply(request, CHANGES_RELEASE, "released");
}

/* ---- contacts ---- */

static enum exit_status contacts_lock_out(const struct request *request) {
    struct contacts_policy policy = contact_policy(request->ledger);
    struct contacts_state state;
    struct network network;
    uint64_t seconds;
    char end[CLOCK_TEXT_SIZE];
    if (!network_parse(text_of(request->argument), &network)) {
        buffer_format(request->answer, "\"%s\" is no address", request->argument);
        return EXIT_STATUS_USAGE;
    }
    if (text_number(text_of(request->detail), INT32_MAX, &seconds) && seconds > 0) {
        policy.prohibited_seconds = (int64_t)seconds;
    }
    if (!contacts_lock(spool_database(request->ledger->spool), &policy, text_of(request->argument), (int64_t)time(NULL),
                       &state)) {
        return say_failed(request);
    }
    contact_report(request->ledger, &state);
    clock_text((time_t)state.expires_at, end);
    buffer_format(request->answer, "%s is locked out until %s UTC", request->argument, end);
    return EXIT_STATUS_OK;
}

static enum exit_status contacts_forgive_some(const struct request *request) {
    int64_t changed;
    bool all = strcmp(request->argument, "all") == 0;
    if (!contacts_forgive(spool_database(request->ledger->spool), all ? NULL : request->argument, (int64_t)time(NULL),
                          &changed)) {
        return say_failed(request);
    }
    contact_reload(request->ledger);
    buffer_format(request->answer, "%lld contact%s forgiven", (long long)changed, changed == 1 ? "" : "s");
    return changed > 0 || all ? EXIT_STATUS_OK : EXIT_STATUS_NO_USER;
}

static enum exit_status ping(const struct request *request) {
    buffer_format(request->answer, "the ledger is there");
    return EXIT_STATUS_OK;
}

/* ---- the table ---- */

static const struct {
    const char *verb;
    enum exit_status (*run)(const struct request *request);
    bool recorded;
} verbs[] = {
    {"queue retry", queue_retry, true},
    {"queue remove", queue_remove, true},
    {"queue hold", queue_hold, true},
    {"queue release", queue_release, true},
    {"contacts lock", contacts_lock_out, true},
    {"contacts forgive", contacts_forgive_some, true},
    {"ping", ping, false},
};

static uint32_t run(const struct request *request, const char *verb, uint32_t uid) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].verb, verb) != 0) {
            continue;
        }
        enum exit_status status = verbs[i].run(request);
        if (status == EXIT_STATUS_OK && verbs[i].recorded &&
            !changes_record(spool_database(request->ledger->spool), uid, verb, request->argument,
                            (int64_t)time(NULL))) {
            log_warn("an operator's change could not be recorded: %s %s", verb, request->argument);
        }
        log_info("operator (uid %u): %s %s: %s", uid, verb, request->argument, buffer_string(request->answer));
        return (uint32_t)status;
    }
    buffer_format(request->answer, "the ledger knows no \"%s\"", verb);
    return EXIT_STATUS_ERROR;
}

bool on_control_request(void *context, struct service_peer *peer, struct channel_message *message) {
    const struct control_request *from = &message->values->control_request;
    const struct ledger_peer *data = peer->data;
    struct buffer answer;
    buffer_init(&answer, ANSWER_MAXIMUM);
    char *verb = memory_string(from->verb), *argument = memory_string(from->argument);
    char *detail = memory_string(from->detail);
    const struct request request = {context, argument, detail, &answer};
    /* the kernel's word for who asks, not the request's */
    struct control_answer result = {.exit_status = run(&request, verb, data->uid)};
    result.text = buffer_text(&answer);
    service_answer(peer, CONTROL_ANSWER, message->serial, &result, -1);
    buffer_free(&answer);
    free(verb);
    free(argument);
    free(detail);
    return true;
}

/* ---- the socket ---- */

static void accept_operator(void *context, int listening, uint32_t events) {
    struct ledger *ledger = context;
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    (void)events;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warn("no operator can be accepted now: %s", strerror(errno));
            loop_pause(ledger->operators, DESCRIPTOR_PAUSE_MS, EPOLLIN);
        }
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 ||
        (credentials.uid != 0 && credentials.uid != geteuid())) {
        log_warn("the control socket refused uid %u", (unsigned)credentials.uid);
        (void)close(fd);
        return;
    }
    struct service_peer *peer =
        service_add_peer(ledger->service, fd, PEER_OPERATOR, credentials.pid > 0 ? (uint32_t)credentials.pid : 0);
    ((struct ledger_peer *)peer->data)->uid = credentials.uid;
}

void control_listen(struct ledger *ledger) {
    if (ledger->start->control >= 0) {
        ledger->operators =
            loop_watch(service_loop(ledger->service), ledger->start->control, EPOLLIN, accept_operator, ledger);
    }
}
