/* SPDX-License-Identifier: MIT
 * Changes without a server: takes the spool's lock, becomes the spool's user, and uses the ledger's own store
 * functions. Called by change.c; a held lock or a spool that cannot be opened ends it with one sentence. */
#include "control/change_offline.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/privilege.h"
#include "control/change.h"
#include "store/contacts.h"
#include "store/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct offline {
    const struct config *config;
    struct spool *spool;
    const char *argument, *detail;
};

/* The lock that the server, parcelpost-queue and this share; -1 after saying why. */
static int take_lock(const struct config *config) {
    int lock = open(config->lock_file_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (lock < 0) {
        control_fail(0, "lock_file_path \"%s\" cannot be opened: %s", config->lock_file_path, strerror(errno));
        return -1;
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        control_fail(0, "the spool is in use: the server runs, or is just starting or stopping (%s)",
                     config->lock_file_path);
        close(lock);
        return -1;
    }
    return lock;
}

/* What root writes here the server could not write later. */
static bool become_spool_user(const struct config *config) {
    struct privilege_user user;
    if (!privilege_is_root()) {
        return true;
    }
    if (!privilege_find(config->user_name, config->group_name, &user)) {
        control_fail(0, "user_name: the system user \"%s\" does not exist", config->user_name);
        return false;
    }
    privilege_drop(&user, NULL);
    return true;
}

static struct spool_options options_of(const struct config *config) {
    return (struct spool_options){
        .queue = config->queue,
        .database = config->database,
        .limits = {.segment_size = (uint64_t)config->journal_segment_size,
                   .maximum_size = (uint64_t)config->queue_maximum_size,
                   .minimum_free = (uint64_t)config->queue_minimum_free},
        .journal_max_message = (uint64_t)config->journal_max_message,
        .queue_lifetime = config->queue_lifetime,
        .local_domains = (const char *const *)config->local_domains.items,
        .local_domain_count = config->local_domains.count,
    };
}

static void take_answer(void *context, void *ticket, enum spool_outcome outcome) {
    (void)context;
    *(enum spool_outcome *)ticket = outcome;
}

static void ignore_news(void *context, const struct spool_news *news) {
    (void)context; /* the queue runner of the next start finds the rows */
    (void)news;
}

/* Ends the batch that was begun with `added`. */
static int finish(struct offline *offline, enum spool_outcome added, enum spool_outcome *answer) {
    const struct spool_events events = {.answer = take_answer, .news = ignore_news};
    if (added == SPOOL_OK) {
        spool_finish(offline->spool, &events);
        added = *answer;
    }
    switch (added) {
    case SPOOL_OK:
        printf("%s: done\n", offline->argument);
        return EXIT_STATUS_OK;
    case SPOOL_NOTHING:
    case SPOOL_INVALID:
        return control_fail(EXIT_STATUS_NO_USER, "%s: no recipient of such a message waits", offline->argument);
    default:
        return control_fail(EXIT_STATUS_TEMPFAIL, "%s: the change could not be written", offline->argument);
    }
}

static int change(struct offline *offline, enum spool_change what) {
    enum spool_outcome answer = SPOOL_FAILED;
    return finish(offline, spool_add_change(offline->spool, offline->argument, what, &answer), &answer);
}

static int hold(struct offline *offline) {
    return change(offline, SPOOL_HOLD);
}

static int release(struct offline *offline) {
    return change(offline, SPOOL_RELEASE);
}

static int remove_mail(struct offline *offline) {
    uint32_t *recipients = NULL;
    size_t count = 0;
    enum spool_outcome answer = SPOOL_FAILED;
    if (!spool_waiting(offline->spool, offline->argument, &recipients, &count)) {
        return control_fail(EXIT_STATUS_ERROR, "%s", database_error(spool_database(offline->spool)));
    }
    struct spool_ending *endings = memory_new(count + 1, sizeof(*endings));
    for (size_t i = 0; i < count; i++) {
        endings[i] = (struct spool_ending){recipients[i], SPOOL_ENDED_REMOVED, 0, TEXT("removed by the operator")};
    }
    const struct spool_attempt attempt = {.mail_id = offline->argument,
                                          .endings = endings,
                                          .count = count,
                                          .route = TEXT_NONE,
                                          .host = TEXT_NONE,
                                          .address = TEXT_NONE,
                                          .tls = TEXT_NONE,
                                          .started_at = time(NULL)};
    int status =
        finish(offline, count == 0 ? SPOOL_NOTHING : spool_add_attempt(offline->spool, &attempt, &answer), &answer);
    free(endings);
    free(recipients);
    return status;
}

static int lock_contact(struct offline *offline) {
    const struct config *config = offline->config;
    struct contacts_state state;
    uint64_t seconds = 0;
    struct contacts_policy policy = {config->prohibited_seconds, config->lockout_maximum, config->history_days,
                                     (unsigned)config->max_failed_msgs_per_period};
    if (text_number(text_of(offline->detail), INT32_MAX, &seconds) && seconds > 0) {
        policy.prohibited_seconds = (int64_t)seconds;
    }
    if (!contacts_lock(spool_database(offline->spool), &policy, text_of(offline->argument), time(NULL), &state)) {
        return control_fail(EXIT_STATUS_ERROR, "%s", database_error(spool_database(offline->spool)));
    }
    printf("%s: locked out\n", offline->argument);
    return EXIT_STATUS_OK;
}

static int forgive_contact(struct offline *offline) {
    bool all = strcmp(offline->argument, "all") == 0;
    int64_t changed = 0;
    struct database *database = spool_database(offline->spool);
    if (!contacts_forgive(database, all ? NULL : offline->argument, time(NULL), &changed)) {
        return control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    }
    if (changed == 0 && !all) {
        return control_fail(EXIT_STATUS_NO_USER, "%s has never connected", offline->argument);
    }
    printf("%s: forgiven\n", offline->argument);
    return EXIT_STATUS_OK;
}

static const struct {
    const char *verb;
    int (*run)(struct offline *offline);
} rows[] = {
    {"queue hold", hold},
    {"queue release", release},
    {"queue remove", remove_mail},
    {"contacts lock", lock_contact},
    {"contacts forgive", forgive_contact},
};

static int run(struct offline *offline, const char *verb) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].verb, verb) == 0) {
            return rows[i].run(offline);
        }
    }
    return control_fail(EXIT_STATUS_TEMPFAIL, "\"%s\" needs the server to run", verb);
}

