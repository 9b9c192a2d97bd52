/* SPDX-License-Identifier: MIT
 * What a session's services answer in its world: what the tests' own stand-ins would (tests/unit/session_stage.h), or
 * what the input chooses of all that they may answer. They are our own processes: what they say is always well formed.
 */
#ifndef TESTS_FUZZ_SESSION_SERVICES_H
#define TESTS_FUZZ_SESSION_SERVICES_H
#include "base/file.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "ipc/list.h"
#include "mail/sql_action.h"
#include "mail/sql_rule.h"
#include "session_world.h"

#define NO_ANSWER 0xff /* chosen: the service is late */
#define TARGETS 200u   /* of one address, when it leads to many */
#define VIOLATIONS 100 /* that one contact may have */

enum service { LEDGER, LOOKUP, RESOLVER, SIGNER, CONNECTOR, SERVICES };

static struct {
    int ours[SERVICES], theirs[SERVICES];
    int spool;
    unsigned violations;
} services;

static void services_begin(void) {
    int ends[2];

    services.spool = -1;
    services.violations = 0;
    for (size_t i = 0; i < SERVICES; i++) {
        FUZZ_CHECK(channel_pair(ends));
        services.ours[i] = ends[0];
        services.theirs[i] = ends[1];
    }
}

static void services_end(void) {
    for (size_t i = 0; i < SERVICES; i++) {
        (void)close(services.ours[i]);
        (void)close(services.theirs[i]);
    }
    if (services.spool >= 0)
        (void)close(services.spool);
}

static void answer(enum service service, const struct channel_message *question, uint32_t kind, const void *values,
                   int fd) {
    enum channel_result result = channel_send(services.ours[service], kind, question->serial, values, fd);

    FUZZ_CHECK(result == CHANNEL_OK || result == CHANNEL_GONE);
}

/* ---- ledger ---- */

static void answer_contact(const struct channel_message *question, uint8_t chosen) {
    static const uint32_t verdicts[] = {CONTACT_ADMITTED, CONTACT_WARNED, CONTACT_CLOSED, CONTACT_ADMITTED};
    bool locked = question->kind == CONTACT_VIOLATION && ++services.violations > VIOLATIONS;
    const struct contact_state state = {.contact_id = 7,
                                        .verdict = locked ? CONTACT_WARNED : verdicts[chosen & 3],
                                        .expires_at = 2000000000,
                                        .violations = chosen >> 4,
                                        .known_good = chosen >> 2 & 1,
                                        .allowed = chosen >> 3 & 1,
                                        .connections = chosen >> 4,
                                        .over = (chosen >> 6) % 3};

    answer(LEDGER, question, CONTACT_STATE, &state, -1);
}

/* What was committed has the lengths that it says, and is sealed. */
static void check_commit(const struct mail_commit *commit, int fd) {
    int64_t length = commit->message_length + commit->headers_length + commit->envelope_length;

    if (commit->place == CARGO_INLINE)
        FUZZ_CHECK((int64_t)commit->cargo.length == length);
    else if (commit->place == CARGO_MEMFD)
        FUZZ_CHECK(fd >= 0 && file_is_sealed(fd) && file_size(fd) == length);
    else
        FUZZ_CHECK(services.spool >= 0 && file_size(services.spool) == length);
}

static void answer_ledger(const struct channel_message *question, uint8_t chosen) {
    const struct mail_committed outcome = {chosen % 4};

    switch (question->kind) {
    case CONTACT_OPEN:
    case CONTACT_VIOLATION:
    case CONTACT_LOGIN:
        answer_contact(question, chosen);
        break;
    case CONTACT_COUNT:
        answer(LEDGER, question, CONTACT_COUNTED, &(struct contact_counted){chosen % 3}, -1);
        break;
    case GREYLIST_TRY:
        answer(LEDGER, question, GREYLIST_ANSWER, &(struct greylist_answer){chosen}, -1);
        break;
    case LOGIN_TRY:
        answer(LEDGER, question, LOGIN_VERDICT, &(struct login_verdict){chosen & 1}, -1);
        break;
    case SPOOL_OPEN:
        if (services.spool >= 0)
            (void)close(services.spool);
        services.spool = chosen % 4 == COMMIT_OK ? file_memory("spool") : -1;
        answer(LEDGER, question, SPOOL_FILE, &(struct spool_file){chosen % 4}, services.spool);
        break;
    case MAIL_COMMIT:
        check_commit(&question->values->mail_commit, question->fd);
        answer(LEDGER, question, MAIL_COMMITTED, &outcome, -1);
        break;
    default:
        FUZZ_CHECK(question->kind == RECIPIENT_REFUSED || question->kind == CONTACT_CLOSE);
    }
}

