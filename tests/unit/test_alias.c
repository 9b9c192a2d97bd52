/* SPDX-License-Identifier: MIT
 * Following names: aliases, lists, files, domains, catch-all, tags, forwarding with SRS and back, circles and bounds.
 */
#include "base/file.h"
#include "base/log.h"
#include "lookup/alias.h"
#include "store/aliases.h"
#include "store/statements.h"
#include <fcntl.h>
#include <setjmp.h>
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

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define STRANGER "sender@far.test"

struct fixture {
    char directory[32], main_path[64], users_path[64], list_path[64];
    struct database *main, *users;
    struct lookup lookup;
};

static void write_list(const struct fixture *f, const char *text) {
    int fd = open(f->list_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && file_write_all(fd, text, strlen(text)));
    (void)close(fd);
}

static void alias(const struct fixture *f, const char *address, const char *target, const char *owner) {
    assert_true(aliases_add(f->main, address, target, owner, 1000000000));
}

static const struct {
    const char *address, *target, *owner;
} alias_rows[] = {
    {"info@example.test", "coco@example.test", ""},
    {"team@example.test", "coco@example.test", ""},
    {"team@example.test", "mike@example.test", ""},
    {"team@example.test", "away@far.test", ""},
    {"everybody@example.test", "team@example.test", ""},
    {"everybody@example.test", "info@example.test", ""},
    {"mike@example.test", "mike@example.test", ""},
    {"mike@example.test", "mike@far.test", ""},
    {"list@example.test", "coco@example.test", "owner@example.test"},
    {"list@example.test", "member@far.test", "owner@example.test"},
    {"list@example.test", "inner@example.test", "owner@example.test"},
    {"inner@example.test", "deep@far.test", ""},
    {"gone@example.test", "left@example.test", ""},
    {"gone@example.test", "left-too@example.test", ""},
    {"some@example.test", "left@example.test", ""},
    {"some@example.test", "coco@example.test", ""},
    {"left@example.test", "left@example.test", ""},
    {"away@example.test", "away@far.test", ""},
    {"tickets@example.test", "|tickets", ""},
    {"nothing@example.test", "|no-such-transport", ""},
    {"nothing@example.test", "coco@example.test", ""},
    {"odd@example.test", "no address", ""},
    {"edited@example.test", "mike@example.test\n\ncoco@example.test", ""},
    {"round@example.test", "round-2@example.test", ""},
    {"round-2@example.test", "round-3@example.test", ""},
    {"round-3@example.test", "round@example.test", ""},
    {"half@example.test", "half-2@example.test", ""},
    {"half-2@example.test", "half@example.test", ""},
    {"half-2@example.test", "coco@example.test", ""},
    {"news+special@example.test", "coco@example.test", ""},
    {"news@example.test", "mike+news@example.test", ""},
    {"@second.test", "@example.test", ""},
    {"@third.test", "coco@example.test", ""},
    {"@loop.test", "@loop-2.test", ""},
    {"@loop-2.test", "@loop.test", ""},
    {"@self.test", "@self.test", ""},
};

