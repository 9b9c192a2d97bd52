/* SPDX-License-Identifier: MIT
 * lookup: its answers as functions, and the whole process, asked over a channel; as root it runs as another user, who
 * may only read the ledger's database. */
#include "base/log.h"
#include "config/config.h"
#include "ipc/ask.h"
#include "lookup/alias.h"
#include "lookup/answers.h"
#include "lookup/login.h"
#include "lookup/lookup.h"
#include "lookup/password.h"
#include "store/statements.h"
#include "store/users.h"
#include <crypt.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "open_database.h"
#include "service_child.h"

#define CHEAP "$5$rounds=1000$abcdefgh$"

struct fixture {
    char directory[32], main_path[64], users_path[64];
    struct database *main, *users;
    struct lookup lookup;
    struct config config;
};

static void add_user(struct fixture *f, const char *address, const char *password, const char *setting) {
    struct crypt_data data = {0};
    const char *hash = crypt_r(password, setting, &data);
    assert_non_null(hash);
    assert_true(users_set(f->users, text_of(address), hash, NULL));
}

static void open_users(struct fixture *f) {
    f->users = open_or_fail(f->users_path, DATABASE_USERS, DATABASE_WRITE);
    assert_int_equal(chmod(f->users_path, 0644), 0);
    add_user(f, "coco@example.test", "my-password", CHEAP);
    add_user(f, "mike@example.test", "other", "$6$rounds=1000$abcdefgh$");
    add_user(f, "mike@second.test", "second", CHEAP);
    add_user(f, "coco@elsewhere.test", "foreign", CHEAP);
    add_user(f, "bcrypt@example.test", "blow", "$2b$04$abcdefghijklmnopqrstuu");
    add_user(f, "yescrypt@example.test", "yes", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$");
    assert_true(users_set(f->users, TEXT("md5@example.test"), "$1$abcdefgh$xxxxxxxxxxxxxxxxxxxxxx", NULL));
    assert_true(users_set(f->users, TEXT("empty@example.test"), "", NULL));
    assert_true(users_set(f->users, TEXT("cut@example.test"), "$6$", NULL));
}

static int set_up(void **state) {
    static struct fixture f;
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_lookup.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    assert_int_equal(chmod(f.directory, 0755), 0);
    (void)snprintf(f.main_path, sizeof f.main_path, "%s/parcelpost.db", f.directory);
    (void)snprintf(f.users_path, sizeof f.users_path, "%s/users.db", f.directory);
    (void)umask(022);
    f.main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_WRITE);
    assert_true(statement_run(f.main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("example.test"))));
    assert_true(statement_run(f.main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("second.test"))));
    open_users(&f);
    f.lookup.postmaster = "coco@example.test";
    f.lookup.first_domain = "example.test";
    f.lookup.scram_iterations = 4096;
    source_init(&f.lookup.main, f.main_path, DATABASE_MAIN);
    source_init(&f.lookup.users, f.users_path, DATABASE_USERS);
    f.config = (struct config){.postmaster = (char *)"coco@example.test",
                               .database = f.main_path,
                               .users_database = f.users_path,
                               .lookup_timeout = 5};
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"parcelpost.db", "parcelpost.db-wal", "parcelpost.db-shm", "users.db",
                                        "users.db-journal"};
    source_close(&f->lookup.main);
    source_close(&f->lookup.users);
    database_close(f->main);
    database_close(f->users);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", f->directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(f->directory);
}

static enum address_standing standing_of(struct lookup *lookup, struct text address,
                                         char canonical[ANSWER_ADDRESS_SIZE]) {
    struct targets targets;
    targets_init(&targets, lookup, TEXT_NONE);
    enum address_standing standing = alias_follow(&targets, address, canonical);
    assert_int_equal(standing == STANDING_MEMBER, targets.count > 0);
    targets_free(&targets);
    return standing;
}

static enum address_standing ask(int channel, const char *address, char canonical[ANSWER_ADDRESS_SIZE]) {
    struct address_known known = {.targets = NULL};
    enum address_standing standing = ask_address(channel, address, "", &known);
    (void)text_copy(canonical, ANSWER_ADDRESS_SIZE, text_of(known.canonical));
    return standing;
}

