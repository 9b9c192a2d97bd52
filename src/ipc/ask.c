/* SPDX-License-Identifier: MIT
 * The askers' functions for contacts, mail, addresses, signatures and connections; DNS is in ask_dns.c. Called by
 * receivers and agents, confined, under their own privileges. Everything that goes wrong on the way gives the temporary
 * outcome. */
#include "ipc/ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/scratch.h"
#include "mail/address.h"
#include <string.h>
#include <unistd.h>

/* Time limits in milliseconds. A service that is late is as good as gone; these only bound how long a client waits for
 * its 4xx. A commit may stand behind large flushes, and an answer given up on may still become a delivery: it gets half
 * of what RFC 5321 4.5.3.2.6 lets the client wait. */
#define CONTACT_LIMIT 30000
#define LOOKUP_LIMIT 60000
#define AHEAD_LIMIT 1000
#define SIGN_LIMIT 60000
#define TLS_LIMIT 20000
#define COMMIT_LIMIT 300000
#define CONNECT_LIMIT 70000 /* the connector itself gives up before: connect_timeout is at most 60 seconds */

/* A question that has gone out behind another one, and whose answer nobody has waited for so far. */
static struct {
    int lookup; /* -1: there is none */
    uint32_t serial;
    int64_t until; /* later, the answer is no news */
    char address[2 * ADDRESS_SIZE], sender[2 * ADDRESS_SIZE];
} ahead = {.lookup = -1};

static bool is_answered(uint32_t kind, enum channel_result result) {
    if (result == CHANNEL_BAD)
        log_error("%s could not be asked, or was answered by something else", channel_types[kind].name);
    else if (result != CHANNEL_OK)
        log_warn("%s was not answered: the service is %s", channel_types[kind].name,
                 result == CHANNEL_TIMEOUT ? "too slow" : "gone");
    return result == CHANNEL_OK;
}

static bool ask(int service, uint32_t kind, const void *question, int fd, uint32_t answer_kind, void *answer,
                int64_t limit) {
    if (service == ahead.lookup)
        ahead.lookup = -1; /* whoever waits for this answer drops those to questions before it */
    return is_answered(kind,
                       channel_ask(service, kind, question, fd, answer_kind, answer, NULL, clock_deadline(limit)));
}

/* ---- lookup ---- */

static uint32_t count_targets(struct text list) {
    struct address_target target;
    uint32_t count = 0;
    bool bad = false;

    while (list_next_target(&list, &target, &bad))
        count++;
    return count;
}

static bool has_gone_ahead(int lookup, const struct lookup_address *question) {
    return lookup == ahead.lookup && question->skip == 0 && clock_remaining(ahead.until) > 0 &&
           text_equal(question->address, text_of(ahead.address)) && text_equal(question->sender, text_of(ahead.sender));
}

static void send_ahead(int lookup, const char *address, const char *sender) {
    struct lookup_address question = {.address = text_of(address), .sender = text_of(sender)};

    if (!text_copy(ahead.address, sizeof ahead.address, question.address) ||
        !text_copy(ahead.sender, sizeof ahead.sender, question.sender))
        return;
    ahead.serial = scratch_serial();
    ahead.until = clock_deadline(AHEAD_LIMIT);
    if (scratch_send(lookup, LOOKUP_ADDRESS, ahead.serial, &question, -1, 0) == CHANNEL_OK)
        ahead.lookup = lookup;
}

static bool ask_once(int lookup, const struct lookup_address *question, const struct address_known *known,
                     struct lookup_address_answer *answer) {
    int64_t deadline = clock_deadline(LOOKUP_LIMIT);
    bool gone_ahead = has_gone_ahead(lookup, question);
    uint32_t serial = gone_ahead ? ahead.serial : scratch_serial();
    enum channel_result result =
        gone_ahead ? CHANNEL_OK : scratch_send(lookup, LOOKUP_ADDRESS, serial, question, -1, deadline);

    ahead.lookup = -1;
    if (result == CHANNEL_OK && known->next != NULL && question->skip == 0)
        send_ahead(lookup, known->next, known->next_sender);
    if (result == CHANNEL_OK)
        result = scratch_answer(lookup, serial, LOOKUP_ADDRESS_ANSWER, answer, NULL, deadline);
    return is_answered(LOOKUP_ADDRESS, result);
}

