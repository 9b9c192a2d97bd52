/* SPDX-License-Identifier: MIT
 * The table of what each process keeps: its filter (the lists of calls are in base/sandbox.c), the files and the ports
 * that Landlock leaves it. Behind users, modes and the empty root directory, which hold without it. Called by each
 * process at its start, as the user it runs as; what the kernel refuses ends it.
 *
 * Signals and looking into processes: Landlock lets each of them reach nobody but itself and what it has started. */
#include "config/confinement.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "config/reading.h"
#include "config/value.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAXIMUM 8
#define DNS_PORT 53
#define LMTP_PORT 24

enum place {
    PLACE_NONE,
    PLACE_DATABASE,       /* the file */
    PLACE_DATABASE_LOG,   /* its -wal */
    PLACE_DATABASE_INDEX, /* its -shm: with no right to write to it SQLite reads all the same */
    PLACE_DATABASE_FOLDER,
    PLACE_USERS_FOLDER,  /* of users.db, which may be replaced */
    PLACE_LOGINS_FOLDER, /* of login_database */
    PLACE_SRS_SECRET,
    PLACE_LISTS, /* alias_directories */
    PLACE_SPOOL,
    PLACE_SPOOL_FOLDERS, /* those in it, which may be links to another disk */
    PLACE_MAILBOXES,     /* the folder that all Maildirs lie in */
    PLACE_ACCOUNTS,      /* the names of operators, for operator_changes */
    PLACE_ACCOUNT_SOURCES,
    PLACE_RANDOM, /* where SQLite takes its salts from */
    PLACES
};
enum reach { REACH_NOBODY, REACH_NAME_SERVERS, REACH_MAIL_SERVERS, REACH_OUTSIDE, REACH_ANYBODY };

#define READS(place)                                                                                                   \
    { place, LANDLOCK_READ }
#define WRITES(place)                                                                                                  \
    { place, LANDLOCK_WRITE }
#define FILLS(place)                                                                                                   \
    { place, LANDLOCK_FILL }

static const struct {
    enum sandbox_profile filter;
    enum reach tcp;
    bool any_file, no_filter;
    struct {
        enum place place;
        enum landlock_access access;
    } files[FILES_MAXIMUM];
} table[CONFINEMENTS] = {
    [CONFINED_LEDGER] =
        {
            .filter = SANDBOX_LEDGER,
            .tcp = REACH_NOBODY,
            .files = {WRITES(PLACE_DATABASE_FOLDER), WRITES(PLACE_SPOOL), WRITES(PLACE_SPOOL_FOLDERS),
                      READS(PLACE_ACCOUNTS), READS(PLACE_ACCOUNT_SOURCES), READS(PLACE_RANDOM)},
        },
    [CONFINED_LOOKUP] =
        {
            .filter = SANDBOX_FILES,
            .tcp = REACH_NOBODY,
            .files = {READS(PLACE_DATABASE_FOLDER), READS(PLACE_USERS_FOLDER), WRITES(PLACE_LOGINS_FOLDER),
                      READS(PLACE_SRS_SECRET), READS(PLACE_LISTS), READS(PLACE_RANDOM)},
        },
    [CONFINED_RUNNER] =
        {
            .filter = SANDBOX_FILES,
            .tcp = REACH_NOBODY,
            .files = {READS(PLACE_DATABASE), READS(PLACE_DATABASE_LOG), READS(PLACE_DATABASE_INDEX),
                      READS(PLACE_RANDOM)},
        },
    [CONFINED_FOLDER_AGENT] = {.filter = SANDBOX_FILES, .tcp = REACH_NOBODY, .files = {FILLS(PLACE_MAILBOXES)}},
    [CONFINED_RESOLVER] = {.filter = SANDBOX_NETWORK, .tcp = REACH_NAME_SERVERS},
    [CONFINED_NETWORK_AGENT] = {.filter = SANDBOX_NETWORK, .tcp = REACH_MAIL_SERVERS},
    [CONFINED_CONNECTOR] = {.filter = SANDBOX_CONNECTOR, .tcp = REACH_OUTSIDE},
    [CONFINED_RECEIVER] = {.filter = SANDBOX_RECEIVER, .tcp = REACH_NOBODY},
    [CONFINED_SIGNER] = {.filter = SANDBOX_SIGNER, .tcp = REACH_NOBODY},
    /* It has the listener's filter already. */
    [CONFINED_PROGRAM] = {.no_filter = true, .tcp = REACH_ANYBODY, .any_file = true},
};

struct kept { /* the rules of one process, being made */
    struct landlock_path *paths;
    uint16_t *ports;
    size_t path_count, port_count;
};

/* ---- places ---- */

/* Where a name leads: Landlock asks about that, and SQLite makes its further files there. What is not there yet has the
 * name alone. */