struct address_row {
    const char *sentence, *address;
    enum address_standing standing;
    const char *canonical;
};
static const struct address_row address_rows[] = {
    {"a user is a member", "coco@example.test", STANDING_MEMBER, "coco@example.test"},
    {"a domain is compared without case", "coco@EXAMPLE.Test", STANDING_MEMBER, "coco@example.test"},
    {"nobody in our domain is unknown", "nobody@example.test", STANDING_UNKNOWN, ""},
    {"a domain that is not ours is remote", "coco@gmail.test", STANDING_REMOTE, ""},
    {"a user whose domain is not ours is remote", "coco@elsewhere.test", STANDING_REMOTE, ""},
    {"postmaster needs no domain", "postmaster", STANDING_MEMBER, "coco@example.test"},
    {"postmaster is read in any case", "PostMaster", STANDING_MEMBER, "coco@example.test"},
    {"every local domain has a postmaster", "postmaster@second.test", STANDING_MEMBER, "coco@example.test"},
    {"another domain's postmaster is remote", "postmaster@gmail.test", STANDING_REMOTE, ""},
    {"a word without domain is nobody of ours", "coco", STANDING_REMOTE, ""},
    {"the null path is nobody of ours", "", STANDING_REMOTE, ""},
    {"a subdomain is another domain", "coco@sub.example.test", STANDING_REMOTE, ""},
    {"the last @ divides", "\"coco@x\"@example.test", STANDING_UNKNOWN, ""},
};

static void addresses_have_their_standing(void **state) {
    struct fixture *f = *state;
    char canonical[ANSWER_ADDRESS_SIZE];
    for (size_t i = 0; i < sizeof address_rows / sizeof *address_rows; i++) {
        const struct address_row *row = &address_rows[i];
        print_message("  %s\n", row->sentence);
        assert_int_equal(standing_of(&f->lookup, text_of(row->address), canonical), row->standing);
        assert_string_equal(canonical, row->canonical);
    }
}

struct login_row {
    const char *sentence, *user, *password;
    enum login_outcome outcome;
    const char *account;
};
static const struct login_row login_rows[] = {
    {"the right password opens", "coco@example.test", "my-password", LOGIN_OK, "coco@example.test"},
    {"a wrong one does not", "coco@example.test", "my-Password", LOGIN_REFUSED, "coco@example.test"},
    {"nor does an empty one", "coco@example.test", "", LOGIN_REFUSED, "coco@example.test"},
    {"nor a beginning", "coco@example.test", "my-passwor", LOGIN_REFUSED, "coco@example.test"},
    {"an unknown user is refused like a wrong password", "nobody@example.test", "my-password", LOGIN_REFUSED, ""},
    {"a domain is compared without case", "COCO@Example.TEST", "my-password", LOGIN_OK, "coco@example.test"},
    {"a local part alone is enough when one local domain has it", "coco", "my-password", LOGIN_OK, "coco@example.test"},
    {"but not when two have it", "mike", "other", LOGIN_REFUSED, ""},
    {"nor with the other's password", "mike", "second", LOGIN_REFUSED, ""},
    {"a pattern is no name", "%", "my-password", LOGIN_REFUSED, ""},
    {"SHA-512 hashes work", "mike@example.test", "other", LOGIN_OK, "mike@example.test"},
    {"bcrypt hashes work", "bcrypt@example.test", "blow", LOGIN_OK, "bcrypt@example.test"},
    {"yescrypt hashes work", "yescrypt@example.test", "yes", LOGIN_OK, "yescrypt@example.test"},
    {"an old method is refused like a wrong password, which tells nobody of the user", "md5@example.test", "x",
     LOGIN_REFUSED, "md5@example.test"},
    {"so is an empty hash", "empty@example.test", "", LOGIN_REFUSED, "empty@example.test"},
    {"a malformed hash never opens", "cut@example.test", "", LOGIN_REFUSED, "cut@example.test"},
};

