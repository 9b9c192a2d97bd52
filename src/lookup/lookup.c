/* SPDX-License-Identifier: MIT
 * A lookup worker: LOOKUP_ADDRESS, LOOKUP_LOGIN, LOOKUP_SCRAM_*, LOOKUP_MAY_SEND, LOOKUP_RULE. Forked by the listener,
 * one of a small pool; drops to parcelpost-auth, then opens the databases read-only, when they are there. A request
 * that passes lookup_timeout ends the process by SIGALRM (patience.c), and the listener starts another.
 *
 * Why it opens after the drop, and without a chroot: the listener keeps no capability that lets root read what is
 * somebody else's, and users.db may appear or be replaced while we run. So owners and modes say who may read: users.db
 * is parcelpost-auth's own, with a rollback journal; parcelpost.db, its -wal and its -shm are the ledger's, made with
 * umask 027, and the listener gives us the spool's group. SQLite 3.40 reads a WAL database through a -shm that it may
 * only read, as long as the ledger has it open; without a ledger we answer "temporary failure". */
#include "lookup/lookup.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wipe.h"
#include "config/config.h"
#include "config/confinement.h"
#include "ipc/service.h"
#include "lookup/alias.h"
#include "lookup/login.h"
#include "lookup/patience.h"
#include "lookup/rules.h"
#include <stdlib.h>
#include <string.h>

struct followed {           /* an address, as long as its targets have not all been asked for */
    char *address, *sender; /* NULL: none */
    char canonical[ANSWER_ADDRESS_SIZE];
    enum address_standing standing;
    struct targets targets;
};
struct worker {
    struct lookup lookup;
    struct followed followed;
    struct rules rules;
};

/* For questions about addresses, not for logins: while crypt(3) works nobody should find a database read. */
static void begin_reading(struct worker *worker) {
    patience_begin();
    source_begin(&worker->lookup.main);
    source_begin(&worker->lookup.users);
}

static void end_reading(struct worker *worker) {
    source_end(&worker->lookup.users);
    source_end(&worker->lookup.main);
    patience_end();
}

static void forget(struct followed *followed) {
    targets_free(&followed->targets);
    free(followed->address);
    free(followed->sender);
    *followed = (struct followed){.address = NULL};
}

/* Whoever asks for the rest of a long list gets the rest of the same. */
static void follow(struct worker *worker, const struct lookup_address *question) {
    struct followed *followed = &worker->followed;
    if (question->skip > 0 && followed->address != NULL && text_equal(text_of(followed->address), question->address) &&
        text_equal(text_of(followed->sender), question->sender)) {
        return;
    }
    forget(followed);
    followed->address = memory_string(question->address);
    followed->sender = memory_string(question->sender);
    targets_init(&followed->targets, &worker->lookup, text_of(followed->sender));
    followed->standing = alias_follow(&followed->targets, text_of(followed->address), followed->canonical);
}

static bool handle_address(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    const struct lookup_address *question = &message->values->lookup_address;
    struct followed *followed = &worker->followed;
    struct buffer list;
    buffer_init(&list, TARGETS_MAXIMUM);
    begin_reading(worker);
    follow(worker, question);
    bool more = targets_pack(&followed->targets, question->skip, &list);
    end_reading(worker);
    const struct lookup_address_answer answer = {.standing = followed->standing,
                                                 .canonical = text_of(followed->canonical),
                                                 .targets = buffer_text(&list),
                                                 .more = more};
    service_answer(peer, LOOKUP_ADDRESS_ANSWER, message->serial, &answer, -1);
    if (!more) {
        forget(followed);
    }
    buffer_free(&list);
    return true;
}

static void answer_login_request(struct service_peer *peer, uint32_t serial, enum login_outcome outcome,
                                 const char *account) {
    const struct lookup_login_answer answer = {.outcome = outcome, .account = text_of(account)};
    service_answer(peer, LOOKUP_LOGIN_ANSWER, serial, &answer, -1);
}

static bool handle_login(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    const struct lookup_login *login = &message->values->lookup_login;
    char account[ANSWER_ADDRESS_SIZE];
    patience_begin();
    enum login_outcome outcome = answer_login(&worker->lookup, login->user, login->password, account);
    patience_end();
    explicit_bzero((char *)login->password.data, login->password.length); /* our scratch */
    wipe_traces();
    answer_login_request(peer, message->serial, outcome, account);
    return true;
}