/* ---- lookup ---- */

static enum address_standing standing_of(struct text address) {
    if (!text_ends_nocase(address, TEXT("@example.test")) && text_find(address, '@') < address.length)
        return STANDING_REMOTE;
    return text_starts_nocase(address, TEXT("coco")) || text_starts_nocase(address, TEXT("mike@")) ||
                   text_equal_nocase(address, TEXT("postmaster"))
               ? STANDING_MEMBER
               : STANDING_UNKNOWN;
}

/* 5: it leads to many. They come in two answers. */
static void answer_address(const struct channel_message *question, uint8_t chosen) {
    static const enum address_standing others[] = {STANDING_MEMBER, STANDING_TEMPFAIL, STANDING_UNKNOWN,
                                                   STANDING_RETURN, STANDING_REMOTE};
    const struct lookup_address *asked = &question->values->lookup_address;
    bool many = chosen == 5 || asked->skip > 0;
    enum address_standing standing = many          ? STANDING_MEMBER
                                     : chosen == 0 ? standing_of(asked->address)
                                                   : others[chosen % (sizeof others / sizeof others[0])];
    bool leads = standing == STANDING_MEMBER || standing == STANDING_RETURN;
    struct address_target target = {.delivery = DELIVERY_LOCAL, .target = asked->address, .sender = asked->sender};
    struct lookup_address_answer said = {.standing = standing, .canonical = asked->address, .more = chosen == 5};
    struct buffer targets;
    char number[48];

    buffer_init(&targets, TARGETS_MAXIMUM);
    if (chosen & 8)
        target.delivery = DELIVERY_REMOTE;
    if (chosen & 16)
        target.target = TEXT("else@example.net");
    for (unsigned i = 0; leads && i < (many ? TARGETS / 2 : 1); i++) {
        if (many)
            target.target =
                (struct text){number, (size_t)snprintf(number, sizeof number, "u%u@example.net", i + asked->skip)};
        FUZZ_CHECK(list_add_target(&targets, &target));
    }
    said.targets = buffer_text(&targets);
    answer(LOOKUP, question, LOOKUP_ADDRESS_ANSWER, &said, -1);
    buffer_free(&targets);
}

/* A rule piece is code (0: none of them objects), action, the length of its value, the value, and words: the reply's.
 */
static void answer_rule(const struct channel_message *question, uint8_t chosen) {
    static const uint16_t codes[] = {0, 250, 421, 450, 451, 452, 500, 521, 550, 554};
    struct text piece = next_piece(&world.rules);
    uint32_t code = codes[fuzz_byte(&piece) % (sizeof codes / sizeof codes[0])];
    struct action_item item = {.action = fuzz_byte(&piece) % SQL_ACTIONS, .rule = TEXT("sql:x:1")};
    const struct sql_action_row *action = &sql_actions[item.action];
    struct lookup_rule_answer said = {.outcome = chosen % 3 == 2 ? RULE_ANSWER_FAILED
                                                 : code > 0      ? RULE_ANSWER_REPLY
                                                                 : 0,
                                      .code = code,
                                      .enhanced = code == 0    ? TEXT_NONE
                                                  : code < 400 ? TEXT("2.0.0")
                                                  : code < 500 ? TEXT("4.7.1")
                                                               : TEXT("5.7.1"),
                                      .rule = TEXT("sql:x:1")};
    char words[256];
    struct buffer actions;

    buffer_init(&actions, ACTIONS_MAXIMUM);
    item.value = fuzz_piece(&piece);
    if (item.value.length > 0 && (action->stages & 1u << question->values->lookup_rule.stage) &&
        action->takes(item.value))
        (void)list_add_action(&actions, &item);
    (void)text_printable(words, sizeof words, piece);
    said.text = text_of(words);
    said.actions = buffer_text(&actions);
    answer(LOOKUP, question, LOOKUP_RULE_ANSWER, &said, -1);
    buffer_free(&actions);
}