int change_offline(struct control *control, const char *verb, const char *argument, const char *detail) {
    struct buffer error;
    struct offline offline = {.config = control->config, .argument = argument, .detail = detail};
    const struct spool_options options = options_of(control->config);
    int status = EXIT_STATUS_TEMPFAIL, lock = take_lock(control->config);
    if (lock < 0 || !become_spool_user(control->config)) {
        return status;
    }
    log_start(STDERR_FILENO, "parcelpost", LOG_LEVEL_WARN);
    buffer_init(&error, 16384);
    offline.spool = spool_open(&options, &error);
    if (offline.spool == NULL) {
        status = control_fail(EXIT_STATUS_CANT_CREATE, "%s", buffer_string(&error));
    } else {
        status = run(&offline, verb);
        spool_close(offline.spool);
    }
    buffer_free(&error);
    close(lock);
    return status;
}

int change_rebuild(struct control *control) {
    struct buffer report;
    const struct spool_options options = options_of(control->config);
    int lock = take_lock(control->config);
    if (lock < 0) {
        return control_fail(EXIT_STATUS_TEMPFAIL, "stop the server first: its database is made anew");
    }
    if (!become_spool_user(control->config)) {
        close(lock);
        return EXIT_STATUS_NO_USER;
    }
    log_start(STDERR_FILENO, "parcelpost", LOG_LEVEL_WARN);
    buffer_init(&report, 65536);
    bool good = spool_rebuild(&options, &report);
    fprintf(good ? stdout : stderr, "%s%s", buffer_string(&report),
            report.length > 0 && report.data[report.length - 1] == '\n' ? "" : "\n");
    buffer_free(&report);
    close(lock);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
}
