/* SPDX-License-Identifier: MIT
 * What Landlock leaves each process, by the table in config/confinement.c; and that programs signal nobody but
 * themselves. Skipped, and says so, where the kernel or the build has none. */
#include "base/file.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "config/confinement.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define PATH_SIZE 128
#define LMTP_PORT 24
#define FORBIDDEN EACCES /* as Landlock says it; another errno means that it let the call pass */

static char folder[] = "/tmp/confinement-XXXXXX";
static pid_t parent;

/* ---- a configuration ---- */

static struct config config;
static char database[PATH_SIZE], users[PATH_SIZE], secret[PATH_SIZE], queue[PATH_SIZE], lists[PATH_SIZE],
    logins[PATH_SIZE], mailboxes[PATH_SIZE];
static char nothing[] = "";

static void below(char path[PATH_SIZE], const char *name) {
    assert_true(snprintf(path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE);
}

static void make_file(const char *name) {
    char path[PATH_SIZE];
    below(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state) {
    static const char *const folders[] = {"state", "users",  "queue", "queue/mail", "queue/tmp",
                                          "lists", "logins", "mail",  "mail/box",   "secrets"};
    static const char *const files[] = {"state/main.db",  "state/main.db-wal", "state/main.db-shm", "state/other",
                                        "users/users.db", "secrets/srs",       "queue/mail/one",    "lists/one",
                                        "logins/one",     "secrets/other",     "mail/one",          "stranger"};
    static char *list_folders[] = {lists};
    static char dns[] = "127.0.0.1:5353", route[] = "relay.example:2525", endpoint[] = "[::1]:10023", kind[] = "lmtp",
                target[] = "localhost:2424", query[] = "SELECT", lmtp[] = "127.0.0.1", name[] = "x";
    static char *servers[] = {dns};
    static struct config_route routes[] = {{.host = route}, {.host = nothing}};
    static struct config_policy policies[] = {{.name = name, .endpoint = endpoint}};
    static struct config_transport transports[] = {{.name = name, .kind = kind, .target = target}};
    char path[PATH_SIZE];
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        below(path, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        make_file(files[i]);
    }
    below(database, "state/main.db");
    below(users, "users/users.db");
    below(secret, "secrets/srs");
    below(queue, "queue");
    below(lists, "lists");
    below(logins, "logins/logins.db");
    below(mailboxes, "mail/%d/%u");
    config = (struct config){.database = database,
                             .users_database = users,
                             .srs_secret_file = secret,
                             .queue = queue,
                             .login_database = logins,
                             .login_query = query,
                             .alias_directories = {list_folders, 1},
                             .dns_servers = {servers, 1},
                             .remote_smtp_port = 25,
                             .lmtp = lmtp,
                             .routes = routes,
                             .route_count = COUNT_OF(routes),
                             .transports = transports,
                             .transport_count = COUNT_OF(transports),
                             .policies = policies,
                             .policy_count = COUNT_OF(policies),
                             .oauth_check = nothing};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/rm", "rm", "-r", folder, NULL);
        _exit(EXIT_FAILURE);
    }
    return waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* ---- trying ---- */

struct attempt {
    const char *sentence;
    enum confinement who;
    int (*act)(const struct attempt *attempt); /* 0, or an errno */
    const char *path;
    int port;
    int problem;
};

static int try_open(const struct attempt *attempt, int flags) {
    char path[PATH_SIZE];
    below(path, attempt->path);
    return open(attempt->path[0] == '/' ? attempt->path : path, flags | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
}
static int reading(const struct attempt *attempt) {
    return try_open(attempt, O_RDONLY);
}
static int writing(const struct attempt *attempt) {
    return try_open(attempt, O_RDWR);
}
static int truncating(const struct attempt *attempt) {
    return try_open(attempt, O_WRONLY | O_TRUNC);
}
static int filling(const struct attempt *attempt) {
    return try_open(attempt, O_WRONLY);
}
static int making(const struct attempt *attempt) {
    return try_open(attempt, O_WRONLY | O_CREAT | O_EXCL);
}
static int making_a_folder(const struct attempt *attempt) {
    char path[PATH_SIZE];
    below(path, attempt->path);
    return mkdir(path, 0700) == 0 ? 0 : errno;
}
/* From queue/tmp into queue/mail, or from a folder of mail into it. */
static int moving(const struct attempt *attempt) {
    char from[PATH_SIZE], to[PATH_SIZE];
    below(from, attempt->path);
    below(to, strstr(attempt->path, "tmp") != NULL ? "queue/mail/moved" : "mail/moved");
    int fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && rename(from, to) == 0 && unlink(to) == 0 ? 0 : errno;
}
static int connecting(const struct attempt *attempt) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)attempt->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != EACCES ? 0 : EACCES;
}
static int listening(const struct attempt *attempt) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)attempt->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != EACCES ? 0 : EACCES;
}
static int signalling(const struct attempt *attempt) {
    (void)attempt;
    return kill(parent, 0) == 0 ? 0 : errno;
}
static int signalling_its_child(const struct attempt *attempt) {
    pid_t child = fork();
    (void)attempt;
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    int problem = kill(child, SIGKILL) == 0 ? 0 : errno;
    (void)waitpid(child, NULL, 0);
    return problem;
}

