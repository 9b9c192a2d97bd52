/* SPDX-License-Identifier: MIT
 * Fuzz target: what a service that somebody has taken over answers a receiver or an agent: bytes in the place of every
 * answer, with descriptors or without, for an earlier question or a later one. Each question has an outcome that there
 * is, and no descriptor is left over. */
#include "fuzz.h"
#include "ipc/ask.h"
#include "ipc/scratch.h"
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_MAXIMUM 8
#define QUESTIONS 2
#define SPARE 16 /* descriptors: one that is left over is left over by the next inputs, too */

static int null;

static void fuzz_start(void) {
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    FUZZ_CHECK(null >= 0);
}

static void put_u32(unsigned char *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static void send_bytes(int fd, const unsigned char *bytes, size_t length, bool with_descriptor) {
    struct iovec part = {(void *)(uintptr_t)bytes, length};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (with_descriptor) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof null)};
        memcpy(CMSG_DATA(&control.head), &null, sizeof null);
    }
    FUZZ_CHECK(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length);
}

/* Answers as they will be read, one behind the other: of the right kind and serial but where a flag says otherwise. */
static void send_answers(int fd, uint32_t kind, struct text *input) {
    static unsigned char bytes[20000];
    uint32_t serial = scratch_serial();

    for (unsigned i = 0; i < ANSWERS_MAXIMUM && input->length > 0; i++) {
        uint8_t flags = fuzz_byte(input);
        struct text rest = fuzz_piece(input);
        memset(bytes, 0, sizeof bytes);
        put_u32(bytes, flags & 1 ? flags : kind);
        put_u32(bytes + 4, flags & 2 ? serial - 1 : ++serial);
        memcpy(bytes + 8, rest.data, rest.length);
        send_bytes(fd, bytes, flags & 8 ? sizeof bytes : 8 + rest.length, flags & 4);
    }
    (void)shutdown(fd, SHUT_WR);
}

static void ask_names(int service) {
    struct dns_question questions[QUESTIONS] = {{.type = 0}};
    struct dns_record record;

    for (size_t i = 0; i < QUESTIONS; i++)
        (void)dns_question_ask(service, &questions[i], "a.test", DNS_TYPE_MX);
    dns_question_collect(service, questions, QUESTIONS);
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct text rest = questions[i].answer.records;
        FUZZ_CHECK(questions[i].done);
        while (dns_question_next(&rest, &record))
            FUZZ_CHECK(record.value.length <= questions[i].records.length);
        dns_question_free(&questions[i]);
    }
    (void)dns_resolver_is_gone(service);
    (void)dns_lookup(service, "", DNS_TYPE_A, &questions[0]);
    FUZZ_CHECK(questions[0].answer.status == DNS_BAD_NAME);
    dns_question_free(&questions[0]);
}

static void ask_for_descriptor(int service, bool connection) {
    enum commit_outcome outcome;
    char why[64];
    int fd = connection ? ask_connection(service, 0, 0, why, sizeof why)
                        : ask_spool_file(service, "AAAAAA-BBBBBB-CC", &outcome);

    if (fd >= 0)
        (void)close(fd);
    FUZZ_CHECK(connection || (outcome == COMMIT_OK) == (fd >= 0));
}

static void ask_lookup_for(int service, unsigned question) {
    struct address_known known = {.targets = NULL};
    struct lookup_scram_salt salt;
    struct lookup_scram_verdict verdict;
    const struct lookup_scram_finish proof = {TEXT("a"), TEXT("b"), TEXT("c")};
    struct lookup_rule_answer rule;
    struct buffer targets;
    char account[64];

    buffer_init(&targets, 1u << 20);
    switch (question) {
    case 0:
        known.targets = &targets;
        FUZZ_CHECK(ask_address(service, "a@b.test", "", &known) <= STANDING_TEMPFAIL);
        break;
    case 1:
        (void)ask_login(service, TEXT("user"), TEXT("password"), account, sizeof account);
        FUZZ_CHECK(memchr(account, '\0', sizeof account) != NULL);
        break;
    case 2:
        ask_scram_begin(service, TEXT("user"), &salt);
        break;
    case 3:
        ask_scram_finish(service, &proof, &verdict);
        break;
    case 4:
        (void)ask_may_send(service, "a", "a@b.test");
        break;
    default:
        ask_rule(service, 0, TEXT_NONE, &rule);
    }
    buffer_free(&targets);
}

