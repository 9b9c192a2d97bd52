/* SPDX-License-Identifier: MIT
 * Fuzz target: what comes over the control socket: verbs with their arguments and details, carried out by the ledger's
 * own code on a spool with a waiting message, which may be without room for a write. Each is answered with a sentence.
 */
#include "fuzz_directory.h"
#include "orders/order.h"
#include "store/destinations.h"
#include "store/hold_rules.h"
#include <signal.h>
#include <sys/resource.h>

#define ID "AAAAAA-BBBBBB-CC"
#define ORDERS_MAXIMUM 512 /* then the spool is made anew */

static struct spool *spool;
static unsigned orders;
static bool without_room;
static char queue[96], database[96];
static const char *const domains[] = {"example.test"};

static int no_flush(int fd) {
    (void)fd;
    return 0;
}

static void take_answer(void *context, void *ticket, enum spool_outcome outcome) {
    (void)context;
    (void)ticket;
    FUZZ_CHECK(without_room || outcome == SPOOL_OK || outcome == SPOOL_NOTHING);
}

static void ignore_news(void *context, const struct spool_news *news) {
    (void)context;
    FUZZ_CHECK(news->envelope->recipient_count > 0);
}

static const struct spool_events events = {.answer = take_answer, .news = ignore_news};

static void add_message(void) {
    struct envelope envelope;
    struct buffer bytes;
    struct spool_cargo cargo = {.lengths = {.message = 13}, .fd = -1};

    envelope_init(&envelope);
    (void)text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT(ID));
    envelope.received_at = 1800000000;
    envelope_set(&envelope.role, TEXT("mx"));
    envelope_set(&envelope.from_url, TEXT("sender@remote.test"));
    (void)envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
    (void)envelope_add(&envelope, TEXT("mike@remote.test"), TEXT("mike@remote.test"), DELIVERY_REMOTE);
    buffer_init(&bytes, ENVELOPE_TEXT_MAXIMUM);
    FUZZ_CHECK(buffer_append_string(&bytes, "Subject: x\r\n\n") && envelope_format(&envelope, &bytes));
    cargo.lengths.envelope = bytes.length - 13;
    cargo.bytes = buffer_text(&bytes);
    FUZZ_CHECK(spool_add_mail(spool, &cargo, spool) == SPOOL_OK);
    spool_finish(spool, &events);
    buffer_free(&bytes);
    envelope_free(&envelope);
}

/* remote.test has shown TLS, and rests. */
static void add_attempt(void) {
    const struct spool_ending ending = {
        .recipient = 1, .result = SPOOL_DEFERRED, .retry_at = 1900000000, .reply = TEXT("451 4.4.1 later")};
    const struct spool_attempt attempt = {
        .mail_id = ID,
        .endings = &ending,
        .count = 1,
        .route = TEXT("smtp"),
        .host = TEXT("mx.remote.test"),
        .address = TEXT("192.0.2.1"),
        .tls = TEXT("TLSv1.3"),
        .started_at = 1800000000,
        .tried = true,
        .destination = {.answered = true, .name = TEXT("remote.test"), .tls = DESTINATIONS_TLS_OFFERED}};

    FUZZ_CHECK(spool_add_attempt(spool, &attempt, spool) == SPOOL_OK);
    spool_finish(spool, &events);
}

static void limit_files(rlim_t bytes) {
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails instead; libFuzzer, which starts later than we, would end */
    FUZZ_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* Which of the rules that there are now catches what. */
static void try_rules(void) {
    struct envelope envelope;

    envelope_init(&envelope);
    envelope_set(&envelope.remote_ip, TEXT("192.0.2.1"));
    envelope_set(&envelope.account, TEXT("coco"));
    (void)envelope_add(&envelope, TEXT("a@b.test"), TEXT("c@remote.test"), DELIVERY_REMOTE);
    for (unsigned i = 0; i < 2; i++) {
        const struct hold_rule *rule = hold_rules_find(spool_hold_rules(spool), &envelope, 0);
        if (rule != NULL)
            free(hold_rule_words(rule));
        envelope_set(&envelope.from_url, TEXT("x@sender.test"));
    }
    envelope_free(&envelope);
}

static void open_spool(void) {
    const struct spool_options options = {.queue = queue,
                                          .database = database,
                                          .limits = {.segment_size = 256u * 1024},
                                          .journal_max_message = 64u * 1024,
                                          .queue_lifetime = 86400,
                                          .local_domains = domains,
                                          .local_domain_count = 1};
    struct buffer error;

    fuzz_remove_tree(fuzz_directory);
    FUZZ_CHECK(mkdir(fuzz_directory, 0700) == 0);
    buffer_init(&error, 1024);
    spool = spool_open(&options, &error);
    FUZZ_CHECK(spool != NULL);
    buffer_free(&error);
    add_message();
    add_attempt();
}

static void close_spool(void) {
    spool_close(spool);
}

static void fuzz_start(void) {
    journal_flush = no_flush;
    fuzz_make_directory();
    (void)snprintf(queue, sizeof queue, "%s/queue", fuzz_directory);
    (void)snprintf(database, sizeof database, "%s/parcelpost.db", fuzz_directory);
    open_spool();
    (void)atexit(close_spool);
}

/* So that there is one to be removed. */
static void add_rule_first(struct order order) {
    order.verb = "hold-rule add";
    (void)order_run(&order);
    buffer_clear(order.answer);
}

static void fuzz_one(struct text input) {
    static const char *const verbs[] = {
        "queue retry",
        "queue hold",
        "queue release",
        "queue bounce",
        "queue remove",
        "hold-rule add",
        "hold-rule remove",
        "contacts lock",
        "contacts forgive",
        "tls forgive",
        "alias add",
        "alias remove",
        "vacation set",
        "vacation off",
        "user add",
        "ping",
        "",
    };
    uint8_t flags = fuzz_byte(&input), room = fuzz_byte(&input);
    struct buffer answer;
    int64_t record = 0;

    if (without_room || room > 127 || ++orders % ORDERS_MAXIMUM == 0) {
        without_room = false;
        close_spool();
        open_spool();
    }
    without_room = room > 127;
    char *argument = fuzz_string(&input), *detail = memory_string(text_first(input, text_find(input, '\0')));
    size_t verb = flags % (sizeof verbs / sizeof verbs[0]);
    buffer_init(&answer, 8192);
    struct order order = {.spool = spool,
                          .policy = {.prohibited_seconds = 60, .lockout_maximum = 600, .history_days = 7, .maximum = 3},
                          .resident = flags < 128,
                          .verb = verbs[verb][0] != '\0' ? verbs[verb] : argument,
                          .argument = argument,
                          .detail = detail,
                          .answer = &answer,
                          .record = &record};
    limit_files(without_room ? 1u << room % 32 : RLIM_INFINITY);
    if (strcmp(order.verb, "hold-rule remove") == 0 && room % 2 == 1)
        add_rule_first(order);
    enum exit_status status = order_run(&order);
    FUZZ_CHECK(answer.length > 0 || strlen(argument) > 4000);
    FUZZ_CHECK(status != EXIT_STATUS_OK || order.affected >= 0);
    if ((order.effects & ORDER_BATCH) != 0)
        spool_finish(spool, &events);
    status = order_settle(&order, status, !without_room);
    FUZZ_CHECK(status != EXIT_STATUS_OK || !without_room || order.affected == 0);
    limit_files(RLIM_INFINITY);
    try_rules();
    buffer_free(&answer);
    free(argument);
    free(detail);
}
