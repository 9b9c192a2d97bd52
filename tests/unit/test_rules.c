/* SPDX-License-Identifier: MIT
 * Unit test of receiver/rule: each built-in rule over facts alone, the table of rules, and the judgements of DNS
 * answers that become facts. */
#include "receiver/facts/facts.h"
#include "receiver/facts/listings.h"
#include "receiver/rules/rule.h"
#include "receiver/rules/sql_fact.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static char server_name[] = "mail.example.test", server_title[] = "Example";
static char first_refused[] = "net.example:ADV", second_refused[] = "org.example:ADV";
static char *refused[] = {first_refused, second_refused};
static struct config config = {
    .server_name = server_name,
    .server_title = server_title,
    .standard_mail_port = 25,
    .internal_submit_port = 467,
    .submission_port = 587,
    .recipient_maximum = 2,
    .no_soliciting = {.items = refused, .count = 2},
    .dnsbl_threshold = 3,
    .reverse_required = REVERSE_CONFIRMED_NAME,
};
static const struct address nobody = {.local = ""};
static const struct address coco = {.local = "coco", .domain = "example.test"};
static const struct address stranger = {.local = "a", .domain = "example.net"};
static const struct address dangerous = {.local = "a|b", .domain = "example.test"};

#define FACTS(...)                                                                                                     \
    { __VA_ARGS__ }
