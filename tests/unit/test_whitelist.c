/* SPDX-License-Identifier: MIT
 * Who may ask whom for what: the rows that matter, and that everything else is refused. */
#include "ipc/messages.h"
#include "ipc/whitelist.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void requests_are_allowed_to_those_who_need_them(void **state) {
    static const struct {
        const char *sentence;
        enum service_kind service;
        enum peer_kind peer;
        uint32_t kind;
        bool allowed;
    } rows[] = {
        {"a receiver commits mail", SERVICE_LEDGER, PEER_RECEIVER, MAIL_COMMIT, true},
        {"a receiver reports a violation", SERVICE_LEDGER, PEER_RECEIVER, CONTACT_VIOLATION, true},
        {"a receiver cannot fetch mail", SERVICE_LEDGER, PEER_RECEIVER, MAIL_FETCH, false},
        {"a receiver cannot record results", SERVICE_LEDGER, PEER_RECEIVER, MAIL_RESULT, false},
        {"a receiver cannot act as the operator", SERVICE_LEDGER, PEER_RECEIVER, CONTROL_REQUEST, false},
        {"a receiver cannot introduce peers", SERVICE_LEDGER, PEER_RECEIVER, HUB_PEER, false},
        {"the nursery introduces receivers", SERVICE_LEDGER, PEER_NURSERY, HUB_PEER, true},
        {"the nursery commits no mail", SERVICE_LEDGER, PEER_NURSERY, MAIL_COMMIT, false},
        {"the nursery checks no password", SERVICE_LOOKUP, PEER_NURSERY, LOOKUP_LOGIN, false},
        {"the nursery has nothing signed", SERVICE_SIGNER, PEER_NURSERY, TLS_SIGN, false},
        {"the nursery has no agents forked", SERVICE_LISTENER, PEER_NURSERY, HUB_AGENT_WANTED, false},
        {"the nursery bears receivers", SERVICE_LISTENER, PEER_NURSERY, HUB_BORN, true},
        {"a receiver bears none", SERVICE_LISTENER, PEER_RECEIVER, HUB_BORN, false},
        {"the runner fetches mail", SERVICE_LEDGER, PEER_RUNNER, MAIL_FETCH, true},
        {"the runner cannot commit mail but as a notice", SERVICE_LEDGER, PEER_RUNNER, MAIL_COMMIT, false},
        {"the operator changes things", SERVICE_LEDGER, PEER_OPERATOR, CONTROL_REQUEST, true},
        {"the operator wakes the runner", SERVICE_RUNNER, PEER_OPERATOR, CONTROL_REQUEST, true},
        {"an agent cannot ask the ledger", SERVICE_LEDGER, PEER_AGENT, MAIL_FETCH, false},
        {"an agent reports to the runner", SERVICE_RUNNER, PEER_AGENT, AGENT_RESULT, true},
        {"an agent cannot announce parcels", SERVICE_RUNNER, PEER_AGENT, PARCELS_NEW, false},
        {"an agent cannot forge mail content", SERVICE_RUNNER, PEER_AGENT, MAIL_CONTENT, false},
        {"the ledger announces parcels", SERVICE_RUNNER, PEER_LEDGER, PARCELS_NEW, true},
        {"a receiver checks a password", SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_LOGIN, true},
        {"an agent cannot check passwords", SERVICE_LOOKUP, PEER_AGENT, LOOKUP_LOGIN, false},
        {"an agent asks DNS", SERVICE_RESOLVER, PEER_AGENT, DNS_ASK, true},
        {"the operator asks DNS", SERVICE_RESOLVER, PEER_OPERATOR, DNS_ASK, true},
        {"an agent cannot have mail signed", SERVICE_SIGNER, PEER_AGENT, SIGN_MAIL, false},
        {"a receiver has handshakes signed", SERVICE_SIGNER, PEER_RECEIVER, TLS_SIGN, true},
        {"an agent has none signed", SERVICE_SIGNER, PEER_AGENT, TLS_SIGN, false},
        {"nobody gives a service keys", SERVICE_SIGNER, PEER_LISTENER, TLS_KEYS_ANSWER, false},
        {"a receiver has outside connections opened", SERVICE_CONNECTOR, PEER_RECEIVER, CONNECT_ASK, true},
        {"the connector asks DNS", SERVICE_RESOLVER, PEER_SERVICE, DNS_ASK, true},
        {"an agent has none opened", SERVICE_CONNECTOR, PEER_AGENT, CONNECT_ASK, false},
        {"a receiver cannot ask for agents", SERVICE_LISTENER, PEER_RECEIVER, HUB_AGENT_WANTED, false},
        {"a receiver cannot lock contacts out", SERVICE_LISTENER, PEER_RECEIVER, HUB_LOCKED, false},
        {"the ledger locks contacts out", SERVICE_LISTENER, PEER_LEDGER, HUB_LOCKED, true},
        {"the runner wants agents", SERVICE_LISTENER, PEER_RUNNER, HUB_AGENT_WANTED, true},
        {"the resolver is ready", SERVICE_LISTENER, PEER_SERVICE, HUB_READY, true},
        {"the signer is told nothing of clients", SERVICE_SIGNER, PEER_LISTENER, HUB_CLIENT, false},
        {"no such kind", SERVICE_LEDGER, PEER_RECEIVER, 0, false},
        {"a kind past the last", SERVICE_LEDGER, PEER_RECEIVER, MESSAGE_KINDS, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (whitelist_allows(rows[i].service, rows[i].peer, rows[i].kind) != rows[i].allowed)
            fail_msg("%s", rows[i].sentence);
}

static void answers_are_never_requests(void **state) {
    static const uint32_t answers[] = {CONTACT_STATE,       SPOOL_FILE,      MAIL_COMMITTED,        CONTROL_ANSWER,
                                       LOOKUP_LOGIN_ANSWER, DNS_ANSWER,      LOOKUP_ADDRESS_ANSWER, SIGN_ANSWER,
                                       CONNECT_ANSWER,      CONTACT_COUNTED, GREYLIST_ANSWER,       TLS_SIGNATURE,
                                       TLS_KEYS_ANSWER};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        for (int service = 0; service < SERVICE_KINDS; service++)
            for (int peer = 0; peer < PEER_KINDS; peer++)
                assert_false(whitelist_allows((enum service_kind)service, (enum peer_kind)peer, answers[i]));
}

static void only_listener_and_nursery_may_introduce_peers(void **state) {
    (void)state;
    for (int service = 0; service < SERVICE_KINDS; service++)
        for (int peer = 0; peer < PEER_KINDS; peer++)
            if (peer != PEER_LISTENER) {
                if (peer != PEER_NURSERY) /* for receivers alone: test_service.c */
                    assert_false(whitelist_allows((enum service_kind)service, (enum peer_kind)peer, HUB_PEER));
                assert_false(whitelist_allows((enum service_kind)service, (enum peer_kind)peer, HUB_LOG));
                assert_false(whitelist_allows((enum service_kind)service, (enum peer_kind)peer, HUB_CLIENT));
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_allowed_to_those_who_need_them),
        cmocka_unit_test(answers_are_never_requests),
        cmocka_unit_test(only_listener_and_nursery_may_introduce_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