/* In a process of its own, without the filter: it would end the process for some of these. */
static int outcome(const struct attempt *attempt) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        confinement_limit(attempt->who, &config, mailboxes);
        _exit(attempt->act(attempt));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check(const struct attempt *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(outcome(&rows[i]), rows[i].problem);
    }
}

/* ---- tests ---- */

static void a_process_reaches_the_files_it_needs_and_no_others(void **state) {
    static const struct attempt rows[] = {
        {"the ledger writes the database", CONFINED_LEDGER, writing, "state/main.db", 0, 0},
        {"makes files beside it", CONFINED_LEDGER, making, "state/main.db-journal", 0, 0},
        {"shortens its log", CONFINED_LEDGER, truncating, "state/main.db-wal", 0, 0},
        {"writes the spool", CONFINED_LEDGER, writing, "queue/mail/one", 0, 0},
        {"looks through it", CONFINED_LEDGER, reading, "queue/mail", 0, 0},
        {"moves a large message to its place", CONFINED_LEDGER, moving, "queue/tmp/large", 0, 0},
        {"makes the spool's folders", CONFINED_LEDGER, making_a_folder, "queue/journal", 0, 0},
        {"names an operator", CONFINED_LEDGER, reading, "/etc/passwd", 0, 0},
        {"as the machine is told to", CONFINED_LEDGER, reading, "/etc/nsswitch.conf", 0, 0},
        {"takes its salts", CONFINED_LEDGER, reading, "/dev/urandom", 0, 0},
        {"reads no users", CONFINED_LEDGER, reading, "users/users.db", 0, FORBIDDEN},
        {"nor a stranger's file", CONFINED_LEDGER, reading, "stranger", 0, FORBIDDEN},
        {"lookup reads the database", CONFINED_LOOKUP, reading, "state/main.db-shm", 0, 0},
        {"and users", CONFINED_LOOKUP, reading, "users/users.db", 0, 0},
        {"and the secret of forwarded senders", CONFINED_LOOKUP, reading, "secrets/srs", 0, 0},
        {"and lists", CONFINED_LOOKUP, reading, "lists/one", 0, 0},
        {"and may have to write beside the operator's logins", CONFINED_LOOKUP, making, "logins/x-shm", 0, 0},
        {"takes its salts", CONFINED_LOOKUP, reading, "/dev/urandom", 0, 0},
        {"has no other secrets", CONFINED_LOOKUP, reading, "secrets/other", 0, FORBIDDEN},
        {"writes no database", CONFINED_LOOKUP, writing, "state/main.db", 0, FORBIDDEN},
        {"nor users", CONFINED_LOOKUP, writing, "users/users.db", 0, FORBIDDEN},
        {"reads no mail", CONFINED_LOOKUP, reading, "queue/mail/one", 0, FORBIDDEN},
        {"nor other files", CONFINED_LOOKUP, reading, "/etc/passwd", 0, FORBIDDEN},
        {"the runner reads the database", CONFINED_RUNNER, reading, "state/main.db", 0, 0},
        {"and its log", CONFINED_RUNNER, reading, "state/main.db-wal", 0, 0},
        {"and the index of that", CONFINED_RUNNER, reading, "state/main.db-shm", 0, 0},
        {"without writing to it", CONFINED_RUNNER, writing, "state/main.db-shm", 0, FORBIDDEN},
        {"takes its salts", CONFINED_RUNNER, reading, "/dev/urandom", 0, 0},
        {"nor to the database", CONFINED_RUNNER, writing, "state/main.db", 0, FORBIDDEN},
        {"what lies beside is not its own", CONFINED_RUNNER, reading, "state/other", 0, FORBIDDEN},
        {"nor is the spool", CONFINED_RUNNER, reading, "queue/mail/one", 0, FORBIDDEN},
        {"a folder agent fills mailboxes", CONFINED_FOLDER_AGENT, making, "mail/two", 0, 0},
        {"makes them", CONFINED_FOLDER_AGENT, making_a_folder, "mail/example.test", 0, 0},
        {"moves a message into them", CONFINED_FOLDER_AGENT, moving, "mail/box/new", 0, 0},
        {"flushes them", CONFINED_FOLDER_AGENT, reading, "mail/box", 0, 0},
        {"shortens no mail", CONFINED_FOLDER_AGENT, truncating, "mail/one", 0, FORBIDDEN},
        {"writes into one", CONFINED_FOLDER_AGENT, filling, "mail/one", 0, 0},
        {"reads no mail in them", CONFINED_FOLDER_AGENT, reading, "mail/one", 0, FORBIDDEN},
        {"and nothing else", CONFINED_FOLDER_AGENT, reading, "stranger", 0, FORBIDDEN},
        {"a receiver reads nothing", CONFINED_RECEIVER, reading, "stranger", 0, FORBIDDEN},
        {"nor does the signer", CONFINED_SIGNER, reading, "stranger", 0, FORBIDDEN},
        {"nor the resolver", CONFINED_RESOLVER, reading, "/etc/passwd", 0, FORBIDDEN},
        {"nor a connector", CONFINED_CONNECTOR, reading, "stranger", 0, FORBIDDEN},
        {"nor an agent for other servers", CONFINED_NETWORK_AGENT, reading, "stranger", 0, FORBIDDEN},
        {"a program reads what its user may", CONFINED_PROGRAM, writing, "stranger", 0, 0},
    };
    (void)state;
    check(rows, COUNT_OF(rows));
}