static bool handle_scram_begin(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    struct scram_verifier verifier;
    patience_begin();
    enum login_outcome outcome =
        answer_scram_begin(&worker->lookup, message->values->lookup_scram_begin.user, &verifier);
    patience_end();
    const struct lookup_scram_salt answer = {.outcome = outcome,
                                             .iterations = verifier.iterations,
                                             .salt = {(const char *)verifier.salt, verifier.salt_length}};
    service_answer(peer, LOOKUP_SCRAM_SALT, message->serial, &answer, -1);
    explicit_bzero(&verifier, sizeof verifier);
    wipe_traces();
    return true;
}

static bool handle_scram_finish(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    unsigned char signature[SCRAM_KEY_SIZE];
    char account[ANSWER_ADDRESS_SIZE];
    patience_begin();
    enum login_outcome outcome =
        answer_scram_finish(&worker->lookup, &message->values->lookup_scram_finish, account, signature);
    patience_end();
    /* Only who has proved that he knows the password gets a proof that we do. */
    const struct lookup_scram_verdict answer = {
        .outcome = outcome,
        .account = text_of(account),
        .signature = {(const char *)signature, outcome == LOGIN_OK ? sizeof signature : 0}};
    service_answer(peer, LOOKUP_SCRAM_VERDICT, message->serial, &answer, -1);
    explicit_bzero(signature, sizeof signature);
    wipe_traces();
    return true;
}

static bool handle_may_send(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    const struct lookup_may_send *request = &message->values->lookup_may_send;
    char account[ANSWER_ADDRESS_SIZE];
    begin_reading(worker);
    enum login_outcome outcome = answer_may_send(&worker->lookup, request->account, request->address);
    end_reading(worker);
    (void)text_copy(account, sizeof account, request->account);
    answer_login_request(peer, message->serial, outcome, account);
    return true;
}

static bool handle_rule(void *context, struct service_peer *peer, struct channel_message *message) {
    struct worker *worker = context;
    struct rules_said said = {.reply = {.code = 0}};
    buffer_init(&said.actions, ACTIONS_MAXIMUM);
    patience_begin();
    bool good = rules_answer(&worker->rules, &message->values->lookup_rule, &said);
    patience_end();
    const struct lookup_rule_answer answer = {.outcome = said.outcome,
                                              .code = said.reply.code,
                                              .enhanced = text_of(said.reply.enhanced),
                                              .text = text_of(said.reply.text),
                                              .rule = text_of(said.rule),
                                              .actions = buffer_text(&said.actions)};
    if (good) {
        service_answer(peer, LOOKUP_RULE_ANSWER, message->serial, &answer, -1);
    }
    buffer_free(&said.actions);
    return good;
}

static const struct service_row rows[] = {
    {LOOKUP_ADDRESS, handle_address},         {LOOKUP_LOGIN, handle_login},
    {LOOKUP_SCRAM_BEGIN, handle_scram_begin}, {LOOKUP_SCRAM_FINISH, handle_scram_finish},
    {LOOKUP_MAY_SEND, handle_may_send},       {LOOKUP_RULE, handle_rule},
};
static const struct service_definition definition = {
    .kind = SERVICE_LOOKUP, .rows = rows, .row_count = sizeof rows / sizeof *rows};

_Noreturn void lookup_main(const struct process_start *start) {
    struct worker worker = {.rules = {.config = start->config, .rules = start->rules}};
    log_set_program("lookup");
    struct service *service = service_new(&definition, start->hub, &worker);
    privilege_drop(&start->user, NULL);
    confinement_enter(CONFINED_LOOKUP, start->config, NULL);
    database_put_aside(NULL);
    patience_set((unsigned)start->config->lookup_timeout);
    lookup_take_settings(&worker.lookup, start->config);
    worker.lookup.rules = &worker.rules;
    (void)source_refresh(&worker.lookup.main); /* what cannot be opened is in the log from the start */
    (void)source_refresh(&worker.lookup.users);
    service_run(service);
}