void ask_forget(void) {
    explicit_bzero(&ahead, sizeof ahead);
    ahead.lookup = -1;
}

/* A long list of targets comes in several answers. */
enum address_standing ask_address(int lookup, const char *address, const char *sender, struct address_known *known) {
    struct lookup_address question = {.address = text_of(address), .sender = text_of(sender)};
    struct lookup_address_answer answer = {.more = 0};

    known->canonical[0] = '\0';
    if (known->targets != NULL)
        buffer_clear(known->targets);
    do {
        uint32_t before = question.skip;
        if (!ask_once(lookup, &question, known, &answer) ||
            !text_copy(known->canonical, sizeof known->canonical, answer.canonical))
            return STANDING_TEMPFAIL;
        if (known->targets == NULL)
            break;
        question.skip += count_targets(answer.targets);
        if (!buffer_append_text(known->targets, answer.targets) || (answer.more != 0 && question.skip == before))
            return STANDING_TEMPFAIL;
    } while (answer.more != 0);
    return (enum address_standing)answer.standing;
}

static enum login_outcome ask_lookup(int lookup, uint32_t kind, const void *question, char *account, size_t size) {
    struct lookup_login_answer answer;

    if (!ask(lookup, kind, question, -1, LOOKUP_LOGIN_ANSWER, &answer, LOOKUP_LIMIT))
        return LOGIN_TEMPFAIL;
    if (account != NULL && !text_copy(account, size, answer.account))
        return LOGIN_TEMPFAIL;
    return (enum login_outcome)answer.outcome;
}

enum login_outcome ask_login(int lookup, struct text user, struct text password, char *account, size_t size) {
    struct lookup_login question = {.user = user, .password = password};

    (void)text_copy(account, size, TEXT_NONE);
    return ask_lookup(lookup, LOOKUP_LOGIN, &question, account, size);
}

void ask_scram_begin(int lookup, struct text user, struct lookup_scram_salt *answer) {
    struct lookup_scram_begin question = {.user = user};

    if (!ask(lookup, LOOKUP_SCRAM_BEGIN, &question, -1, LOOKUP_SCRAM_SALT, answer, LOOKUP_LIMIT))
        *answer = (struct lookup_scram_salt){.outcome = LOGIN_TEMPFAIL, .salt = TEXT_NONE};
}

void ask_scram_finish(int lookup, const struct lookup_scram_finish *question, struct lookup_scram_verdict *answer) {
    if (!ask(lookup, LOOKUP_SCRAM_FINISH, question, -1, LOOKUP_SCRAM_VERDICT, answer, LOOKUP_LIMIT))
        *answer =
            (struct lookup_scram_verdict){.outcome = LOGIN_TEMPFAIL, .account = TEXT_NONE, .signature = TEXT_NONE};
}

enum login_outcome ask_may_send(int lookup, const char *account, const char *address) {
    struct lookup_may_send question = {.account = text_of(account), .address = text_of(address)};

    return ask_lookup(lookup, LOOKUP_MAY_SEND, &question, NULL, 0);
}

void ask_rule(int lookup, uint32_t stage, struct text facts, struct lookup_rule_answer *answer) {
    struct lookup_rule question = {.stage = stage, .facts = facts};

    if (!ask(lookup, LOOKUP_RULE, &question, -1, LOOKUP_RULE_ANSWER, answer, LOOKUP_LIMIT))
        *answer = (struct lookup_rule_answer){.outcome = RULE_ANSWER_FAILED,
                                              .enhanced = TEXT_NONE,
                                              .text = TEXT_NONE,
                                              .rule = TEXT("sql"),
                                              .actions = TEXT_NONE};
}

/* ---- ledger ---- */

bool ask_contact_open(int ledger, const struct contact_open *open, struct contact_state *state) {
    return ask(ledger, CONTACT_OPEN, open, -1, CONTACT_STATE, state, CONTACT_LIMIT);
}

enum contact_over ask_contact_count(int ledger, const struct contact_count *count) {
    struct contact_counted answer;

    return ask(ledger, CONTACT_COUNT, count, -1, CONTACT_COUNTED, &answer, CONTACT_LIMIT)
               ? (enum contact_over)answer.over
               : CONTACT_WITHIN;
}