static const struct {
    const char *sentence;
    rule_function *judge;
    struct rule_facts facts;
    enum rule_outcome outcome;
    const char *reply;
} rows[] = {
    {"an EHLO domain that is in the DNS", rule_ehlo_domain, FACTS(.ehlo_domain = NAME_EXISTS), RULE_NO_MATCH, ""},
    {"an EHLO domain that nobody asked about", rule_ehlo_domain, FACTS(.ehlo_domain = NAME_NOT_ASKED), RULE_NO_MATCH,
     ""},
    {"an EHLO domain that is not there", rule_ehlo_domain, FACTS(.ehlo_domain = NAME_MISSING), RULE_MATCH,
     "550 5.1.8 EHLO domain \"x.test\" was not found in the DNS system"},
    {"an EHLO domain while DNS fails", rule_ehlo_domain, FACTS(.ehlo_domain = NAME_TEMPFAIL), RULE_TEMPFAIL,
     "450 4.4.3 EHLO domain \"x.test\" could not be looked up in the DNS system"},
    {"a client on no list", rule_listed, FACTS(.client_lists.score = 0), RULE_NO_MATCH, ""},
    {"a client on a block list", rule_listed, FACTS(.client_lists = {.listed_in = "bl.test", .score = 3}), RULE_MATCH,
     "550 5.7.1 192.0.2.1 is listed in bl.test"},
    {"a client on a block list and an allow list", rule_listed,
     FACTS(.client_lists = {.listed_in = "bl.test", .score = 3, .allowed = true}), RULE_NO_MATCH, ""},
    {"a client on a block list in a network of the key allow", rule_listed,
     FACTS(.client_lists = {.listed_in = "bl.test", .score = 3}, .allowed = true), RULE_NO_MATCH, ""},
    {"a client whose lists weigh too little", rule_listed,
     FACTS(.client_lists = {.listed_in = "bl.test xl.test", .score = 2}), RULE_NO_MATCH, ""},
    {"a client whose lists weigh enough, one of which has words", rule_listed,
     FACTS(.client_lists = {.listed_in = "bl.test xl.test", .score = 3, .text = "see https://bl.test/"}), RULE_MATCH,
     "550 5.7.1 192.0.2.1 is listed in bl.test xl.test: see https://bl.test/"},
    {"a sender's domain on a block list", rule_listed, FACTS(.domain_lists = {.listed_in = "dbl.test", .score = 3}),
     RULE_MATCH, "550 5.7.1 your EHLO name or sender is listed in dbl.test"},
    {"a client and a sender that weigh enough together", rule_listed,
     FACTS(.client_lists = {.listed_in = "bl.test", .score = 2}, .domain_lists = {.listed_in = "dbl.test", .score = 1}),
     RULE_MATCH, "550 5.7.1 192.0.2.1 is listed in bl.test"},
    {"a listed sender from a client with a good score", rule_listed,
     FACTS(.client_lists = {.score = -2}, .domain_lists = {.listed_in = "dbl.test", .score = 4}), RULE_NO_MATCH, ""},
    {"a client with a confirmed name", rule_reverse, FACTS(.reverse = REVERSE_CONFIRMED), RULE_NO_MATCH, ""},
    {"a client whose name was not looked up", rule_reverse, FACTS(.reverse = REVERSE_NOT_ASKED), RULE_NO_MATCH, ""},
    {"a client without a name", rule_reverse, FACTS(.reverse = REVERSE_MISSING), RULE_MATCH,
     "550 5.7.25 192.0.2.1 has no name in the DNS system"},
    {"a client without a name that is allowed", rule_reverse, FACTS(.reverse = REVERSE_MISSING, .allowed = true),
     RULE_NO_MATCH, ""},
    {"a client whose name leads elsewhere", rule_reverse, FACTS(.reverse = REVERSE_UNCONFIRMED), RULE_MATCH,
     "550 5.7.25 the name of 192.0.2.1 in the DNS system does not lead back to it"},
    {"a client whose name could not be confirmed", rule_reverse, FACTS(.reverse = REVERSE_UNVERIFIED), RULE_TEMPFAIL,
     "450 4.7.25 the name of 192.0.2.1 could not be looked up in the DNS system"},
    {"a client's name while DNS fails", rule_reverse, FACTS(.reverse = REVERSE_TEMPFAIL), RULE_TEMPFAIL,
     "450 4.7.25 the name of 192.0.2.1 could not be looked up in the DNS system"},
    {"a contact within its message rate", rule_message_rate, FACTS(.message_rate = CONTACT_WITHIN), RULE_NO_MATCH, ""},
    {"a contact over its message rate", rule_message_rate, FACTS(.message_rate = CONTACT_OVER), RULE_TEMPFAIL,
     "450 4.7.1 too many messages from you, try again later"},
    {"a network over its message rate", rule_message_rate, FACTS(.message_rate = CONTACT_NETWORK_OVER), RULE_TEMPFAIL,
     "450 4.7.1 too many messages from your network, try again later"},
    {"a contact over its recipient rate", rule_recipient_rate, FACTS(.recipient_rate = CONTACT_OVER), RULE_TEMPFAIL,
     "450 4.7.1 too many recipients from you, try again later"},
    {"an unknown recipient within the budget", rule_recipient_budget, FACTS(.recipient_standing = STANDING_UNKNOWN),
     RULE_NO_MATCH, ""},
    {"an unknown recipient over the budget", rule_recipient_budget,
     FACTS(.recipient_standing = STANDING_UNKNOWN, .unknown_budget = CONTACT_OVER), RULE_TEMPFAIL,
     "421 4.7.1 mail.example.test too many unknown recipients, try again later"},
    {"a known recipient of one over the budget", rule_recipient_budget,
     FACTS(.recipient_standing = STANDING_MEMBER, .unknown_budget = CONTACT_OVER), RULE_NO_MATCH, ""},
    {"an account within its rates", rule_account_rate, FACTS(.account = "coco@example.test"), RULE_NO_MATCH, ""},
    {"an account over its rates", rule_account_rate, FACTS(.account = "coco@example.test", .account_is_over = true),
     RULE_TEMPFAIL, "450 4.7.1 coco@example.test has sent as much as it may for now, try again later"},
    {"a login that writes in its own name", rule_header_from,
     FACTS(.account = "coco@example.test", .header_from = LOGIN_OK), RULE_NO_MATCH, ""},
    {"a login that writes in another's name", rule_header_from,
     FACTS(.account = "coco@example.test", .header_from = LOGIN_REFUSED, .header_from_shown = "mike@example.test"),
     RULE_MATCH, "550 5.7.1 coco@example.test does not own the address mike@example.test of the From field"},
    {"a login that writes in nobody's name", rule_header_from,
     FACTS(.account = "coco@example.test", .header_from = LOGIN_REFUSED), RULE_MATCH,
     "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"},
    {"a login whose From field cannot be checked", rule_header_from,
     FACTS(.account = "coco@example.test", .header_from = LOGIN_TEMPFAIL), RULE_TEMPFAIL,
     "451 4.3.0 mail.example.test error: the From field could not be checked"},
    {"a recipient that need not wait", rule_greylist, FACTS(.greylist_wait = 0), RULE_NO_MATCH, ""},
    {"a recipient that has to wait", rule_greylist, FACTS(.greylist_wait = 300), RULE_TEMPFAIL,
     "451 4.7.1 Greylisted: try again in 300 seconds"},
    {"a stranger's sender on port 25", rule_member_on_mx, FACTS(.sender_standing = STANDING_REMOTE), RULE_NO_MATCH, ""},
    {"a member's sender on port 25", rule_member_on_mx, FACTS(.sender_standing = STANDING_MEMBER), RULE_MATCH,
     "550 5.7.1 Example members must use port 467 or 587 to send mail"},
    {"a sender on port 25 that cannot be looked up", rule_member_on_mx, FACTS(.sender_standing = STANDING_TEMPFAIL),
     RULE_TEMPFAIL, "451 4.3.0 mail.example.test error: the sender could not be looked up"},
    {"a member's sender on a members' port", rule_stranger_on_submission, FACTS(.sender_standing = STANDING_MEMBER),
     RULE_NO_MATCH, ""},
    {"a stranger's sender on a members' port", rule_stranger_on_submission, FACTS(.sender_standing = STANDING_REMOTE),
     RULE_MATCH, "550 5.7.1 Non Example members must use port 25 to send mail"},
    {"an unknown user of ours on a members' port", rule_stranger_on_submission,
     FACTS(.sender_standing = STANDING_UNKNOWN), RULE_MATCH,
     "550 5.7.1 Non Example members must use port 25 to send mail"},
    {"<> on a members' port", rule_stranger_on_submission, FACTS(.sender = &nobody, .sender_standing = STANDING_REMOTE),
     RULE_NO_MATCH, ""},
    {"submission without TLS and login", rule_authentication, FACTS(.role = ROLE_SUBMISSION, .port = 587), RULE_MATCH,
     "530 5.7.0 Traffic on port 587 must be authenticated (i.e., Example client) Traffic on port 587 must be "
     "encrypted"},
    {"submission within TLS without login", rule_authentication,
     FACTS(.role = ROLE_SUBMISSION, .port = 587, .encrypted = true), RULE_MATCH,
     "530 5.7.0 Traffic on port 587 must be authenticated (i.e., Example client)"},
    {"submission from a trusted network without login", rule_authentication,
     FACTS(.role = ROLE_SUBMISSION, .port = 587, .encrypted = true, .trusted = true), RULE_MATCH,
     "530 5.7.0 Traffic on port 587 must be authenticated (i.e., Example client)"},
    {"submission with login", rule_authentication,
     FACTS(.role = ROLE_SUBMISSION, .port = 587, .encrypted = true, .account = "coco@example.test"), RULE_NO_MATCH, ""},
    {"the internal port from a trusted network", rule_authentication,
     FACTS(.role = ROLE_INTERNAL, .port = 467, .trusted = true), RULE_NO_MATCH, ""},
    {"the internal port from elsewhere, whatever the sender claims", rule_authentication,
     FACTS(.role = ROLE_INTERNAL, .port = 467, .encrypted = true, .sender_standing = STANDING_MEMBER), RULE_MATCH,
     "530 5.7.0 Traffic on port 467 must be authenticated (i.e., Example client)"},
    {"a port where a login is required", rule_login_required, FACTS(.role = ROLE_LMTP, .login_first = true), RULE_MATCH,
     "530 5.7.0 Authentication required"},
    {"a trusted network where a login is required", rule_login_required,
     FACTS(.role = ROLE_INTERNAL, .trusted = true, .login_first = true), RULE_MATCH,
     "530 5.7.0 Authentication required"},
    {"a login where it is required", rule_login_required, FACTS(.login_first = true, .account = "coco@example.test"),
     RULE_NO_MATCH, ""},
    {"no login where it is not required", rule_login_required, FACTS(.role = ROLE_MX), RULE_NO_MATCH, ""},
    {"a login that owns the sender", rule_sender_login, FACTS(.sender_login = LOGIN_OK), RULE_NO_MATCH, ""},
    {"a login that does not own the sender", rule_sender_login,
     FACTS(.sender_login = LOGIN_REFUSED, .account = "mike@example.test"), RULE_MATCH,
     "553 5.7.1 mike@example.test does not own this sender address"},
    {"a login whose addresses cannot be looked up", rule_sender_login, FACTS(.sender_login = LOGIN_TEMPFAIL),
     RULE_TEMPFAIL, "451 4.3.0 mail.example.test error: the sender could not be looked up"},
    {"a local program in a domain of ours", rule_sender_local, FACTS(.sender_standing = STANDING_UNKNOWN),
     RULE_NO_MATCH, ""},
    {"a local program with a stranger's sender", rule_sender_local,
     FACTS(.sender = &stranger, .sender_standing = STANDING_REMOTE), RULE_MATCH,
     "550 5.7.1 local programs send in a domain of this server, not in example.net"},
    {"root with a stranger's sender", rule_sender_local,
     FACTS(.sender = &stranger, .sender_standing = STANDING_REMOTE, .sender_free = true), RULE_NO_MATCH, ""},
    {"a sender's domain that takes mail", rule_sender_domain, FACTS(.sender_domain = DOMAIN_TAKES_MAIL), RULE_NO_MATCH,
     ""},
    {"a sender's domain with a null MX", rule_sender_domain, FACTS(.sender_domain = DOMAIN_NULL_MX), RULE_MATCH,
     "550 5.7.27 the sender's domain example.test takes no mail (null MX)"},
    {"a sender's domain that does not exist", rule_sender_domain, FACTS(.sender_domain = DOMAIN_MISSING), RULE_MATCH,
     "550 5.1.8 the sender's domain example.test has no mail server in the DNS system"},
    {"a sender's domain without MX and address", rule_sender_domain, FACTS(.sender_domain = DOMAIN_NO_SERVER),
     RULE_MATCH, "550 5.1.8 the sender's domain example.test has no mail server in the DNS system"},
    {"a sender's domain while DNS fails", rule_sender_domain, FACTS(.sender_domain = DOMAIN_TEMPFAIL), RULE_TEMPFAIL,
     "451 4.4.3 the sender's domain example.test could not be looked up in the DNS system"},
    {"what nobody advertises", rule_solicitation, FACTS(.solicitation = TEXT("net.example:OTHER")), RULE_NO_MATCH, ""},
    {"what nobody wants to be offered", rule_solicitation, FACTS(.solicitation = TEXT("x.test:A,ORG.example:adv")),
     RULE_MATCH, "550 5.7.1 SOLICIT=org.example:ADV"},
    {"one more recipient below the limit", rule_recipient_limit, FACTS(.recipient_count = 1), RULE_NO_MATCH, ""},
    {"one recipient too many", rule_recipient_limit, FACTS(.recipient_count = 2), RULE_TEMPFAIL,
     "452 4.5.3 Too many recipients: 2 at most"},
    {"a recipient of ours from a stranger", rule_relay, FACTS(.recipient_standing = STANDING_MEMBER), RULE_NO_MATCH,
     ""},
    {"a recipient elsewhere from a stranger", rule_relay, FACTS(.recipient_standing = STANDING_REMOTE), RULE_MATCH,
     "550 5.7.1 This server does not support relaying"},
    {"a recipient elsewhere on port 25 with every claim", rule_relay,
     FACTS(.recipient_standing = STANDING_REMOTE, .account = "coco@example.test", .trusted = true), RULE_MATCH,
     "550 5.7.1 This server does not support relaying"},
    {"a recipient elsewhere from a member", rule_relay,
     FACTS(.role = ROLE_SUBMISSION, .recipient_standing = STANDING_REMOTE, .account = "coco@example.test"),
     RULE_NO_MATCH, ""},
    {"a recipient elsewhere on the internal port without trust", rule_relay,
     FACTS(.role = ROLE_INTERNAL, .recipient_standing = STANDING_REMOTE), RULE_MATCH,
     "550 5.7.1 This server does not support relaying"},
    {"a harmless recipient", rule_recipient_dangerous, FACTS(.recipient_standing = STANDING_MEMBER), RULE_NO_MATCH, ""},
    {"a dangerous recipient", rule_recipient_dangerous,
     FACTS(.recipient = &dangerous, .recipient_standing = STANDING_MEMBER), RULE_MATCH,
     "553 5.1.3 the recipient's local part holds characters that are refused here"},
    {"a known user", rule_recipient_unknown, FACTS(.recipient_standing = STANDING_MEMBER), RULE_NO_MATCH, ""},
    {"an unknown user", rule_recipient_unknown, FACTS(.recipient_standing = STANDING_UNKNOWN), RULE_MATCH,
     "550 5.1.1 <coco@example.test> is no user here"},
    {"a user who cannot be looked up", rule_recipient_unknown, FACTS(.recipient_standing = STANDING_TEMPFAIL),
     RULE_TEMPFAIL, "451 4.3.0 mail.example.test error: the recipient could not be looked up"},
    {"a recipient's domain that takes mail", rule_recipient_domain, FACTS(.recipient_domain = DOMAIN_TAKES_MAIL),
     RULE_NO_MATCH, ""},
    {"a recipient's domain with a null MX", rule_recipient_domain, FACTS(.recipient_domain = DOMAIN_NULL_MX),
     RULE_MATCH, "556 5.1.10 the domain example.test takes no mail (null MX)"},
    {"a recipient's domain without any server", rule_recipient_domain, FACTS(.recipient_domain = DOMAIN_NO_SERVER),
     RULE_MATCH, "550 5.1.2 the domain example.test has no mail server in the DNS system"},
    {"a recipient's domain while DNS fails", rule_recipient_domain, FACTS(.recipient_domain = DOMAIN_TEMPFAIL),
     RULE_TEMPFAIL, "451 4.4.3 the domain example.test could not be looked up in the DNS system"},
};

