/* SPDX-License-Identifier: MIT
 * Changes without a server: takes the spool's lock, becomes the spool's user, and uses the ledger's own store
 * functions. Called by change.c; a held lock or a spool that cannot be opened ends it with one sentence. */
#include "control/change_offline.h"
#include "base/log.h"
#include "base/privilege.h"
#include "control/change.h"
#include "store/changes.h"
#include "store/contacts.h"
#include "store/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct offline {
    const struct config *config;
    struct spool *spool;
    const char *argument, *detail;
    uint32_t uid; /* who asked, before we became the spool's user */
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
    (void)ticket;
    (void)context;
    if (outcome != SPOOL_OK && outcome != SPOOL_NOTHING) {
        control_fail(0, "the change could not be written");
    }
}

static void ignore_news(void *context, const struct spool_news *news) {
    (void)context; /* the queue runner of the next start finds the rows */
    (void)news;
}

static int change(struct offline *offline, enum changes_kind kind, const char *words) {
    const struct spool_events events = {.answer = take_answer, .news = ignore_news};
    size_t count = 0;
    enum spool_outcome outcome = changes_add(offline->spool, offline->argument, kind, &count);
    if (outcome == SPOOL_NOTHING || (outcome == SPOOL_OK && count == 0)) {
        return control_fail(EXIT_STATUS_NO_USER, "no waiting parcel of %s", offline->argument);
    }
    if (outcome != SPOOL_OK) {
        return control_fail(EXIT_STATUS_TEMPFAIL, "%s: the change could not be written", offline->argument);
    }
    spool_finish(offline->spool, &events);
    printf("%zu parcel%s %s\n", count, count == 1 ? "" : "s", words);
    return EXIT_STATUS_OK;
}

static int hold(struct offline *offline) {
    return change(offline, CHANGES_HOLD, "held");
}

static int release(struct offline *offline) {
    return change(offline, CHANGES_RELEASE, "released");
}

static int remove_mail(struct offline *offline) {
    return change(offline, CHANGES_REMOVE, "removed");
}

static int retry(struct offline *offline) {
    bool all = strcmp(offline->argument, "all") == 0;
    int64_t changed = 0;
    struct database *database = spool_database(offline->spool);
    if (!changes_retry(database, all ? NULL : offline->argument, time(NULL), &changed)) {
        return control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    }
    if (changed == 0) {
        return control_fail(EXIT_STATUS_NO_USER, "no waiting parcel of %s", offline->argument);
    }
    printf("%lld parcel%s due now; the server, or parcelpost-queue, will try\n", (long long)changed,
           changed == 1 ? " is" : "s are");
    return EXIT_STATUS_OK;
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
    if (!contacts_pardon(database, all ? NULL : offline->argument, time(NULL), &changed)) {
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
    {"queue retry", retry},          {"queue hold", hold},
    {"queue release", release},      {"queue remove", remove_mail},
    {"contacts lock", lock_contact}, {"contacts forgive", forgive_contact},
};

static int run(struct offline *offline, const char *verb) {
    struct database *database = spool_database(offline->spool);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].verb, verb) != 0) {
            continue;
        }
        int status = rows[i].run(offline);
        if (status == EXIT_STATUS_OK && !changes_record(database, offline->uid, verb, offline->argument, time(NULL))) {
            control_fail(0, "warning: the change is not recorded: %s", database_error(database));
        }
        return status;
    }
    return control_fail(EXIT_STATUS_TEMPFAIL, "\"%s\" needs the server to run", verb);
}

int change_offline(struct control *control, const char *verb, const char *argument, const char *detail) {
    struct buffer error;
    struct offline offline = {.config = control->config, .argument = argument, .detail = detail, .uid = getuid()};
    const struct spool_options options = options_of(control->config);
    int status = EXIT_STATUS_TEMPFAIL, lock = take_lock(control->config);
    if (lock < 0 || !become_spool_user(control->config)) {
        return status;
    }
    umask(0027);
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
    umask(0027);
    log_start(STDERR_FILENO, "parcelpost", LOG_LEVEL_WARN);
    buffer_init(&report, 65536);
    bool good = spool_rebuild(&options, &report);
    fprintf(good ? stdout : stderr, "%s%s", buffer_string(&report),
            report.length > 0 && report.data[report.length - 1] == '\n' ? "" : "\n");
    buffer_free(&report);
    close(lock);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
}