static int set_up(void **state) {
    static struct fixture f;
    static const char *const domains[] = {"example.test", "second.test", "third.test",
                                          "loop.test",    "loop-2.test", "self.test"};
    static const struct config_transport transports[] = {{.name = (char *)"tickets"}};
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_alias.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.main_path, sizeof f.main_path, "%s/parcelpost.db", f.directory);
    (void)snprintf(f.users_path, sizeof f.users_path, "%s/users.db", f.directory);
    (void)snprintf(f.list_path, sizeof f.list_path, "%s/list", f.directory);
    f.main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_WRITE);
    f.users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_WRITE);
    for (size_t i = 0; i < COUNT(domains); i++) {
        assert_true(statement_run(f.main, STATEMENT_DOMAIN_ADD, BINDS(bind_string(domains[i]))));
    }
    assert_true(users_set(f.users, TEXT("coco@example.test"), "x", NULL));
    assert_true(users_set(f.users, TEXT("mike@example.test"), "x", NULL));
    assert_true(users_set(f.users, TEXT("plus+user@example.test"), "x", NULL));
    for (size_t i = 0; i < COUNT(alias_rows); i++) {
        alias(&f, alias_rows[i].address, alias_rows[i].target, alias_rows[i].owner);
    }
    alias(&f, "file@example.test", f.list_path, "");
    alias(&f, "nofile@example.test", "/nonexistent/list", "");
    alias(&f, "device@example.test", "/dev/zero", "");
    write_list(&f, "# members\n\n coco@example.test \r\nmike@far.test\n#mike@example.test\nleft@example.test\n");
    f.lookup = (struct lookup){
        .postmaster = "coco@example.test",
        .delimiter = "+",
        .transports = transports,
        .transport_count = COUNT(transports),
        .expansion_maximum = 100,
        .srs = {.secrets = {"a-secret"}, .secret_count = 1, .hash_length = 6, .domain = "example.test"}};
    source_init(&f.lookup.main, f.main_path, DATABASE_MAIN);
    source_init(&f.lookup.users, f.users_path, DATABASE_USERS);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[64];
    source_close(&f->lookup.main);
    source_close(&f->lookup.users);
    database_close(f->main);
    database_close(f->users);
    static const char *const names[] = {"parcelpost.db", "parcelpost.db-wal", "parcelpost.db-shm",
                                        "users.db",      "users.db-journal",  "list"};
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)snprintf(command, sizeof command, "%s/%s", f->directory, names[i]);
        (void)unlink(command);
    }
    return rmdir(f->directory);
}

/* "local:TARGET remote:TARGET(SENDER)"; a sender made by SRS is shown as SRS. */
static enum address_standing follow(struct lookup *lookup, const char *address, const char *sender,
                                    struct buffer *shown) {
    struct targets targets;
    char canonical[ANSWER_ADDRESS_SIZE];
    buffer_clear(shown);
    targets_init(&targets, lookup, text_of(sender));
    enum address_standing standing = alias_follow(&targets, text_of(address), canonical);
    for (size_t i = 0; i < targets.count; i++) {
        const struct target *target = &targets.items[i];
        bool srs = text_starts_nocase(text_of(target->sender), TEXT("SRS0="));
        buffer_format(shown, "%s%s:%s", i > 0 ? " " : "", target->delivery == DELIVERY_REMOTE ? "remote" : "local",
                      target->address);
        if (target->sender[0] != '\0') {
            buffer_format(shown, "(%s)", srs ? "SRS" : target->sender);
        }
    }
    targets_free(&targets);
    return standing;
}

struct row {
    const char *sentence, *address, *sender;
    enum address_standing standing;
    const char *targets;
};

static void check(struct lookup *lookup, const struct row *rows, size_t count) {
    struct buffer shown;
    buffer_init(&shown, 65536);
    for (size_t i = 0; i < count; i++) {
        print_message("  %s\n", rows[i].sentence);
        assert_int_equal(follow(lookup, rows[i].address, rows[i].sender, &shown), rows[i].standing);
        assert_string_equal(buffer_string(&shown), rows[i].targets);
    }
    buffer_free(&shown);
}