/* What a row does not say. */
static struct rule_facts complete(struct rule_facts facts) {
    facts.config = &config;
    facts.peer_ip = "192.0.2.1";
    facts.ehlo = "x.test";
    facts.account = facts.account == NULL ? "" : facts.account;
    facts.sender = facts.sender == NULL ? &coco : facts.sender;
    facts.recipient = facts.recipient == NULL ? &coco : facts.recipient;
    return facts;
}

static void each_rule_over_facts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply reply = {.text = ""};
        char line[REPLY_TEXT_SIZE] = "";
        const struct rule_facts facts = complete(rows[i].facts);
        enum rule_outcome outcome = rows[i].judge(&facts, &reply);
        if (outcome != rows[i].outcome)
            fail_msg("%s: outcome %d", rows[i].sentence, outcome);
        if (outcome != RULE_NO_MATCH)
            (void)reply_line(&reply, line, sizeof line);
        if (strcmp(line, rows[i].reply) != 0)
            fail_msg("%s: '%s'", rows[i].sentence, line);
        if (outcome == RULE_TEMPFAIL)
            assert_int_equal(reply.code / 100, 4);
        if (outcome == RULE_MATCH)
            assert_int_equal(reply.code / 100, 5);
    }
}

static bool is_tested(rule_function *judge) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].judge == judge)
            return true;
    return false;
}