static void logins_are_checked(void **state) {
    struct fixture *f = *state;
    char account[ANSWER_ADDRESS_SIZE], long_password[2000];
    for (size_t i = 0; i < sizeof login_rows / sizeof *login_rows; i++) {
        const struct login_row *row = &login_rows[i];
        print_message("  %s\n", row->sentence);
        assert_int_equal(answer_login(&f->lookup, text_of(row->user), text_of(row->password), account), row->outcome);
        assert_string_equal(account, row->account);
    }
    memset(long_password, 'x', sizeof long_password);
    assert_int_equal(answer_login(&f->lookup, TEXT("coco@example.test"),
                                  (struct text){long_password, sizeof long_password}, account),
                     LOGIN_REFUSED);
    assert_int_equal(answer_login(&f->lookup, TEXT("coco@example.test"), TEXT("my-password\0x"), account),
                     LOGIN_REFUSED);
}

/* ---- what a check costs ---- */

static struct work { /* what crypt was asked for since it was forgotten */
    unsigned count;
    char settings[4][16]; /* method and cost */
} work;

/* The library's own, but noted. */
char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data) {
    char *(*real)(const char *, const char *, struct crypt_data *) = NULL;
    void *library = dlopen("libcrypt.so.1", RTLD_NOW); /* nothing but this name of ours asks for it */
    assert_non_null(library);
    *(void **)&real = dlsym(library, "crypt_r");
    (void)text_copy(work.settings[work.count++ % 4], sizeof work.settings[0], text_of(setting));
    return real(phrase, setting, data);
}

static struct work work_of_login(struct fixture *f, const char *user, struct text password) {
    char account[ANSWER_ADDRESS_SIZE];
    work = (struct work){.count = 0};
    assert_int_equal(answer_login(&f->lookup, text_of(user), password, account), LOGIN_REFUSED);
    return work;
}

static void an_unknown_user_costs_as_much_as_a_known_one(void **state) {
    static const char *const names[] = {"nobody@example.test", "anybody@example.test", "x@elsewhere.test", "%", "mike"};
    static const struct {
        struct text password;
        unsigned count;
    } rows[] = {{{"wrong", 5}, 1}, {{"wr\xc2\xaang", 6}, 2 /* as typed, and as prepared */}, {{"wr\0ng", 5}, 1}};
    struct fixture *f = *state;
    struct fixture one = {.users = NULL};
    (void)snprintf(one.users_path, sizeof one.users_path, "%s/one.db", f->directory);
    one.users = open_or_fail(one.users_path, DATABASE_USERS, DATABASE_WRITE);
    add_user(&one, "coco@example.test", "my-password", "$6$rounds=2000$abcdefgh$");
    struct source users = f->lookup.users;
    source_init(&f->lookup.users, one.users_path, DATABASE_USERS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct work known = work_of_login(f, "coco@example.test", rows[i].password);
        assert_int_equal(known.count, rows[i].count);
        assert_string_equal(known.settings[0], "$6$rounds=2000$");
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            struct work unknown = work_of_login(f, names[k], rows[i].password);
            print_message("  %s costs %u times %s\n", names[k], unknown.count, unknown.settings[0]);
            assert_memory_equal(&unknown, &known, sizeof known);
        }
    }
    source_close(&f->lookup.users);
    f->lookup.users = users;
    database_close(one.users);
    assert_int_equal(unlink(one.users_path), 0);
}

/* ---- SCRAM ---- */

#define AUTH_MESSAGE TEXT("n=user,r=abc,r=abcdef,s=c2FsdA==,i=4096,c=biws,r=abcdef")

static void add_scram_user(struct fixture *f, const char *address, const char *password) {
    struct scram_verifier verifier;
    char stored[SCRAM_TEXT_SIZE];
    scram_make(text_of(password), TEXT("salt of this user"), 5000, &verifier);
    scram_format(&verifier, stored);
    assert_true(users_set(f->users, text_of(address), "$6$", stored));
}

/* What a client makes of password and salt (RFC 5802 3): ClientKey XOR HMAC(StoredKey, AuthMessage). */
static void make_proof(const char *password, const struct scram_verifier *seen, char proof[SCRAM_KEY_SIZE]) {
    unsigned char salted[SCRAM_KEY_SIZE], client_key[SCRAM_KEY_SIZE], stored_key[SCRAM_KEY_SIZE],
        signature[SCRAM_KEY_SIZE];
    assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), seen->salt, (int)seen->salt_length,
                                       (int)seen->iterations, EVP_sha256(), SCRAM_KEY_SIZE, salted),
                     1);
    assert_non_null(
        HMAC(EVP_sha256(), salted, sizeof salted, (const unsigned char *)"Client Key", 10, client_key, NULL));
    assert_non_null(SHA256(client_key, sizeof client_key, stored_key));
    assert_non_null(HMAC(EVP_sha256(), stored_key, sizeof stored_key, (const unsigned char *)AUTH_MESSAGE.data,
                         AUTH_MESSAGE.length, signature, NULL));
    for (size_t i = 0; i < SCRAM_KEY_SIZE; i++)
        proof[i] = (char)(client_key[i] ^ signature[i]);
}

