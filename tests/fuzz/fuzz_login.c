/* SPDX-License-Identifier: MIT
 * Fuzz target: what clients say in a login (SCRAM, bearer tokens), names and passwords to be prepared, verifiers as
 * they are stored, answers of policy servers, addresses of a From field. */
#include "fuzz.h"
#include "mail/mailbox_list.h"
#include "mail/saslprep.h"
#include "mail/solicitation.h"
#include "smtp/bearer_message.h"
#include "smtp/policy_action.h"
#include "smtp/scram_message.h"
#include "tls/scram.h"

static void fuzz_start(void) {
}

static void check_scram(struct text input) {
    struct scram_first first;
    struct scram_final final;

    if (scram_parse_first(input, &first)) {
        FUZZ_CHECK(first.gs2_header.length + first.bare.length == input.length && first.nonce.length > 0);
        FUZZ_CHECK(memchr(first.user, '\0', sizeof first.user) != NULL);
    }
    if (scram_parse_final(input, &final))
        FUZZ_CHECK(final.without_proof.length < input.length && final.proof.length <= input.length);
}

static void check_verifier(struct text input) {
    struct scram_verifier verifier, again;
    char stored[SCRAM_TEXT_SIZE];

    if (!scram_parse(input, &verifier))
        return;
    scram_format(&verifier, stored);
    FUZZ_CHECK(scram_parse(text_of(stored), &again) && again.iterations == verifier.iterations);
    FUZZ_CHECK(again.salt_length == verifier.salt_length && memcmp(again.salt, verifier.salt, again.salt_length) == 0);
}

static void check_proof(struct text input) {
    static const struct text salt = {"0123456789abcdef", 16};
    struct scram_verifier verifier;
    unsigned char signature[SCRAM_KEY_SIZE];

    scram_make(text_first(input, 16), salt, 2, &verifier);
    FUZZ_CHECK(!scram_check(&verifier, TEXT("n=user"), text_from(input, 16), signature));
}

static void check_bearer(struct text input) {
    struct bearer bearer;

    if (bearer_parse_oauthbearer(input, &bearer) || bearer_parse_xoauth2(input, &bearer))
        FUZZ_CHECK(bearer.token.length > 0 && text_is_printable(bearer.token) &&
                   text_find(bearer.token, ' ') == bearer.token.length);
}

/* What was prepared once stays as it is. */
static void check_preparation(struct text input) {
    char once[SASLPREP_SIZE], twice[SASLPREP_SIZE];

    if (saslprep(input, once) && saslprep(text_of(once), twice))
        FUZZ_CHECK(strcmp(once, twice) == 0);
}

static void check_policy(struct text input) {
    struct policy_action action;
    struct buffer wire;

    policy_action_parse(input, &action);
    FUZZ_CHECK(action.verdict <= POLICY_WRONG);
    if (action.verdict != POLICY_REPLY)
        return;
    FUZZ_CHECK(action.reply.code >= 400 && action.reply.code < 600);
    buffer_init(&wire, 8 * REPLY_TEXT_SIZE);
    FUZZ_CHECK(reply_format(&action.reply, &wire));
    buffer_free(&wire);
}

static void check_addresses(struct text input) {
    char address[MAILBOX_SIZE];
    struct address author;
    struct text rest = input;
    bool bad = false;

    while (mailbox_list_next(&rest, address, &bad))
        FUZZ_CHECK(rest.length < input.length);
    rest = input;
    bad = false;
    while (mailbox_list_author(&rest, &author, &bad))
        FUZZ_CHECK(rest.length < input.length);
}

static void fuzz_one(struct text input) {
    check_scram(input);
    check_verifier(input);
    check_proof(input);
    check_bearer(input);
    check_preparation(input);
    check_policy(input);
    check_addresses(input);
    (void)solicitation_is_valid(input);
}
