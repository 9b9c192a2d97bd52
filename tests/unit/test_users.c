/* SPDX-License-Identifier: MIT
 * users.db and the domains table through the typed functions of store/users.h. */
#include "store/statements.h"
#include "store/users.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "open_database.h"

struct fixture {
    char directory[32], main_path[64], users_path[64];
    struct database *main, *users;
};

static int set_up(void **state) {
    static struct fixture f;
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_users.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.main_path, sizeof f.main_path, "%s/parcelpost.db", f.directory);
    (void)snprintf(f.users_path, sizeof f.users_path, "%s/users.db", f.directory);
    f.main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_WRITE);
    f.users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_WRITE);
    assert_true(users_set(f.users, TEXT("coco@Example.TEST"), "$6$coco", NULL));
    assert_true(users_set(f.users, TEXT("Mixed.Case@example.test"), "$6$mixed", NULL));
    assert_true(users_set(f.users, TEXT("coco@other.test"), "$6$other", NULL));
    assert_true(statement_run(f.main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("Example.test"))));
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[128];
    database_close(f->main);
    database_close(f->users);
    static const char *const names[] = {"parcelpost.db", "parcelpost.db-wal", "parcelpost.db-shm",
                                        "users.db",      "users.db-wal",      "users.db-shm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(command, sizeof command, "%s/%s", f->directory, names[i]);
        (void)unlink(command);
    }
    return rmdir(f->directory);
}

struct find_row {
    const char *sentence, *address, *canonical; /* NULL: no such user */
};
static const struct find_row find_rows[] = {
    {"a user is found", "coco@example.test", "coco@example.test"},
    {"a domain is compared without case", "coco@EXAMPLE.test", "coco@example.test"},
    {"a local part in capitals falls back to lower case", "COCO@example.test", "coco@example.test"},
    {"a stored local part with capitals is found by its bytes", "Mixed.Case@example.test", "Mixed.Case@example.test"},
    {"but not by other bytes", "mixed.case@example.test", NULL},
    {"an unknown user is not found", "nobody@example.test", NULL},
    {"a user of another domain is another user", "coco@other.test", "coco@other.test"},
    {"an address without a domain is no user", "coco", NULL},
    {"nothing is no user", "", NULL},
    {"a pattern is not a pattern", "%@example.test", NULL},
    {"quotes end no statement", "' OR 1=1 --@example.test", NULL},
};

static void users_are_found_by_their_address(void **state) {
    struct fixture *f = *state;
    char canonical[128];
    for (size_t i = 0; i < sizeof find_rows / sizeof *find_rows; i++) {
        const struct find_row *row = &find_rows[i];
        print_message("  %s\n", row->sentence);
        enum users_found found = users_find(f->users, text_of(row->address), canonical, sizeof canonical);
        assert_int_equal(found, row->canonical != NULL ? USERS_YES : USERS_NO);
        if (row->canonical != NULL) {
            assert_string_equal(canonical, row->canonical);
        }
    }
    assert_int_equal(users_find(f->users, TEXT("coco@example.test\0x"), canonical, sizeof canonical), USERS_NO);
}

static void local_domains_are_compared_without_case(void **state) {
    struct fixture *f = *state;
    assert_int_equal(users_local_domain(f->main, TEXT("example.test")), USERS_YES);
    assert_int_equal(users_local_domain(f->main, TEXT("EXAMPLE.TEST")), USERS_YES);
    assert_int_equal(users_local_domain(f->main, TEXT("sub.example.test")), USERS_NO);
    assert_int_equal(users_local_domain(f->main, TEXT("")), USERS_NO);
}

static void proofs_belong_to_their_user(void **state) {
    struct fixture *f = *state;
    struct users_proofs proofs;
    assert_true(users_set(f->users, TEXT("scram@example.test"), "$6$scram", "SCRAM-SHA-256$4096:eA==$x:y"));
    assert_int_equal(users_proofs(f->users, TEXT("coco@example.test"), &proofs), USERS_YES);
    assert_string_equal(proofs.hash, "$6$coco");
    assert_string_equal(proofs.scram, "");
    assert_int_equal(users_proofs(f->users, TEXT("Scram@EXAMPLE.test"), &proofs), USERS_YES);
    assert_string_equal(proofs.hash, "$6$scram");
    assert_string_equal(proofs.scram, "SCRAM-SHA-256$4096:eA==$x:y");
    assert_int_equal(users_proofs(f->users, TEXT("nobody@example.test"), &proofs), USERS_NO);
    assert_int_equal(users_remove(f->users, TEXT("scram@example.test")), USERS_YES);
}