static enum login_outcome scram_login(struct fixture *f, const char *user, const char *password,
                                      char account[ANSWER_ADDRESS_SIZE]) {
    struct scram_verifier seen;
    unsigned char signature[SCRAM_KEY_SIZE];
    char proof[SCRAM_KEY_SIZE];
    assert_int_equal(answer_scram_begin(&f->lookup, text_of(user), &seen), LOGIN_OK);
    make_proof(password, &seen, proof);
    const struct lookup_scram_finish question = {text_of(user), AUTH_MESSAGE, {proof, sizeof proof}};
    return answer_scram_finish(&f->lookup, &question, account, signature);
}

static void a_scram_proof_opens_its_own_account_alone(void **state) {
    struct fixture *f = *state;
    char account[ANSWER_ADDRESS_SIZE];
    add_scram_user(f, "scram@example.test", "pencil");
    assert_int_equal(scram_login(f, "scram@example.test", "pencil", account), LOGIN_OK);
    assert_string_equal(account, "scram@example.test");
    assert_int_equal(scram_login(f, "scram", "pencil", account), LOGIN_OK);
    assert_string_equal(account, "scram@example.test");
    assert_int_equal(scram_login(f, "scram@example.test", "pencils", account), LOGIN_REFUSED);
    assert_int_equal(scram_login(f, "coco@example.test", "my-password", account), LOGIN_REFUSED); /* no verifier */
    assert_int_equal(scram_login(f, "nobody@example.test", "pencil", account), LOGIN_REFUSED);
    assert_int_equal(users_remove(f->users, TEXT("scram@example.test")), USERS_YES);
}

static void whoever_has_no_verifier_gets_a_salt_that_never_changes(void **state) {
    static const char *const names[][2] = {{"nobody@example.test", "nobody@example.test"},
                                           {"Nobody@EXAMPLE.test", "nobody@example.test"},
                                           {"nobody", "nobody@example.test"},
                                           {"coco@example.test", "coco@example.test"}};
    struct fixture *f = *state;
    struct scram_verifier own, seen, again;
    add_scram_user(f, "scram@example.test", "pencil");
    assert_int_equal(answer_scram_begin(&f->lookup, TEXT("scram@example.test"), &own), LOGIN_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(answer_scram_begin(&f->lookup, text_of(names[i][0]), &seen), LOGIN_OK);
        assert_int_equal(answer_scram_begin(&f->lookup, text_of(names[i][1]), &again), LOGIN_OK);
        assert_memory_equal(&seen, &again, sizeof seen);
        assert_int_equal(seen.salt_length, SCRAM_SALT_SIZE);
        assert_memory_not_equal(seen.salt, own.salt, SCRAM_SALT_SIZE);
        assert_true(seen.iterations == own.iterations || seen.iterations == f->lookup.scram_iterations);
    }
    assert_int_equal(users_remove(f->users, TEXT("scram@example.test")), USERS_YES);
}

struct send_row {
    const char *sentence, *account, *address;
    enum login_outcome outcome;
};
static const struct send_row send_rows[] = {
    {"a login sends as itself", "coco@example.test", "coco@example.test", LOGIN_OK},
    {"in any case of the domain", "coco@example.test", "coco@EXAMPLE.test", LOGIN_OK},
    {"not as another member", "mike@example.test", "coco@example.test", LOGIN_REFUSED},
    {"not as a stranger", "mike@example.test", "mike@gmail.test", LOGIN_REFUSED},
    {"not as an unknown user of ours", "mike@example.test", "nobody@example.test", LOGIN_REFUSED},
    {"the postmaster's account sends as postmaster", "coco@example.test", "postmaster@second.test", LOGIN_OK},
    {"others do not", "mike@example.test", "postmaster@second.test", LOGIN_REFUSED},
    {"the null sender is anybody's", "mike@example.test", "", LOGIN_OK},
};

