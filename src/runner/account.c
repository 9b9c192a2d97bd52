/* SPDX-License-Identifier: MIT
 * The logins whose mail is in memory, for account_limit and account_rate. Called by the runner's loop; costs nothing
 * for mail without a login. */
#include "base/clock.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <stdlib.h>
#include <string.h>

#define BUCKETS 256
#define MINUTE 60000
#define LOOK_AGAIN 1000 /* a login at its limit; the end of one of its jobs is noticed at once */

static struct account **bucket_of(struct runner *runner, const char *name) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    if (runner->account_buckets == NULL) {
        runner->account_buckets = memory_new(BUCKETS, sizeof(struct account *));
    }
    return &runner->account_buckets[hash % BUCKETS];
}

static struct account *find(struct runner *runner, const char *name) {
    struct account *account = *bucket_of(runner, name);
    while (account != NULL && strcmp(account->name, name) != 0) {
        account = account->next_same_hash;
    }
    return account;
}

size_t account_users(struct runner *runner, const char *name) {
    const struct account *account = find(runner, name);
    return account != NULL ? account->users : 0;
}

struct account *account_use(struct runner *runner, const char *name) {
    size_t length = strlen(name);
    if (length == 0) {
        return NULL;
    }
    struct account *account = find(runner, name);
    if (account == NULL) {
        struct account **bucket = bucket_of(runner, name);
        account = memory_new(1, sizeof *account + length + 1);
        text_copy(account->name, length + 1, text_of(name));
        account->next_same_hash = *bucket;
        *bucket = account;
    }
    account->users++;
    return account;
}

/* A rate outlives the mail by what of it is used up. */
void account_release(struct runner *runner, struct account *account) {
    if (account == NULL || --account->users > 0 || account->next_ms > clock_now_ms()) {
        return;
    }
    struct account **place = bucket_of(runner, account->name);
    while (*place != account) {
        place = &(*place)->next_same_hash;
    }
    *place = account->next_same_hash;
    free(account);
}

bool account_may_start(const struct runner *runner, const struct account *account, int64_t *until) {
    const struct config *config = runner->config;
    int64_t now = clock_now_ms();
    *until = 0;
    if (account != NULL && config->account_limit > 0 && account->jobs >= (size_t)config->account_limit) {
        *until = now + LOOK_AGAIN;
    } else if (account != NULL && config->account_rate > 0 && account->next_ms > now) {
        *until = account->next_ms;
    }
    return *until == 0;
}

void account_job_begins(struct runner *runner, struct account *account) {
    int64_t now = clock_now_ms();
    if (account == NULL) {
        return;
    }
    account->users++;
    account->jobs++;
    if (runner->config->account_rate > 0) {
        account->next_ms = (account->next_ms > now ? account->next_ms : now) + MINUTE / runner->config->account_rate;
    }
}

void account_job_ends(struct runner *runner, struct account *account) {
    if (account == NULL) {
        return;
    }
    account->jobs--;
    account_release(runner, account);
    if (runner->config->account_limit > 0) {
        destination_wake_accounts(runner);
    }
}