static const struct row rows[] = {
    {"a user is himself", "coco@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"an alias leads to a user", "info@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"in any case", "INFO@Example.TEST", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"an alias leads to several, and away, with a sender of ours", "team@example.test", STRANGER, STANDING_MEMBER,
     "local:coco@example.test local:mike@example.test remote:mike@far.test(SRS) remote:away@far.test(SRS)"},
    {"aliases lead to aliases, and each place counts once", "everybody@example.test", STRANGER, STANDING_MEMBER,
     "local:coco@example.test local:mike@example.test remote:mike@far.test(SRS) remote:away@far.test(SRS)"},
    {"a user who forwards and names himself keeps a copy", "mike@example.test", STRANGER, STANDING_MEMBER,
     "local:mike@example.test remote:mike@far.test(SRS)"},
    {"a sender of ours stays as he is", "mike@example.test", "coco@example.test", STANDING_MEMBER,
     "local:mike@example.test remote:mike@far.test"},
    {"so does a sender that we rewrote before", "away@example.test", "SRS0=x=AA=far.test=y@example.test",
     STANDING_MEMBER, "remote:away@far.test"},
    {"and the null sender", "away@example.test", "", STANDING_MEMBER, "remote:away@far.test"},
    {"a list's mail is its owner's, and an inner alias's too", "list@example.test", STRANGER, STANDING_MEMBER,
     "local:coco@example.test(owner@example.test) remote:member@far.test(owner@example.test)"
     " remote:deep@far.test(owner@example.test)"},
    {"but a notice to a list stays one", "list@example.test", "", STANDING_MEMBER,
     "local:coco@example.test remote:member@far.test remote:deep@far.test"},
    {"an alias that leads only to missing users is unknown", "gone@example.test", STRANGER, STANDING_UNKNOWN, ""},
    {"missing users are left out", "some@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"an alias that names itself without a mailbox is unknown", "left@example.test", STRANGER, STANDING_UNKNOWN, ""},
    {"an alias leads to a program", "tickets@example.test", STRANGER, STANDING_MEMBER, "local:|tickets"},
    {"one that is not configured makes the whole address wait", "nothing@example.test", STRANGER, STANDING_TEMPFAIL,
     ""},
    {"so does what is no address", "odd@example.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"and a row with an empty line", "edited@example.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"a circle is found and waits for the operator", "round@example.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"whoever stands beside it gets his mail", "half@example.test", STRANGER, STANDING_MEMBER,
     "local:coco@example.test"},
    {"a tag is not part of the user", "coco+shop@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"nor of an alias", "info+shop@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"nor of somebody who forwards", "mike+shop@example.test", STRANGER, STANDING_MEMBER,
     "local:mike@example.test remote:mike@far.test(SRS)"},
    {"whoever has the whole name comes first", "plus+user@example.test", STRANGER, STANDING_MEMBER,
     "local:plus+user@example.test"},
    {"also as an alias", "news+special@example.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"a tag alone is nobody", "+shop@example.test", STRANGER, STANDING_UNKNOWN, ""},
    {"an unknown user with a tag is unknown", "nobody+shop@example.test", STRANGER, STANDING_UNKNOWN, ""},
    {"a domain is another", "coco@second.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"with its aliases and tags", "info+x@second.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"and whom it does not have", "nobody@second.test", STRANGER, STANDING_UNKNOWN, ""},
    {"a catch-all gets everybody else's", "whoever@third.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"postmaster is not everybody", "postmaster@third.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
    {"domains in a circle", "x@loop.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"a domain that is itself knows nobody by that", "x@self.test", STRANGER, STANDING_UNKNOWN, ""},
    {"a file of addresses, with comments, is followed like rows", "file@example.test", STRANGER, STANDING_MEMBER,
     "local:coco@example.test remote:mike@far.test(SRS)"},
    {"a file that cannot be read makes the address wait", "nofile@example.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"so does what is no file", "device@example.test", STRANGER, STANDING_TEMPFAIL, ""},
    {"another domain's address is remote", "info@far.test", STRANGER, STANDING_REMOTE, ""},
};

static void names_lead_where_the_tables_say(void **state) {
    struct fixture *f = *state;
    check(&f->lookup, rows, COUNT(rows));
}

static void a_dot_stands_for_the_domains_below_and_a_star_for_all(void **state) {
    struct fixture *f = *state;
    static const struct row without[] = {
        {"a domain below one of ours is another's", "coco@below.example.test", STRANGER, STANDING_REMOTE, ""}};
    static const struct row below[] = {
        {"below it everything is ours", "coco@a.below.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
        {"however far, in any case", "coco@x.Y.a.BELOW.test", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
        {"the closest alias counts", "mike@c.near.below.test", STRANGER, STANDING_MEMBER, "remote:near@far.test(SRS)"},
        {"whoever is missing there is unknown", "nobody@a.below.test", STRANGER, STANDING_UNKNOWN, ""},
        {"the domain itself is not", "coco@below.test", STRANGER, STANDING_REMOTE, ""},
        {"nor one that ends like it", "coco@abelow.test", STRANGER, STANDING_REMOTE, ""}};
    static const struct row all[] = {
        {"every domain is ours", "coco@anywhere.example", STRANGER, STANDING_MEMBER, "local:coco@example.test"},
        {"where nothing closer is said", "mike@c.near.below.test", STRANGER, STANDING_MEMBER,
         "local:coco@example.test"}};

    check(&f->lookup, without, COUNT(without));
    assert_true(statement_run(f->main, STATEMENT_DOMAIN_ADD, BINDS(bind_string(".below.test"))));
    alias(f, "@.below.test", "@example.test", "");
    alias(f, "@.near.below.test", "near@far.test", "");
    check(&f->lookup, below, COUNT(below));
    assert_true(statement_run(f->main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("*"))));
    alias(f, "@*", "coco@example.test", "");
    check(&f->lookup, all, COUNT(all));
}

static void a_changed_file_is_seen_at_once(void **state) {
    struct fixture *f = *state;
    static const struct row later[] = {{"now it names another", "file@example.test", STRANGER, STANDING_MEMBER,
                                        "local:mike@example.test remote:mike@far.test(SRS)"}};
    write_list(f, "mike@example.test\n");
    check(&f->lookup, later, 1);
    write_list(f, "left@example.test\n");
    static const struct row missing[] = {{"only missing ones", "file@example.test", STRANGER, STANDING_UNKNOWN, ""}};
    check(&f->lookup, missing, 1);
}

static void settings_change_the_reading(void **state) {
    struct fixture *f = *state;
    struct lookup lookup = f->lookup;
    static const struct row tagged[] = {{"an LMTP server gets the tag", "coco+shop@example.test", STRANGER,
                                         STANDING_MEMBER, "local:coco+shop@example.test"},
                                        {"also one that an alias gives", "news@example.test", STRANGER, STANDING_MEMBER,
                                         "local:mike@example.test remote:mike@far.test(SRS)"}};
    static const struct row plain[] = {
        {"without a delimiter there are no tags", "coco+shop@example.test", STRANGER, STANDING_UNKNOWN, ""}};
    static const struct row unsigned_row[] = {
        {"without a secret the sender stays", "away@example.test", STRANGER, STANDING_MEMBER, "remote:away@far.test"}};
    lookup.tag_goes_on = true;
    check(&lookup, tagged, COUNT(tagged));
    lookup.delimiter = "";
    check(&lookup, plain, COUNT(plain));
    lookup.srs.secret_count = 0;
    check(&lookup, unsigned_row, COUNT(unsigned_row));
}

static void a_rewritten_sender_gets_his_mail_back(void **state) {
    struct fixture *f = *state;
    char rewritten[SRS_ADDRESS_SIZE], forged[SRS_ADDRESS_SIZE];
    struct buffer shown;
    int64_t now = (int64_t)time(NULL);
    buffer_init(&shown, 4096);
    assert_true(srs_forward(&f->lookup.srs, TEXT(STRANGER), now, rewritten));
    assert_int_equal(follow(&f->lookup, rewritten, "", &shown), STANDING_RETURN);
    assert_string_equal(buffer_string(&shown), "remote:" STRANGER);
    assert_int_equal(follow(&f->lookup, rewritten, "other@far.test", &shown), STANDING_RETURN);
    assert_string_equal(buffer_string(&shown), "remote:" STRANGER "(SRS)"); /* what is no notice is forwarded mail */
    (void)snprintf(forged, sizeof forged, "%s", rewritten);
    forged[6] = forged[6] == 'A' ? 'B' : 'A';
    assert_int_equal(follow(&f->lookup, forged, "", &shown), STANDING_UNKNOWN);
    assert_true(srs_forward(&f->lookup.srs, TEXT(STRANGER), now - 30 * 86400, rewritten));
    assert_int_equal(follow(&f->lookup, rewritten, "", &shown), STANDING_UNKNOWN);
    struct lookup without = f->lookup;
    without.srs.secret_count = 0;
    assert_true(srs_forward(&f->lookup.srs, TEXT(STRANGER), now, rewritten));
    assert_int_equal(follow(&without, rewritten, "", &shown), STANDING_UNKNOWN);
    buffer_free(&shown);
}

static void chains_and_numbers_are_bounded(void **state) {
    struct fixture *f = *state;
    struct buffer shown;
    char from[64], to[64];
    buffer_init(&shown, 65536);
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(from, sizeof from, "chain%u@example.test", i);
        (void)snprintf(to, sizeof to, "chain%u@example.test", i + 1);
        alias(f, from, i < 11 ? to : "coco@example.test", "");
    }
    assert_int_equal(follow(&f->lookup, "chain3@example.test", STRANGER, &shown), STANDING_MEMBER);
    assert_int_equal(follow(&f->lookup, "chain0@example.test", STRANGER, &shown), STANDING_TEMPFAIL);
    for (unsigned i = 0; i < 101; i++) {
        (void)snprintf(to, sizeof to, "m%u@far.test", i);
        alias(f, "crowd@example.test", to, "");
        if (i == 99) {
            assert_int_equal(follow(&f->lookup, "crowd@example.test", STRANGER, &shown), STANDING_MEMBER);
        }
    }
    assert_int_equal(follow(&f->lookup, "crowd@example.test", STRANGER, &shown), STANDING_TEMPFAIL);
    for (unsigned i = 0; i < 9; i++) { /* each leads ten times to the next: a thousand million ways */
        for (unsigned j = 0; j < 10; j++) {
            (void)snprintf(from, sizeof from, "bush%u@example.test", i);
            (void)snprintf(to, sizeof to, j % 2 == 0 ? "bush%u+%u@example.test" : "bush%u@second.test", i + 1, j);
            alias(f, from, to, "");
        }
    }
    assert_int_equal(follow(&f->lookup, "bush0@example.test", STRANGER, &shown), STANDING_TEMPFAIL);
    buffer_free(&shown);
}

static void packed_targets_come_in_parts(void **state) {
    struct fixture *f = *state;
    struct targets targets;
    struct buffer list;
    struct address_target item;
    char address[64];
    uint32_t taken = 0;
    bool bad = false, more = true;
    targets_init(&targets, &f->lookup, TEXT_NONE);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(address, sizeof address, "m%u@far.test", i);
        targets_add(&targets, DELIVERY_REMOTE, text_of(address), TEXT_NONE);
        targets_add(&targets, DELIVERY_REMOTE, text_of(address), TEXT_NONE); /* twice is once */
    }
    for (unsigned part = 0; more; part++) {
        buffer_init(&list, 1000);
        more = targets_pack(&targets, taken, &list);
        struct text rest = buffer_text(&list);
        while (list_next_target(&rest, &item, &bad)) {
            (void)snprintf(address, sizeof address, "m%u@far.test", taken++);
            assert_true(text_equal(item.target, text_of(address)));
        }
        buffer_free(&list);
        assert_true(part < 10);
    }
    assert_int_equal(taken, 100);
    targets_free(&targets);
}

static const struct {
    const char *sentence, *account, *address;
    enum login_outcome outcome;
} send_rows[] = {
    {"an account sends as an alias that leads to it", "coco@example.test", "info@example.test", LOGIN_OK},
    {"whoever is among several does, too", "coco@example.test", "team@example.test", LOGIN_OK},
    {"with a tag", "coco@example.test", "coco+shop@example.test", LOGIN_OK},
    {"as itself where it forwards", "mike@example.test", "mike@example.test", LOGIN_OK},
    {"in another domain", "coco@example.test", "coco@second.test", LOGIN_OK},
    {"others do not", "mike@example.test", "info@example.test", LOGIN_REFUSED},
    {"members of a list do not send in its name", "coco@example.test", "list@example.test", LOGIN_REFUSED},
    {"nobody sends in the name of a rewritten sender", "coco@example.test", "SRS0=x=AA=far.test=y@example.test",
     LOGIN_REFUSED},
};

static void who_may_send_as_whom_follows_the_names(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(send_rows); i++) {
        print_message("  %s\n", send_rows[i].sentence);
        assert_int_equal(answer_may_send(&f->lookup, text_of(send_rows[i].account), text_of(send_rows[i].address)),
                         send_rows[i].outcome);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_where_the_tables_say),
        cmocka_unit_test(a_changed_file_is_seen_at_once),
        cmocka_unit_test(settings_change_the_reading),
        cmocka_unit_test(a_rewritten_sender_gets_his_mail_back),
        cmocka_unit_test(chains_and_numbers_are_bounded),
        cmocka_unit_test(packed_targets_come_in_parts),
        cmocka_unit_test(who_may_send_as_whom_follows_the_names),
        cmocka_unit_test(a_dot_stands_for_the_domains_below_and_a_star_for_all), /* last: everything is ours then */
    };
    log_start(2, "test_alias", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