static void the_table_is_complete(void **state) {
    (void)state;
    for (size_t i = 0; i < rule_count; i++) {
        assert_non_null(rules[i].name);
        assert_non_null(rules[i].judge);
        assert_int_not_equal(rules[i].roles, 0);
        assert_true(rules[i].stage < RULE_STAGES);
        assert_true(i == 0 || rules[i - 1].stage <= rules[i].stage);
        if (!is_tested(rules[i].judge))
            fail_msg("rule %s has no test", rules[i].name);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(rules[i].name, rules[other].name);
    }
}

static const struct {
    const char *sentence;
    enum dns_status a, aaaa;
    enum name_standing standing;
} name_rows[] = {
    {"an address", DNS_FOUND, DNS_NO_DATA, NAME_EXISTS},
    {"an IPv6 address alone", DNS_NO_DATA, DNS_FOUND, NAME_EXISTS},
    {"a name without any address exists", DNS_NO_DATA, DNS_NO_DATA, NAME_EXISTS},
    {"an address while the other question fails", DNS_FOUND, DNS_TIMEOUT, NAME_EXISTS},
    {"NXDOMAIN", DNS_NO_NAME, DNS_NO_NAME, NAME_MISSING},
    {"NXDOMAIN once is said of the name", DNS_SERVFAIL, DNS_NO_NAME, NAME_MISSING},
    {"SERVFAIL is not NXDOMAIN", DNS_SERVFAIL, DNS_SERVFAIL, NAME_TEMPFAIL},
    {"a timeout is not NXDOMAIN", DNS_TIMEOUT, DNS_TIMEOUT, NAME_TEMPFAIL},
    {"what cannot be asked is not there", DNS_BAD_NAME, DNS_BAD_NAME, NAME_MISSING},
};

