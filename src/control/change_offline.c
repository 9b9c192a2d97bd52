/* SPDX-License-Identifier: MIT
 * Changes without a server: takes the spool's lock, becomes the spool's user, and carries out the same orders as the
 * ledger. Called by change.c; a held lock or a spool that cannot be opened ends it with one sentence. */
#include "control/change_offline.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/privilege.h"
#include "control/change.h"
#include "orders/order.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct change_offline {
    const struct config *config;
    struct spool *spool;
    int lock;
    uint32_t uid; /* who asked, before we became the spool's user */
    int64_t record;
    char *what; /* the last order: verb and argument */
};

/* The lock that the server, parcelpost-queue and this share; -1 after saying why. */
static int take_lock(const struct config *config) {
    int lock = file_open_lock(config->lock_file_path);
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

/* Locked, as the spool's user; -1 after saying why. */
static int enter(const struct config *config, int *status) {
    int lock = take_lock(config);
    *status = EXIT_STATUS_TEMPFAIL;
    if (lock >= 0 && !become_spool_user(config)) {
        *status = EXIT_STATUS_NO_USER;
        close(lock);
        lock = -1;
    }
    umask(0027);
    log_start(STDERR_FILENO, "parcelpost", LOG_LEVEL_WARN);
    return lock;
}

struct change_offline *change_offline_open(const struct config *config, int *status) {
    struct change_offline offline = {.config = config, .uid = getuid(), .lock = enter(config, status)};
    const struct spool_options options = options_of(config);
    struct buffer error;
    if (offline.lock < 0) {
        return NULL;
    }
    buffer_init(&error, 16384);
    offline.spool = spool_open(&options, &error);
    if (offline.spool == NULL) {
        *status = control_fail(EXIT_STATUS_CANT_CREATE, "%s", buffer_string(&error));
        buffer_free(&error);
        close(offline.lock);
        return NULL;
    }
    buffer_free(&error);
    struct change_offline *opened = memory_new(1, sizeof(*opened));
    *opened = offline;
    return opened;
}

struct spool *change_offline_spool(struct change_offline *offline) {
    return offline->spool;
}

void change_offline_close(struct change_offline *offline) {
    if (offline != NULL) {
        spool_close(offline->spool);
        close(offline->lock);
        free(offline->what);
        free(offline);
    }
}

int change_offline_step(struct change_offline *offline, const char *verb, const char *argument, const char *detail,
                        struct buffer *answer, int64_t *affected) {
    const struct spool_events nobody = {.context = NULL}; /* the queue runner of the next start finds the rows */
    const struct config *config = offline->config;
    char what[1024];
    snprintf(what, sizeof(what), "%s %s", verb, argument);
    if (offline->what == NULL || strcmp(offline->what, what) != 0) {
        free(offline->what);
        offline->what = memory_string(text_of(what));
        offline->record = 0;
    }
    struct order order = {.spool = offline->spool,
                          .policy = {config->prohibited_seconds, config->lockout_maximum, config->history_days,
                                     (unsigned)config->max_failed_msgs_per_period},
                          .uid = offline->uid,
                          .verb = verb,
                          .argument = argument,
                          .detail = detail,
                          .answer = answer,
                          .record = &offline->record};
    enum exit_status status = order_run(&order);
    bool written = (order.effects & ORDER_BATCH) == 0 || spool_finish(offline->spool, &nobody);
    status = order_settle(&order, status, written);
    *affected = order.affected;
    return (int)status;
}

int change_rebuild(struct control *control) {
    struct buffer report;
    const struct spool_options options = options_of(control->config);
    int status, lock = enter(control->config, &status);
    if (lock < 0) {
        return control_fail(status, "stop the server first: its database is made anew");
    }
    buffer_init(&report, 65536);
    bool good = spool_rebuild(&options, &report);
    fprintf(good ? stdout : stderr, "%s%s", buffer_string(&report),
            report.length > 0 && report.data[report.length - 1] == '\n' ? "" : "\n");
    buffer_free(&report);
    close(lock);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
}