static void a_process_connects_to_the_ports_it_needs_and_listens_nowhere(void **state) {
    static const struct attempt rows[] = {
        {"the resolver asks name servers", CONFINED_RESOLVER, connecting, NULL, 53, 0},
        {"also those of the configuration", CONFINED_RESOLVER, connecting, NULL, 5353, 0},
        {"and nobody else", CONFINED_RESOLVER, connecting, NULL, 25, FORBIDDEN},
        {"an agent connects to exchangers", CONFINED_NETWORK_AGENT, connecting, NULL, 25, 0},
        {"to routes", CONFINED_NETWORK_AGENT, connecting, NULL, 2525, 0},
        {"to the LMTP server, at the usual port", CONFINED_NETWORK_AGENT, connecting, NULL, LMTP_PORT, 0},
        {"to those of transport blocks", CONFINED_NETWORK_AGENT, connecting, NULL, 2424, 0},
        {"from an address of its own", CONFINED_NETWORK_AGENT, listening, NULL, 0, 0},
        {"to nobody else", CONFINED_NETWORK_AGENT, connecting, NULL, 6379, FORBIDDEN},
        {"and listens nowhere", CONFINED_NETWORK_AGENT, listening, NULL, 2525, FORBIDDEN},
        {"a connector reaches who is configured", CONFINED_CONNECTOR, connecting, NULL, 10023, 0},
        {"and nobody else", CONFINED_CONNECTOR, connecting, NULL, 25, FORBIDDEN},
        {"a receiver connects to nobody", CONFINED_RECEIVER, connecting, NULL, 25, FORBIDDEN},
        {"nor does the ledger", CONFINED_LEDGER, connecting, NULL, 25, FORBIDDEN},
        {"a program may", CONFINED_PROGRAM, connecting, NULL, 6379, 0},
    };
    (void)state;
    if (landlock_version() < LANDLOCK_PORTS) {
        print_message("skipped: this kernel's Landlock knows no ports\n");
        skip();
    }
    check(rows, COUNT_OF(rows));
}