int64_t ask_greylist(int ledger, const struct greylist_ask *question) {
    struct greylist_answer answer;

    return ask(ledger, GREYLIST_TRY, question, -1, GREYLIST_ANSWER, &answer, CONTACT_LIMIT) ? answer.wait : 0;
}

/* When it cannot be told, it is gone, or will see us go. */
void tell_contact_close(int ledger) {
    (void)channel_send(ledger, CONTACT_CLOSE, 0, &(struct empty_message){0}, -1);
}

bool ask_contact_violation(int ledger, const struct contact_violation *violation, struct contact_state *state) {
    return ask(ledger, CONTACT_VIOLATION, violation, -1, CONTACT_STATE, state, CONTACT_LIMIT);
}

bool ask_contact_login(int ledger, int64_t contact_id, const char *account, struct contact_state *state) {
    struct contact_login question = {.contact_id = contact_id, .account = text_of(account)};

    return ask(ledger, CONTACT_LOGIN, &question, -1, CONTACT_STATE, state, CONTACT_LIMIT);
}

bool ask_login_locked(int ledger, const struct login_try *question) {
    struct login_verdict answer;

    return ask(ledger, LOGIN_TRY, question, -1, LOGIN_VERDICT, &answer, CONTACT_LIMIT) && answer.locked != 0;
}

bool tell_recipient_refused(int ledger, const struct recipient_refused *refused) {
    return channel_send(ledger, RECIPIENT_REFUSED, 0, refused, -1) == CHANNEL_OK;
}

int ask_spool_file(int ledger, const char *mail_id, enum commit_outcome *outcome) {
    struct spool_open question = {.mail_id = text_of(mail_id)};
    struct spool_file answer;
    int fd;

    *outcome = COMMIT_FAILED;
    if (channel_ask(ledger, SPOOL_OPEN, &question, -1, SPOOL_FILE, &answer, &fd, clock_deadline(CONTACT_LIMIT)) !=
        CHANNEL_OK) {
        log_warn("SPOOL_OPEN was not answered: the ledger is gone or too slow");
        return -1;
    }
    if (answer.outcome == COMMIT_OK && fd >= 0) {
        *outcome = COMMIT_OK;
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    if (answer.outcome != COMMIT_OK)
        *outcome = (enum commit_outcome)answer.outcome;
    return -1;
}

enum commit_outcome ask_commit(int ledger, const struct mail_commit *commit, int fd) {
    struct mail_committed answer;

    if (!ask(ledger, MAIL_COMMIT, commit, fd, MAIL_COMMITTED, &answer, COMMIT_LIMIT))
        return COMMIT_UNKNOWN;
    return (enum commit_outcome)answer.outcome;
}

/* ---- signer ---- */

bool ask_signature(int signer, const struct sign_mail *mail, int fd, struct buffer *headers) {
    struct sign_answer answer;

    if (!ask(signer, SIGN_MAIL, mail, fd, SIGN_ANSWER, &answer, SIGN_LIMIT))
        return false;
    return answer.outcome != 0 && buffer_append_text(headers, answer.headers);
}

bool ask_tls_signature(int signer, uint32_t key, uint32_t scheme, struct text content, struct buffer *signature) {
    const struct tls_sign question = {.key = key, .scheme = scheme, .content = content};
    struct tls_signature answer;

    if (!ask(signer, TLS_SIGN, &question, -1, TLS_SIGNATURE, &answer, TLS_LIMIT))
        return false;
    return answer.signature.length > 0 && buffer_append_text(signature, answer.signature);
}

/* ---- connector ---- */

int ask_connection(int connector, uint32_t kind, uint32_t index, char *why, size_t size) {
    const struct connect_ask question = {.kind = kind, .index = index};
    struct connect_answer answer;
    int fd = -1;

    (void)text_copy(why, size, TEXT("the connector is gone or too slow"));
    if (connector < 0 || channel_ask(connector, CONNECT_ASK, &question, -1, CONNECT_ANSWER, &answer, &fd,
                                     clock_deadline(CONNECT_LIMIT)) != CHANNEL_OK)
        return -1;
    (void)text_copy(why, size, answer.why);
    if (answer.connected != 0 && fd < 0)
        (void)text_copy(why, size, TEXT("this process has no descriptor left"));
    return fd;
}