static void answer_login(const struct channel_message *question, struct text user, uint8_t chosen) {
    bool known = text_starts_nocase(user, TEXT("coco"));
    uint32_t outcome = chosen != 0 ? chosen % 3 : known ? LOGIN_OK : LOGIN_REFUSED;
    const struct text account = known                 ? TEXT("coco@example.test")
                                : outcome == LOGIN_OK ? TEXT("mike@example.test")
                                                      : TEXT_NONE;
    const struct lookup_login_answer said = {.outcome = outcome, .account = account};
    const struct lookup_scram_verdict verdict = {.outcome = outcome,
                                                 .account = account,
                                                 .signature = outcome == LOGIN_OK ? TEXT("signature of the server's")
                                                                                  : TEXT_NONE};
    const struct lookup_scram_salt salt = {
        .outcome = chosen % 3, .iterations = 4096, .salt = TEXT("sixteen byte salt")};

    if (question->kind == LOOKUP_SCRAM_BEGIN)
        answer(LOOKUP, question, LOOKUP_SCRAM_SALT, &salt, -1);
    else if (question->kind == LOOKUP_SCRAM_FINISH)
        answer(LOOKUP, question, LOOKUP_SCRAM_VERDICT, &verdict, -1);
    else
        answer(LOOKUP, question, LOOKUP_LOGIN_ANSWER, &said, -1);
}

static void answer_lookup(const struct channel_message *question, uint8_t chosen) {
    const union channel_values *values = question->values;

    switch (question->kind) {
    case LOOKUP_ADDRESS:
        answer_address(question, chosen);
        break;
    case LOOKUP_LOGIN:
        answer_login(question, values->lookup_login.user, chosen);
        break;
    case LOOKUP_SCRAM_BEGIN:
        answer_login(question, values->lookup_scram_begin.user, chosen);
        break;
    case LOOKUP_SCRAM_FINISH:
        answer_login(question, values->lookup_scram_finish.user, chosen);
        break;
    case LOOKUP_MAY_SEND:
        answer_login(question, values->lookup_may_send.account, chosen);
        break;
    default:
        FUZZ_CHECK(question->kind == LOOKUP_RULE);
        answer_rule(question, chosen);
    }
}

/* ---- the others ---- */

/* Names ending in ".net" and those of reverse look-ups have records of every kind, the others do not exist. */
static struct text dns_value(const struct dns_ask *asked, uint8_t chosen) {
    static const struct text texts[] = {
        {"v=spf1 ip4:192.0.2.1 -all", 25}, {"v=spf1 -all", 11}, {"v=spf1 include:x.net ?all", 25}, {"", 0}};
    static const struct text policies[] = {
        {"v=DMARC1; p=reject", 18}, {"v=DMARC1; p=quarantine; pct=50", 30}, {"v=DMARC1; p=none", 16}, {"", 0}};

    switch (asked->type) {
    case DNS_TYPE_A:
        return chosen & 64 ? TEXT("127.0.0.2") : TEXT("192.0.2.1");
    case DNS_TYPE_AAAA:
        return TEXT("2001:db8::1");
    case DNS_TYPE_MX:
        return chosen & 64 ? TEXT(".") : TEXT("mx.example.net");
    case DNS_TYPE_PTR:
        return TEXT("client.example.net");
    default:
        return (text_starts_nocase(asked->name, TEXT("_dmarc")) ? policies : texts)[chosen & 3];
    }
}

