/* SPDX-License-Identifier: MIT
 * Reading and checking the operator's rules, at the start and at SIGHUP. The files are read with the listener's rights;
 * the statements are prepared in a process of their own that becomes lookup's user first: what SQLite would leave in
 * the listener's memory would be in every receiver's, and the listener may not read the database. That process also
 * tries whether the user can read what else lookup must. */
#include "listener/rules.h"
#include "base/file.h"
#include "base/log.h"
#include "store/database.h"
#include "store/login_query.h"
#include "store/sql_rules.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool check_login_query(const struct config *config, struct buffer *error) {
    if (config->login_query[0] == '\0') {
        return true;
    }
    struct login_query *query = login_query_open(config->login_database, config->login_query, error);
    login_query_close(query);
    return query != NULL;
}

/* A file that was put back by root, or that another auth_user had, is readable for root alone: then every recipient
 * would be put off, or forwarded mail fail SPF, until somebody reads the log. */
static bool can_read_users(const struct config *config, const struct privilege_user *user, struct buffer *error) {
    const char *reader = user->known ? config->auth_user : "who starts the server";
    struct database *users = database_open(config->users_database, DATABASE_USERS, DATABASE_READ, error);
    if (users == NULL) {
        buffer_format(error, "; %s must be able to read it", reader);
        return false;
    }
    database_close(users);
    int secret = open(config->srs_secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (secret < 0) {
        buffer_format(error, "srs_secret_file %s cannot be read: %s; %s must be able to", config->srs_secret_file,
                      strerror(errno), reader);
        return false;
    }
    (void)close(secret);
    return true;
}

/* Writes what each file asks, or what is wrong. */
static _Noreturn void run_check(const struct config *config, const struct privilege_user *user, struct sql_rules *rules,
                                int result) {
    struct sql_fact_set named[RULE_FILES];
    struct buffer error;
    const int keep[] = {result, log_descriptor()};
    privilege_close_other_descriptors(keep, sizeof(keep) / sizeof(keep[0]));
    privilege_drop(user, NULL);
    buffer_init(&error, 4096);
    bool good = can_read_users(config, user, &error) && sql_rules_check(rules, config->database, &error) &&
                check_login_query(config, &error);
    for (size_t i = 0; i < RULE_FILES; i++) {
        named[i] = rules->files[i].named;
    }
    (void)(good ? file_write_all(result, named, sizeof(named)) : file_write_all(result, error.data, error.length));
    _exit(good ? EXIT_STATUS_OK : EXIT_STATUS_CONFIG);
}

static bool take_facts(struct sql_rules *rules, const struct buffer *answer) {
    struct sql_fact_set named[RULE_FILES];
    if (answer->length != sizeof(named)) {
        return false;
    }
    memcpy(named, answer->data, sizeof(named));
    for (size_t i = 0; i < RULE_FILES; i++) {
        rules->files[i].named = named[i];
    }
    return true;
}

static bool check(const struct config *config, const struct privilege_user *user, struct sql_rules *rules,
                  struct buffer *error) {
    int ends[2], wait_status = 0;
    struct buffer answer;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        buffer_format(error, "no pipe: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        run_check(config, user, rules, ends[1]);
    }
    close(ends[1]);
    buffer_init(&answer, 4096);
    bool ended = pid > 0 && file_read_into(ends[0], &answer) && waitpid(pid, &wait_status, 0) == pid;
    close(ends[0]);
    bool good = ended && wait_status == 0 && take_facts(rules, &answer);
    if (!good && (!ended || WIFSIGNALED(wait_status) || answer.length == 0)) {
        buffer_format(error, "the rules cannot be checked: %s", ended ? "their check ended" : strerror(errno));
    } else if (!good) {
        buffer_append_text(error, buffer_text(&answer));
    }
    buffer_free(&answer);
    return good;
}

enum exit_status rules_load(const struct config *config, const struct system_users *users, struct sql_rules *rules,
                            struct buffer *error) {
    if (!sql_rules_read(config->rules_directory, rules, error)) {
        return EXIT_STATUS_CONFIG;
    }
    if (!check(config, &users->lookup, rules, error)) {
        sql_rules_free(rules);
        return EXIT_STATUS_CONFIG;
    }
    return EXIT_STATUS_OK;
}