static char *followed(const char *path) {
    char *target = realpath(path, NULL);
    return target != NULL ? target : memory_string(text_of(path));
}

static char *beside(const char *path, const char *suffix) {
    char name[PATH_MAX], *target = followed(path);
    int length = snprintf(name, sizeof name, "%s%s", target, suffix);
    free(target);
    return length > 0 && (size_t)length < sizeof name ? memory_string(text_of(name)) : NULL;
}

static char *folder_of(struct text path) {
    size_t length = path.length;
    while (length > 0 && path.data[length - 1] != '/') {
        length--;
    }
    if (length == 0) {
        return memory_string(path.length > 0 ? TEXT(".") : TEXT_NONE);
    }
    return memory_string(text_first(path, length > 1 ? length - 1 : length));
}

static char *folder_of_file(const char *path) {
    char *target = followed(path), *folder = folder_of(text_of(target));
    free(target);
    return folder;
}

/* What all of a pattern's folders lie in, or, as long as that is not there, the folder in which it can be made. */
static char *folder_of_pattern(const char *pattern) {
    struct text fixed = pattern != NULL ? text_first(text_of(pattern), text_find(text_of(pattern), '%')) : TEXT_NONE;
    char *folder = folder_of(fixed);
    while (folder[0] != '\0' && strcmp(folder, "/") != 0 && strcmp(folder, ".") != 0 && access(folder, F_OK) != 0) {
        char *above = folder_of(text_of(folder));
        free(folder);
        folder = above;
    }
    return folder;
}

/* Owned by the caller; NULL or "" for none. */
static char *path_of(enum place place, const struct config *config, const char *mailboxes) {
    switch (place) {
    case PLACE_DATABASE:
        return beside(config->database, "");
    case PLACE_DATABASE_LOG:
        return beside(config->database, "-wal");
    case PLACE_DATABASE_INDEX:
        return beside(config->database, "-shm");
    case PLACE_DATABASE_FOLDER:
        return folder_of_file(config->database);
    case PLACE_USERS_FOLDER:
        return folder_of_file(config->users_database);
    case PLACE_LOGINS_FOLDER: /* another's, perhaps with a write-ahead log that nobody else has open */
        return text_of(config->login_query).length > 0 && strcmp(config->login_database, config->users_database) != 0
                   ? folder_of_file(config->login_database)
                   : NULL;
    case PLACE_SRS_SECRET:
        return memory_string(text_of(config->srs_secret_file));
    case PLACE_SPOOL:
        return memory_string(text_of(config->queue));
    case PLACE_MAILBOXES:
        return folder_of_pattern(mailboxes);
    case PLACE_ACCOUNTS:
        return memory_string(TEXT("/etc/passwd"));
    case PLACE_ACCOUNT_SOURCES:
        return memory_string(TEXT("/etc/nsswitch.conf"));
    case PLACE_RANDOM:
        return memory_string(TEXT("/dev/urandom"));
    case PLACE_NONE:
    case PLACE_LISTS:
    case PLACE_SPOOL_FOLDERS:
    case PLACES:
        break;
    }
    return NULL;
}

static void keep_path(struct kept *kept, char *path, enum landlock_access access) {
    if (path == NULL || path[0] == '\0') {
        free(path);
        return;
    }
    kept->paths = memory_resize(kept->paths, kept->path_count + 1, sizeof *kept->paths);
    kept->paths[kept->path_count++] = (struct landlock_path){path, access};
}

static void keep_place(struct kept *kept, enum place place, enum landlock_access access, const struct config *config,
                       const char *mailboxes) {
    static const char *const spool_folders[] = {"/journal", "/mail", "/tmp"};
    for (size_t i = 0; place == PLACE_SPOOL_FOLDERS && i < sizeof spool_folders / sizeof *spool_folders; i++) {
        keep_path(kept, beside(config->queue, spool_folders[i]), access);
    }
    for (size_t i = 0; place == PLACE_LISTS && i < config->alias_directories.count; i++) {
        keep_path(kept, memory_string(text_of(config->alias_directories.items[i])), access);
    }
    keep_path(kept, path_of(place, config, mailboxes), access);
}

void complete_alias_directories(struct config *config) {
    struct config_strings *directories = &config->alias_directories;
    if (directories->count == 0) {
        char *file = value_absolute_path(text_of(config->file));
        directories->items = memory_resize(directories->items, 1, sizeof(char *));
        directories->items[directories->count++] = folder_of(text_of(file));
        free(file);
    }
}

/* ---- ports ---- */

static void keep_port(struct kept *kept, unsigned port) {
    kept->ports = memory_resize(kept->ports, kept->port_count + 1, sizeof *kept->ports);
    kept->ports[kept->port_count++] = (uint16_t)port;
}

