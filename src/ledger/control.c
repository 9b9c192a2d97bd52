/* SPDX-License-Identifier: MIT
 * The operator's socket: who may ask (root and the ledger's own user, by the kernel's word), and what the ledger does
 * when an order of orders/ has been carried out: the batch ends, the runner reads the database, the listener hears of
 * lockouts, all of it is flushed, and then the operator is answered. */
#include "base/log.h"
#include "base/memory.h"
#include "ledger/ledger_private.h"
#include "orders/order.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAXIMUM 8192
#define DESCRIPTOR_PAUSE_MS 1000 /* after EMFILE: the connection stays ready */

static enum exit_status carry_out(struct ledger *ledger, struct order *order) {
    enum exit_status status = order_run(order);
    bool written = (order->effects & ORDER_BATCH) == 0 || round_finish(ledger);
    if ((order->effects & ORDER_RUNNER) != 0) {
        round_wake_runner(ledger);
    }
    if ((order->effects & ORDER_CONTACT) != 0) {
        contact_report(ledger, &order->contact);
    }
    if ((order->effects & ORDER_CONTACTS) != 0) {
        contact_reload(ledger);
    }
    return order_settle(order, status, written);
}

/* The steps of one long order come over one connection and make one record. */
static int64_t *record_of(struct ledger_peer *data, const char *verb, const char *argument) {
    if (data->what == NULL || strcmp(data->what, verb) != 0 || strcmp(data->about, argument) != 0) {
        free(data->what);
        free(data->about);
        data->what = memory_string(text_of(verb));
        data->about = memory_string(text_of(argument));
        data->record = 0;
    }
    return &data->record;
}

void control_forget(struct ledger_peer *data) {
    free(data->what);
    free(data->about);
}

bool on_control_request(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct control_request *from = &message->values->control_request;
    struct ledger_peer *data = peer->data;
    struct buffer answer;
    buffer_init(&answer, ANSWER_MAXIMUM);
    spool_settle(ledger->spool);
    char *verb = memory_string(from->verb), *argument = memory_string(from->argument);
    char *detail = memory_string(from->detail);
    struct order order = {.spool = ledger->spool,
                          .policy = contact_policy(ledger),
                          .resident = true,
                          .uid = data->uid, /* not the request's word */
                          .verb = verb,
                          .argument = argument,
                          .detail = detail,
                          .answer = &answer,
                          .record = record_of(data, verb, argument)};
    struct control_answer result = {.exit_status = (uint32_t)carry_out(ledger, &order)};
    result.affected = order.affected;
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
    spool_settle(ledger->spool); /* operator_settle waits for no more */
    ((struct ledger_peer *)peer->data)->uid = credentials.uid;
}

void control_listen(struct ledger *ledger) {
    if (ledger->start->control >= 0) {
        ledger->operators =
            loop_watch(service_loop(ledger->service), ledger->start->control, EPOLLIN, accept_operator, ledger);
    }
}