static void nobody_signals_another_process(void **state) {
    struct attempt attempt = {"", CONFINED_LEDGER, signalling, NULL, 0, EPERM};
    (void)state;
    if (landlock_version() < LANDLOCK_SIGNALS) {
        print_message("skipped: this kernel's Landlock knows no signals\n");
        skip();
    }
    for (int who = 0; who < CONFINEMENTS; who++) {
        print_message("process %d\n", who);
        attempt.who = (enum confinement)who;
        assert_int_equal(outcome(&attempt), EPERM);
    }
    attempt.act = signalling_its_child;
    assert_int_equal(outcome(&attempt), 0); /* as an agent kills a program that takes too long */
}

static void mailboxes_are_made_where_none_are_yet(void **state) {
    static const struct attempt row = {"", CONFINED_FOLDER_AGENT, making_a_folder, "mail/later", 0, 0};
    (void)state;
    below(mailboxes, "mail/later/boxes/%u");
    assert_int_equal(outcome(&row), 0);
    below(mailboxes, "mail/%d/%u");
}

static void without_a_query_the_database_of_logins_is_nobodys(void **state) {
    static const struct attempt row = {"", CONFINED_LOOKUP, making, "logins/y-shm", 0, FORBIDDEN};
    char *query = config.login_query;
    (void)state;
    config.login_query = nothing;
    assert_int_equal(outcome(&row), row.problem);
    config.login_query = query;
}

static void make_link(const char *name, const char *target) {
    char path[PATH_SIZE], where[PATH_SIZE];
    below(path, name);
    below(where, target);
    assert_int_equal(symlink(where, path), 0);
}

/* As an operator moves what grows, or what he keeps elsewhere. */
static void what_is_a_link_is_reached_where_it_leads(void **state) {
    static const struct attempt rows[] = {
        {"the ledger writes the database", CONFINED_LEDGER, writing, "links/main.db", 0, 0},
        {"and makes files beside it, where it lies", CONFINED_LEDGER, making, "far/state/real.db-journal", 0, 0},
        {"and messages where a folder of the spool leads", CONFINED_LEDGER, making, "links/queue/mail/one", 0, 0},
        {"and not what lies beside the links", CONFINED_LEDGER, reading, "links/stranger", 0, FORBIDDEN},
        {"lookup reads users", CONFINED_LOOKUP, reading, "links/users.db", 0, 0},
        {"the runner reads the database", CONFINED_RUNNER, reading, "links/main.db", 0, 0},
        {"and its log, where it lies", CONFINED_RUNNER, reading, "far/state/real.db-wal", 0, 0},
        {"and not what lies beside it", CONFINED_RUNNER, reading, "far/state/other", 0, FORBIDDEN},
    };
    static const char *const folders[] = {"far", "far/state", "far/users", "far/mail", "links", "links/queue"};
    static const char *const files[] = {"far/state/real.db", "far/state/real.db-wal", "far/state/other",
                                        "far/users/users.db", "links/stranger"};
    const struct config former = config;
    char path[PATH_SIZE], linked_database[PATH_SIZE], linked_users[PATH_SIZE], linked_queue[PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        below(path, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        make_file(files[i]);
    }
    make_link("links/main.db", "far/state/real.db");
    make_link("links/users.db", "far/users/users.db");
    make_link("links/queue/mail", "far/mail");
    below(linked_database, "links/main.db");
    below(linked_users, "links/users.db");
    below(linked_queue, "links/queue");
    config.database = linked_database;
    config.users_database = linked_users;
    config.queue = linked_queue;
    check(rows, COUNT_OF(rows));
    config = former;
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_reaches_the_files_it_needs_and_no_others),
        cmocka_unit_test(a_process_connects_to_the_ports_it_needs_and_listens_nowhere),
        cmocka_unit_test(nobody_signals_another_process),
        cmocka_unit_test(mailboxes_are_made_where_none_are_yet),
        cmocka_unit_test(without_a_query_the_database_of_logins_is_nobodys),
        cmocka_unit_test(what_is_a_link_is_reached_where_it_leads),
    };
    parent = getpid();
    if (landlock_version() < LANDLOCK_FILES) {
        print_message("skipped: this kernel, or this build, has no Landlock\n");
        return 0;
    }
    log_start(file_memory("log"), "tester", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