static void a_login_is_tied_to_its_sender(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof send_rows / sizeof *send_rows; i++) {
        const struct send_row *row = &send_rows[i];
        print_message("  %s\n", row->sentence);
        assert_int_equal(answer_may_send(&f->lookup, text_of(row->account), text_of(row->address)), row->outcome);
    }
}

static void a_database_that_is_not_there_is_a_temporary_failure(void **state) {
    struct lookup lookup = {.postmaster = "coco@example.test", .first_domain = ""};
    char canonical[ANSWER_ADDRESS_SIZE];
    (void)state;
    source_init(&lookup.main, "/nonexistent/parcelpost.db", DATABASE_MAIN);
    source_init(&lookup.users, "/nonexistent/users.db", DATABASE_USERS);
    assert_int_equal(standing_of(&lookup, TEXT("coco@example.test"), canonical), STANDING_TEMPFAIL);
    assert_int_equal(standing_of(&lookup, TEXT("postmaster"), canonical), STANDING_MEMBER);
    assert_int_equal(answer_may_send(&lookup, TEXT("coco@example.test"), TEXT("coco@example.test")), LOGIN_TEMPFAIL);
}

static void a_server_whose_users_are_gone_puts_off_logins_and_mail(void **state) {
    struct fixture *f = *state;
    struct lookup lookup = {.postmaster = "", .first_domain = ""};
    char canonical[ANSWER_ADDRESS_SIZE];
    source_init(&lookup.main, f->main_path, DATABASE_MAIN);
    source_init(&lookup.users, "/nonexistent/users.db", DATABASE_USERS);
    assert_int_equal(standing_of(&lookup, TEXT("coco@example.test"), canonical), STANDING_TEMPFAIL);
    assert_int_equal(answer_login(&lookup, TEXT("coco@example.test"), TEXT("my-password"), canonical), LOGIN_TEMPFAIL);
    source_close(&lookup.main);
}

static void the_process_answers_over_its_channel(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char canonical[ANSWER_ADDRESS_SIZE];
    service_child_start(&child, lookup_main, (struct process_start){.config = &f->config});
    assert_int_equal(ask(child.channel, "coco@example.test", canonical), STANDING_MEMBER);
    assert_string_equal(canonical, "coco@example.test");
    assert_int_equal(ask_login(child.channel, TEXT("coco"), TEXT("my-password"), canonical, sizeof canonical),
                     LOGIN_OK);
    assert_string_equal(canonical, "coco@example.test");
    assert_int_equal(ask_login(child.channel, TEXT("coco"), TEXT("no"), canonical, sizeof canonical), LOGIN_REFUSED);
    assert_int_equal(ask_may_send(child.channel, "coco@example.test", "mike@example.test"), LOGIN_REFUSED);
    assert_int_equal(service_child_end(&child), 0);
}

/* Puts a freshly made users.db in the place of the one there is, by its name. */
static void replace_users(struct fixture *f) {
    char name[sizeof f->users_path], aside[sizeof f->users_path + 8];
    (void)snprintf(name, sizeof name, "%s", f->users_path);
    (void)snprintf(aside, sizeof aside, "%s.aside", name);
    database_close(f->users);
    assert_int_equal(rename(name, aside), 0);
    open_users(f);
    database_close(f->users);
    char newer[sizeof aside];
    (void)snprintf(newer, sizeof newer, "%s.newer", name);
    assert_int_equal(rename(name, newer), 0);
    assert_int_equal(rename(aside, name), 0);
    assert_int_equal(rename(newer, name), 0); /* in one step, as an operator would */
    f->users = open_or_fail(f->users_path, DATABASE_USERS, DATABASE_WRITE);
}