/* "address:port", "host:port", either without a port; nothing of a path. */
static void keep_endpoint(struct kept *kept, const char *endpoint, unsigned standard) {
    struct network_address address;
    struct text whole = text_of(endpoint);
    uint64_t port = standard;
    bool port_only;
    if (whole.length == 0 || whole.data[0] == '/' || whole.data[0] == '|') {
        return;
    }
    if (network_parse_endpoint(whole, &address, &port_only)) {
        if (address.storage.ss_family == AF_UNIX) {
            return;
        }
        port = network_port(&address);
    } else if (!network_parse_ip(whole, standard, &address) && text_find(whole, ':') < whole.length &&
               !text_number(text_from(whole, text_find(whole, ':') + 1), UINT16_MAX, &port)) {
        return; /* the configuration was checked: nothing leads there */
    }
    keep_port(kept, (unsigned)port);
}

static void keep_name_servers(struct kept *kept, const struct config *config) {
    keep_port(kept, DNS_PORT);
    for (size_t i = 0; i < config->dns_servers.count; i++) {
        keep_endpoint(kept, config->dns_servers.items[i], DNS_PORT);
    }
}

static void keep_mail_servers(struct kept *kept, const struct config *config) {
    unsigned standard = (unsigned)config->remote_smtp_port;
    keep_port(kept, standard);
    keep_endpoint(kept, config->lmtp, LMTP_PORT);
    for (size_t i = 0; i < config->route_count; i++) {
        keep_endpoint(kept, config->routes[i].host, standard);
    }
    for (size_t i = 0; i < config->transport_count; i++) {
        const struct config_transport *block = &config->transports[i];
        bool lmtp = strcmp(block->kind, "lmtp") == 0;
        if ((lmtp || strcmp(block->kind, "smtp") == 0) && block->target != NULL) {
            keep_endpoint(kept, block->target, lmtp ? LMTP_PORT : standard);
        }
    }
}

static void keep_outside(struct kept *kept, const struct config *config) {
    for (int kind = 0; kind < OUTSIDE_KINDS; kind++) {
        uint32_t index = 0;
        struct config_outside found;
        while ((found = config_outside_find(config, (enum outside_kind)kind, index++)).endpoint[0] != '\0') {
            keep_endpoint(kept, found.endpoint, 0);
        }
    }
}

static void keep_reach(struct kept *kept, enum reach reach, const struct config *config) {
    switch (reach) {
    case REACH_NAME_SERVERS:
        keep_name_servers(kept, config);
        break;
    case REACH_MAIL_SERVERS:
        keep_mail_servers(kept, config);
        break;
    case REACH_OUTSIDE:
        keep_outside(kept, config);
        break;
    case REACH_NOBODY:
    case REACH_ANYBODY:
        break;
    }
}

/* ---- entering ---- */

void confinement_limit(enum confinement who, const struct config *config, const char *mailboxes) {
    struct kept kept = {0};
    for (size_t i = 0; i < FILES_MAXIMUM; i++) {
        keep_place(&kept, table[who].files[i].place, table[who].files[i].access, config, mailboxes);
    }
    keep_reach(&kept, table[who].tcp, config);
    const struct landlock_rules rules = {.files = !table[who].any_file,
                                         .paths = kept.paths,
                                         .path_count = kept.path_count,
                                         .ports = table[who].tcp != REACH_ANYBODY,
                                         .connect = kept.ports,
                                         .connect_count = kept.port_count};
    landlock_enter(&rules);
    for (size_t i = 0; i < kept.path_count; i++) {
        free((char *)kept.paths[i].path);
    }
    free(kept.paths);
    free(kept.ports);
}

void confinement_enter(enum confinement who, const struct config *config, const char *mailboxes) {
    confinement_limit(who, config, mailboxes);
    if (!table[who].no_filter) {
        sandbox_enter(table[who].filter);
    }
}

void confinement_prepare(bool receivers) {
    int version = landlock_version();
    for (int who = 0; who < CONFINEMENTS; who++) {
        bool wanted = receivers || table[who].filter == SANDBOX_LEDGER || table[who].filter == SANDBOX_FILES ||
                      table[who].filter == SANDBOX_NETWORK;
        if (wanted && !table[who].no_filter) {
            sandbox_prepare(table[who].filter);
        }
    }
    sandbox_prepare(SANDBOX_LISTENER);
    if (version < LANDLOCK_FILES) {
        log_info("this kernel has no Landlock that is of use: users, modes and filters alone guard files");
    } else if (version < LANDLOCK_SIGNALS) {
        log_info("this kernel has version %d of Landlock: files are guarded by it, signals%s not yet", version,
                 version < LANDLOCK_PORTS ? " and ports" : "");
    }
}