static void ask_others(int service, unsigned question) {
    const struct contact_open opening = {.contact = TEXT("192.0.2.1"), .network = TEXT("192.0.2.0/24")};
    const struct contact_count count = {.contact = TEXT("192.0.2.1"), .network = TEXT("192.0.2.0/24")};
    const struct greylist_ask greylist = {TEXT("192.0.2.0/24"), TEXT("a@b.test"), TEXT("c@d.test")};
    const struct contact_violation violation = {.contact = TEXT("192.0.2.1"),
                                                .verb = TEXT("RCPT"),
                                                .rule = TEXT("x"),
                                                .reply = TEXT("550"),
                                                .account = TEXT_NONE,
                                                .mail_id = TEXT_NONE};
    const struct login_try login = {.account = TEXT("a"), .contact = TEXT("192.0.2.1")};
    const struct mail_commit commit = {.cargo = TEXT("x")};
    const struct sign_mail mail = {.domain = TEXT("d.test"), .cargo = TEXT("x")};
    const struct recipient_refused refused = {.contact_id = 1};
    struct contact_state state;
    struct buffer headers;

    buffer_init(&headers, 64);
    tell_contact_close(service);
    (void)tell_recipient_refused(service, &refused);
    switch (question) {
    case 0:
        (void)ask_contact_open(service, &opening, &state);
        break;
    case 1:
        (void)ask_contact_count(service, &count);
        break;
    case 2:
        (void)ask_greylist(service, &greylist);
        break;
    case 3:
        (void)ask_contact_violation(service, &violation, &state);
        break;
    case 4:
        (void)ask_contact_login(service, 1, "a", &state);
        break;
    case 5:
        (void)ask_login_locked(service, &login);
        break;
    case 6:
        (void)ask_commit(service, &commit, -1);
        break;
    case 7:
        (void)ask_signature(service, &mail, -1, &headers);
        FUZZ_CHECK(headers.length <= 64);
        break;
    default:
        FUZZ_CHECK(!ask_tls_signature(service, 0, 0x0804, TEXT("x"), &headers) || headers.length > 0);
    }
    buffer_free(&headers);
}

static void fuzz_one(struct text input) {
    static const uint32_t kinds[] = {
        DNS_ANSWER,        SPOOL_FILE,           CONNECT_ANSWER,      LOOKUP_ADDRESS_ANSWER, LOOKUP_LOGIN_ANSWER,
        LOOKUP_SCRAM_SALT, LOOKUP_SCRAM_VERDICT, LOOKUP_LOGIN_ANSWER, LOOKUP_RULE_ANSWER,    CONTACT_STATE,
        CONTACT_COUNTED,   GREYLIST_ANSWER,      CONTACT_STATE,       CONTACT_STATE,         LOGIN_VERDICT,
        MAIL_COMMITTED,    SIGN_ANSWER,          TLS_SIGNATURE,
    };
    unsigned question = fuzz_byte(&input) % (sizeof kinds / sizeof kinds[0]);
    int ends[2];

    FUZZ_CHECK(channel_pair(ends));
    send_answers(ends[1], kinds[question], &input);
    if (question == 0)
        ask_names(ends[0]);
    else if (question < 3)
        ask_for_descriptor(ends[0], question == 2);
    else if (question < 9)
        ask_lookup_for(ends[0], question - 3);
    else
        ask_others(ends[0], question - 9);
    (void)close(ends[0]);
    (void)close(ends[1]);
    int next = dup(null); /* the lowest that is free: libFuzzer's own thread has one open now and then */
    FUZZ_CHECK(next < null + SPARE);
    (void)close(next);
}