static void what_changes_while_the_process_runs_is_seen_at_once(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char canonical[ANSWER_ADDRESS_SIZE];
    service_child_start(&child, lookup_main, (struct process_start){.config = &f->config});
    assert_int_equal(ask(child.channel, "late@late.test", canonical), STANDING_REMOTE);
    assert_true(statement_run(f->main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("late.test"))));
    assert_int_equal(ask(child.channel, "late@late.test", canonical), STANDING_UNKNOWN);
    add_user(f, "late@late.test", "late", CHEAP);
    assert_int_equal(ask(child.channel, "late@late.test", canonical), STANDING_MEMBER);
    database_close(f->users);
    assert_int_equal(unlink(f->users_path), 0); /* that does not mean that there are no users */
    assert_int_equal(ask(child.channel, "late@late.test", canonical), STANDING_TEMPFAIL);
    open_users(f);
    assert_int_equal(ask(child.channel, "coco@example.test", canonical), STANDING_MEMBER);
    add_user(f, "gone@example.test", "x", CHEAP);
    replace_users(f);
    assert_int_equal(ask(child.channel, "gone@example.test", canonical), STANDING_UNKNOWN);
    assert_int_equal(ask(child.channel, "coco@example.test", canonical), STANDING_MEMBER);
    database_close(f->main); /* the ledger starts anew */
    f->main = open_or_fail(f->main_path, DATABASE_MAIN, DATABASE_WRITE);
    assert_true(statement_run(f->main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("later.test"))));
    assert_int_equal(ask(child.channel, "x@later.test", canonical), STANDING_UNKNOWN);
    assert_int_equal(service_child_end(&child), 0);
}

/* Over what the file holds, as cp(1) does. */
static void put_back(struct fixture *f, const char *backup, ssize_t length) {
    static const struct timespec tick = {.tv_nsec = 20000000}; /* of the file system's clock */
    (void)nanosleep(&tick, NULL);
    database_close(f->users);
    int fd = open(f->users_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, backup, (size_t)length), length);
    close(fd);
    f->users = open_or_fail(f->users_path, DATABASE_USERS, DATABASE_WRITE);
}

static void users_who_were_put_back_from_a_backup_are_seen_at_once(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char canonical[ANSWER_ADDRESS_SIZE], backup[65536];
    int fd = open(f->users_path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, backup, sizeof backup);
    close(fd);
    service_child_start(&child, lookup_main, (struct process_start){.config = &f->config});
    add_user(f, "former@example.test", "x", CHEAP);
    assert_int_equal(ask(child.channel, "former@example.test", canonical), STANDING_MEMBER);
    assert_int_equal(ask(child.channel, "latter@example.test", canonical), STANDING_UNKNOWN);
    put_back(f, backup, length);
    add_user(f, "latter@example.test", "x", CHEAP); /* the file counts as many changes as before */
    assert_int_equal(ask(child.channel, "former@example.test", canonical), STANDING_UNKNOWN);
    assert_int_equal(ask(child.channel, "latter@example.test", canonical), STANDING_MEMBER);
    assert_int_equal(service_child_end(&child), 0);
}

static void a_request_that_takes_too_long_ends_the_worker(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char account[ANSWER_ADDRESS_SIZE];
    struct config config = f->config;
    config.lookup_timeout = 1;
    assert_true(users_set(f->users, TEXT("slow@example.test"), "$6$rounds=99999999$abcdefgh$x", NULL));
    service_child_start(&child, lookup_main, (struct process_start){.config = &config});
    assert_int_equal(ask_login(child.channel, TEXT("slow@example.test"), TEXT("x"), account, sizeof account),
                     LOGIN_TEMPFAIL);
    assert_int_equal(service_child_end(&child), -SIGALRM);
    assert_int_equal(users_remove(f->users, TEXT("slow@example.test")), USERS_YES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_their_standing),
        cmocka_unit_test(logins_are_checked),
        cmocka_unit_test(an_unknown_user_costs_as_much_as_a_known_one),
        cmocka_unit_test(a_scram_proof_opens_its_own_account_alone),
        cmocka_unit_test(whoever_has_no_verifier_gets_a_salt_that_never_changes),
        cmocka_unit_test(a_login_is_tied_to_its_sender),
        cmocka_unit_test(a_database_that_is_not_there_is_a_temporary_failure),
        cmocka_unit_test(a_server_whose_users_are_gone_puts_off_logins_and_mail),
        cmocka_unit_test(the_process_answers_over_its_channel),
        cmocka_unit_test(what_changes_while_the_process_runs_is_seen_at_once),
        cmocka_unit_test(users_who_were_put_back_from_a_backup_are_seen_at_once),
        cmocka_unit_test(a_request_that_takes_too_long_ends_the_worker),
    };
    log_start(2, "test_lookup", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