static void names_from_dns_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof name_rows / sizeof name_rows[0]; i++)
        if (facts_name_standing(name_rows[i].a, name_rows[i].aaaa) != name_rows[i].standing)
            fail_msg("%s", name_rows[i].sentence);
}

static const struct {
    const char *sentence;
    enum dns_status mx;
    bool null_mx;
    enum dns_status a, aaaa;
    enum domain_standing standing;
} domain_rows[] = {
    {"an MX", DNS_FOUND, false, DNS_NO_DATA, DNS_NO_DATA, DOMAIN_TAKES_MAIL},
    {"a null MX", DNS_FOUND, true, DNS_NO_DATA, DNS_NO_DATA, DOMAIN_NULL_MX},
    {"a null MX goes before an address", DNS_FOUND, true, DNS_FOUND, DNS_NO_DATA, DOMAIN_NULL_MX},
    {"no MX but an address", DNS_NO_DATA, false, DNS_FOUND, DNS_NO_DATA, DOMAIN_TAKES_MAIL},
    {"no MX but an IPv6 address", DNS_NO_DATA, false, DNS_NO_DATA, DNS_FOUND, DOMAIN_TAKES_MAIL},
    {"neither MX nor address", DNS_NO_DATA, false, DNS_NO_DATA, DNS_NO_DATA, DOMAIN_NO_SERVER},
    {"NXDOMAIN", DNS_NO_NAME, false, DNS_NO_NAME, DNS_NO_NAME, DOMAIN_MISSING},
    {"an MX that cannot be looked up, and an address", DNS_SERVFAIL, false, DNS_FOUND, DNS_NO_DATA, DOMAIN_TEMPFAIL},
    {"no MX, and addresses that cannot be looked up", DNS_NO_DATA, false, DNS_TIMEOUT, DNS_NO_DATA, DOMAIN_TEMPFAIL},
    {"everything times out", DNS_TIMEOUT, false, DNS_TIMEOUT, DNS_TIMEOUT, DOMAIN_TEMPFAIL},
};