static void answer_dns(const struct channel_message *question, uint8_t chosen) {
    const struct dns_ask *asked = &question->values->dns_ask;
    bool exists = text_ends_nocase(asked->name, TEXT(".net")) || text_ends_nocase(asked->name, TEXT(".arpa"));
    struct dns_answer said = {.status = chosen >= 128 ? (uint32_t)chosen % 6 : exists ? DNS_FOUND : DNS_NO_NAME};
    const struct dns_record record = {.preference = 10, .value = dns_value(asked, chosen)};
    struct buffer records;

    buffer_init(&records, 1024);
    if (said.status == DNS_FOUND)
        FUZZ_CHECK(list_add_record(&records, &record));
    said.records = buffer_text(&records);
    answer(RESOLVER, question, DNS_ANSWER, &said, -1);
    buffer_free(&records);
}

static void answer_signer(const struct channel_message *question, uint8_t chosen) {
    const struct sign_answer said = {.outcome = !(chosen & 1),
                                     .headers = TEXT("DKIM-Signature: v=1; a=rsa-sha256; b=x\r\n")};

    answer(SIGNER, question, SIGN_ANSWER, &said, -1);
}

static void answer_connector(const struct channel_message *question, uint8_t chosen) {
    static const enum speaker_kind speakers[OUTSIDE_KINDS] = {[OUTSIDE_MILTER] = SPEAKER_MILTER,
                                                              [OUTSIDE_POLICY] = SPEAKER_POLICY,
                                                              [OUTSIDE_LOGIN] = SPEAKER_DOVECOT,
                                                              [OUTSIDE_PROGRAM] = SPEAKER_TOKEN};
    int fd = chosen & 1 ? -1 : add_speaker(speakers[question->values->connect_ask.kind]);
    const struct connect_answer said = {.connected = fd >= 0, .why = TEXT("refused")};

    answer(CONNECTOR, question, CONNECT_ANSWER, &said, fd);
    if (fd >= 0)
        (void)close(fd);
}

static const struct {
    enum message_kind kind;
    enum question question;
} kinds[] = {{CONTACT_OPEN, QUESTION_OPEN},
             {CONTACT_VIOLATION, QUESTION_VIOLATION},
             {CONTACT_LOGIN, QUESTION_CONTACT_LOGIN},
             {CONTACT_COUNT, QUESTION_COUNT},
             {GREYLIST_TRY, QUESTION_GREYLIST},
             {LOGIN_TRY, QUESTION_LOCKED},
             {SPOOL_OPEN, QUESTION_SPOOL},
             {MAIL_COMMIT, QUESTION_COMMIT},
             {LOOKUP_ADDRESS, QUESTION_ADDRESS},
             {LOOKUP_LOGIN, QUESTION_PASSWORD},
             {LOOKUP_SCRAM_BEGIN, QUESTION_SCRAM_BEGIN},
             {LOOKUP_SCRAM_FINISH, QUESTION_SCRAM_FINISH},
             {LOOKUP_MAY_SEND, QUESTION_MAY_SEND},
             {LOOKUP_RULE, QUESTION_RULE},
             {DNS_ASK, QUESTION_DNS},
             {SIGN_MAIL, QUESTION_SIGN},
             {CONNECT_ASK, QUESTION_CONNECT}};

static enum question question_of(uint32_t kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].kind == kind)
            return kinds[i].question;
    return QUESTION_OTHER;
}

static void serve_one(enum service service, const struct channel_message *question) {
    static void (*const answers[SERVICES])(const struct channel_message *question,
                                           uint8_t chosen) = {[LEDGER] = answer_ledger,
                                                              [LOOKUP] = answer_lookup,
                                                              [RESOLVER] = answer_dns,
                                                              [SIGNER] = answer_signer,
                                                              [CONNECTOR] = answer_connector};
    uint8_t chosen = choose(question_of(question->kind));

    if (chosen != NO_ANSWER)
        answers[service](question, chosen);
    if (question->fd >= 0)
        (void)close(question->fd);
}

static void serve(void) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    struct channel_message question;
    union channel_values values;

    for (size_t i = 0; i < SERVICES; i++) {
        enum channel_result result;
        while ((result = channel_receive(services.ours[i], 0, storage, &values, &question)) == CHANNEL_OK)
            serve_one((enum service)i, &question);
        FUZZ_CHECK(result == CHANNEL_AGAIN);
    }
}
#endif
