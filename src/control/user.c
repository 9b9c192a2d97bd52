/* SPDX-License-Identifier: MIT
 * `parcelpost user …`: who may log in and get mail. Writes users.db itself (no server needed); as root the file is
 * given to the user that lookup runs as. */
#include "base/privilege.h"
#include "control/change.h"
#include "control/control.h"
#include "control/password.h"
#include "control/table.h"
#include "mail/address.h"
#include "store/users.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* users.db is readable by lookup alone: its owner, with the spool's group for the directory's sake. */
static void give_to_lookup(const struct config *config) {
    struct privilege_user lookup;
    if (!privilege_is_root()) {
        return;
    }
    if (!privilege_find(config->auth_user, config->group_name, &lookup)) {
        control_fail(0, "warning: the system user \"%s\" does not exist yet; the server will not be able to read %s",
                     config->auth_user, config->users_database);
        return;
    }
    if (chown(config->users_database, lookup.uid, lookup.gid) != 0) {
        control_fail(0, "warning: %s cannot be given to %s: %s", config->users_database, config->auth_user,
                     strerror(errno));
    }
}

/* Before the server's first start; as that makes it. */
static void say_how_to_make_directory(const struct config *config) {
    const char *slash = strrchr(config->users_database, '/');
    char directory[PATH_MAX];
    struct privilege_user spool;
    if (slash == NULL ||
        !text_copy(directory, sizeof directory,
                   text_first(text_of(config->users_database), (size_t)(slash - config->users_database))) ||
        directory[0] == '\0' || access(directory, F_OK) == 0 || errno != ENOENT) {
        return;
    }
    if (!privilege_is_root()) {
        fprintf(stderr, "Start the server, which makes it, or: mkdir -p %s\n", directory);
    } else if (privilege_find(config->user_name, config->group_name, &spool)) {
        fprintf(stderr, "Start the server, which makes it, or: install -d -o %s -g %u -m 0750 %s\n", config->user_name,
                (unsigned)spool.gid, directory);
    } else {
        fprintf(stderr, "Start the server, which makes it.\n");
    }
}

static struct database *open_users(struct control *control, enum database_mode mode) {
    struct buffer error;
    buffer_init(&error, 4096);
    mode_t former = umask(0077);
    bool is_new = access(control->config->users_database, F_OK) != 0;
    struct database *users = database_open(control->config->users_database, DATABASE_USERS, mode, &error);
    umask(former);
    if (users == NULL) {
        control_fail(0, "%s", buffer_string(&error));
        say_how_to_make_directory(control->config);
    } else if (is_new) {
        give_to_lookup(control->config);
    }
    buffer_free(&error);
    return users;
}

static int set_password(struct control *control, struct database *users, struct text address, bool from_input) {
    char password[PASSWORD_SIZE], hash[PASSWORD_HASH_SIZE], scram[SCRAM_TEXT_SIZE];
    if (!password_read(from_input, password)) {
        return EXIT_STATUS_ERROR;
    }
    bool hashed = password_prepare(password) && password_hash(password, hash);
    password_scram(password, (uint32_t)control->config->scram_iterations, scram);
    explicit_bzero(password, sizeof(password));
    if (!hashed) {
        return EXIT_STATUS_ERROR;
    }
    if (!users_set(users, address, hash, scram)) {
        return control_fail(EXIT_STATUS_ERROR, "%s", database_error(users));
    }
    return EXIT_STATUS_OK;
}

/* The words after the subcommand: an address and --stdin, in any order. */
static bool take_words(int count, char **arguments, const char **address, bool *from_input) {
    *address = NULL;
    *from_input = false;
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--stdin") == 0) {
            *from_input = true;
        } else if (*address == NULL) {
            *address = arguments[i];
        } else {
            return false;
        }
    }
    return *address != NULL;
}

static int change_password(struct control *control, int count, char **arguments, bool add) {
    const char *word;
    bool from_input;
    struct address address;
    char known[ADDRESS_SIZE * 2];
    if (!take_words(count, arguments, &word, &from_input)) {
        return control_fail(EXIT_STATUS_USAGE,
                            "give one address, and --stdin to read the password from standard input");
    }
    if (address_parse(text_of(word), true, &address) != ADDRESS_OK || address.domain[0] == '\0') {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not an address; a user is local@domain", word);
    }
    struct database *users = open_users(control, DATABASE_WRITE);
    if (users == NULL) {
        return EXIT_STATUS_CANT_CREATE;
    }
    int status = EXIT_STATUS_OK;
    enum users_found found = users_find(users, text_of(word), known, sizeof(known));
    if (found == USERS_ERROR) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(users));
    } else if (add && found == USERS_YES) {
        status = control_fail(EXIT_STATUS_ERROR, "%s is a user already. Try: parcelpost user passwd %s", known, known);
    } else if (!add && found == USERS_NO) {
        status = control_fail(EXIT_STATUS_NO_USER, "%s is no user. Try: parcelpost user add %s", word, word);
    } else {
        status = set_password(control, users, text_of(found == USERS_YES ? known : word), from_input);
    }
    if (status == EXIT_STATUS_OK && add && !config_domain_is_local(control->config, text_of(address.domain))) {
        control_fail(0,
                     "warning: %s is not among local_domains: mail to %s is not taken unless the table domains has it",
                     address.domain, word);
    }
    database_close(users);
    if (status == EXIT_STATUS_OK) {
        change_note(control, add ? "user add" : "user passwd", word);
    }
    return status;
}

int control_user_add(struct control *control, int count, char **arguments) {
    return change_password(control, count, arguments, true);
}

int control_user_passwd(struct control *control, int count, char **arguments) {
    return change_password(control, count, arguments, false);
}

static void add_user_row(void *context, const struct users_row *row) {
    const char *values[] = {row->address, row->updated_at, row->has_scram ? "password, SCRAM" : "password"};
    table_add(context, values);
}

int control_user_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"USER", "PASSWORD SET", "LOGIN BY", NULL};
    (void)count;
    (void)arguments;
    struct database *users = open_users(control, DATABASE_READ);
    if (users == NULL) {
        return EXIT_STATUS_ERROR;
    }
    struct table *table = table_new(titles);
    bool good = users_list(users, add_user_row, table);
    if (good && table_count(table) == 0) {
        puts("There are no users yet. Try: parcelpost user add ADDRESS");
    }
    table_print(table, stdout);
    table_free(table);
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(users));
    database_close(users);
    return status;
}

int control_user_remove(struct control *control, int count, char **arguments) {
    (void)count;
    struct database *users = open_users(control, DATABASE_WRITE);
    if (users == NULL) {
        return EXIT_STATUS_ERROR;
    }
    int status = EXIT_STATUS_OK;
    switch (users_remove(users, text_of(arguments[0]))) {
    case USERS_YES:
        break;
    case USERS_NO:
        status = control_fail(EXIT_STATUS_NO_USER, "%s is no user", arguments[0]);
        break;
    case USERS_ERROR:
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(users));
        break;
    }
    database_close(users);
    if (status == EXIT_STATUS_OK) {
        change_note(control, "user remove", arguments[0]);
    }
    return status;
}