static void domains_from_dns_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof domain_rows / sizeof domain_rows[0]; i++)
        if (facts_domain_standing(domain_rows[i].mx, domain_rows[i].null_mx, domain_rows[i].a, domain_rows[i].aaaa) !=
            domain_rows[i].standing)
            fail_msg("%s", domain_rows[i].sentence);
}

static char some[] = "127.0.0.[2..4;9]", other[] = "127.0.1.2";
static char *some_answers[] = {some, other};
static const struct {
    const char *sentence;
    bool chosen;
    const char *ip;
    bool counts;
} answer_rows[] = {
    {"every answer of 127.0.0.0/8 lists", false, "127.0.0.2", true},
    {"also another net of it", false, "127.0.1.255", true},
    {"127.255.255.x says that the list was asked wrongly", false, "127.255.255.254", false},
    {"an answer elsewhere is somebody's wildcard", false, "192.0.2.1", false},
    {"the first of a range", true, "127.0.0.2", true},
    {"the last of a range", true, "127.0.0.4", true},
    {"one behind the range", true, "127.0.0.5", false},
    {"a single one beside the range", true, "127.0.0.9", true},
    {"one of another pattern", true, "127.0.1.2", true},
    {"one of none", true, "127.0.1.3", false},
    {"no address", true, "127.0.0.2.1", false},
};

static void list_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof answer_rows / sizeof answer_rows[0]; i++) {
        const struct config_dnsbl list = {.answers = {some_answers, answer_rows[i].chosen ? 2 : 0}};
        if (listings_answer_counts(&list, text_of(answer_rows[i].ip)) != answer_rows[i].counts)
            fail_msg("%s", answer_rows[i].sentence);
    }
}

/* The contact's row is looked up where the rules are, and an address never leaves lookup. */
static void every_fact_of_the_operators_rules_has_one_getter(void **state) {
    (void)state;
    for (size_t i = 0; i < SQL_FACTS; i++) {
        bool looked_up = i == SQL_FACT_ADDRESS || i == SQL_FACT_HITS || i == SQL_FACT_LOCKS ||
                         i == SQL_FACT_VIOLATIONS || i == SQL_FACT_ACCEPTED_AT;
        unsigned getters = (sql_session_facts[i] != NULL) + (sql_mail_facts[i] != NULL);
        if (getters != (looked_up ? 0 : 1))
            fail_msg(":%s has %u getters", sql_facts[i].name, getters);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fact_of_the_operators_rules_has_one_getter),
        cmocka_unit_test(each_rule_over_facts),
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(names_from_dns_answers),
        cmocka_unit_test(domains_from_dns_answers),
        cmocka_unit_test(list_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