static void some_user_stands_in_for_nobody_and_always_the_same(void **state) {
    struct fixture *f = *state;
    struct users_proofs first, again;
    assert_int_equal(users_some_proofs(f->users, "coco@o", &first), USERS_YES);
    assert_string_equal(first.hash, "$6$other");
    assert_int_equal(users_some_proofs(f->users, "coco@o", &again), USERS_YES);
    assert_string_equal(again.hash, first.hash);
    assert_int_equal(users_some_proofs(f->users, "zz", &first), USERS_YES);
    assert_string_equal(first.hash, "$6$mixed");
}

static void a_users_file_has_a_secret_of_its_own(void **state) {
    struct fixture *f = *state;
    char secret[USERS_SECRET_SIZE], other[USERS_SECRET_SIZE];
    struct database *memory = open_or_fail(":memory:", DATABASE_USERS, DATABASE_WRITE);
    assert_int_equal(users_secret(f->users, secret), USERS_YES);
    assert_int_equal(users_secret(memory, other), USERS_YES);
    assert_int_equal(strlen(secret), USERS_SECRET_SIZE - 1);
    assert_string_not_equal(secret, other);
    database_close(memory);
}

static void setting_again_replaces_and_removing_removes(void **state) {
    struct fixture *f = *state;
    struct users_proofs proofs;
    assert_true(users_set(f->users, TEXT("new@example.test"), "$6$one", NULL));
    assert_true(users_set(f->users, TEXT("new@example.test"), "$6$two", NULL));
    assert_int_equal(users_proofs(f->users, TEXT("new@example.test"), &proofs), USERS_YES);
    assert_string_equal(proofs.hash, "$6$two");
    assert_int_equal(users_remove(f->users, TEXT("NEW@example.test")), USERS_YES);
    assert_int_equal(users_remove(f->users, TEXT("new@example.test")), USERS_NO);
    assert_int_equal(users_proofs(f->users, TEXT("new@example.test"), &proofs), USERS_NO);
    assert_false(users_set(f->users, TEXT("no-domain"), "$6$x", NULL));
}

static void count_visit(void *context, const struct users_row *row) {
    *(unsigned *)context += strchr(row->address, '@') != NULL;
}

static void users_are_listed_and_found_by_local_part(void **state) {
    struct fixture *f = *state;
    unsigned all = 0, cocos = 0, limited = 0, none = 0;
    assert_true(users_list(f->users, count_visit, &all));
    assert_true(users_by_local_part(f->users, TEXT("coco"), 10, count_visit, &cocos));
    assert_true(users_by_local_part(f->users, TEXT("coco"), 1, count_visit, &limited));
    assert_true(users_by_local_part(f->users, TEXT("co"), 10, count_visit, &none));
    assert_int_equal(all, 3);
    assert_int_equal(cocos, 2);
    assert_int_equal(limited, 1);
    assert_int_equal(none, 0);
}

static void a_reader_sees_what_is_added_while_it_runs(void **state) {
    struct fixture *f = *state;
    char canonical[128];
    struct database *reader = open_or_fail(f->users_path, DATABASE_USERS, DATABASE_READ);
    assert_int_equal(users_find(reader, TEXT("late@example.test"), canonical, sizeof canonical), USERS_NO);
    assert_true(users_set(f->users, TEXT("late@example.test"), "$6$late", NULL));
    assert_int_equal(users_find(reader, TEXT("late@example.test"), canonical, sizeof canonical), USERS_YES);
    assert_false(users_set(reader, TEXT("other@example.test"), "$6$x", NULL));
    assert_int_equal(users_remove(f->users, TEXT("late@example.test")), USERS_YES);
    database_close(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_by_their_address),
        cmocka_unit_test(local_domains_are_compared_without_case),
        cmocka_unit_test(proofs_belong_to_their_user),
        cmocka_unit_test(some_user_stands_in_for_nobody_and_always_the_same),
        cmocka_unit_test(a_users_file_has_a_secret_of_its_own),
        cmocka_unit_test(setting_again_replaces_and_removing_removes),
        cmocka_unit_test(users_are_listed_and_found_by_local_part),
        cmocka_unit_test(a_reader_sees_what_is_added_while_it_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
