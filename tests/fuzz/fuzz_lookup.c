/* SPDX-License-Identifier: MIT
 * Fuzz target: what lookup answers of addresses, logins and reverse-paths that strangers name, over databases and a
 * list's file: the way through aliases ends, SRS leads back to whom it was made for, and nobody gets in without the
 * password. */
#include "fuzz_directory.h"
#include "lookup/alias.h"
#include "lookup/alias_file.h"
#include "lookup/login.h"
#include "mail/address.h"
#include "mail/saslprep.h"
#include "store/aliases.h"
#include "store/statements.h"
#include "tls/scram.h"
#include <crypt.h>
#include <time.h>

/* Columns as the manual's example has them; :user is a name in a database of the operator's. */
#define QUERY "SELECT address, hash FROM users WHERE address = :user"

static char main_path[96], users_path[96], list_path[96];
static struct config_transport transports[] = {{.name = (char *)"archive"}};
static char *domains[] = {(char *)"example.test"};
static struct config config = {
    .postmaster = (char *)"coco@example.test",
    .recipient_delimiter = (char *)"+",
    .transports = transports,
    .transport_count = 1,
    .local_domains = {domains, 1},
    .scram_iterations = 4096,
    .srs_domain = (char *)"example.test",
    .srs_secret_file = list_path,
    .database = main_path,
    .users_database = users_path,
};
static struct lookup lookup;

static struct lookup broken;

static void add_aliases(struct database *database) {
    static const struct {
        const char *address, *target, *owner;
    } rows[] = {
        {"team@example.test", "coco@example.test", ""},
        {"team@example.test", "mike@second.test", ""},
        {"team@example.test", "stranger@remote.test", ""},
        {"list@example.test", "coco@example.test", "owner@example.test"},
        {"list@example.test", "other@remote.test", "owner@example.test"},
        {"self@example.test", "=", ""},
        {"coco@example.test", "coco@example.test", ""},
        {"a@example.test", "b@example.test", ""},
        {"b@example.test", "a@example.test", ""},
        {"stored@example.test", "|archive", ""},
        {"wrong@example.test", "|nothing", ""},
        {"wrong@second.test", "no address", ""},
        {"@third.test", "@example.test", ""},
        {"@.below.test", "coco@example.test", ""},
        {"@second.test", "=", ""},
        {"gone@example.test", "nobody@example.test", ""},
        {"d0@example.test", "d1@example.test", ""},
        {"d1@example.test", "d2@example.test", ""},
        {"d2@example.test", "d3@example.test", ""},
        {"d3@example.test", "d4@example.test", ""},
        {"d4@example.test", "d5@example.test", ""},
        {"d5@example.test", "d6@example.test", ""},
        {"d6@example.test", "d7@example.test", ""},
        {"d7@example.test", "d8@example.test", ""},
        {"d8@example.test", "d9@example.test", ""},
        {"d9@example.test", "coco@example.test", ""},
        {"f@example.test", "/nonexistent", ""},
        {"edited@example.test", "coco@example.test\n\nmike@second.test", ""},
    };
    static const char *const named[] = {"example.test", "second.test", "third.test", "a.below.test"};

    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        FUZZ_CHECK(statement_run(database, STATEMENT_DOMAIN_ADD, BINDS(bind_string(named[i]))));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        FUZZ_CHECK(aliases_add(database, rows[i].address, rows[i].target, rows[i].owner, 1000000));
    FUZZ_CHECK(aliases_add(database, "file@example.test", list_path, "", 1000000));
}

static void add_users(struct database *database) {
    static const char *const names[] = {"coco@example.test", "mike@second.test", "mike@example.test"};
    struct crypt_data data = {.input = {0}};
    const char *hash = crypt_r("secret", "$5$rounds=1000$abcdefgh$", &data);

    FUZZ_CHECK(hash != NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        FUZZ_CHECK(users_set(database, text_of(names[i]), hash, NULL));
    struct scram_verifier verifier;
    char scram[SCRAM_TEXT_SIZE];
    scram_make(TEXT("secret"), TEXT("0123456789abcdef"), 4096, &verifier);
    scram_format(&verifier, scram);
    FUZZ_CHECK(users_set(database, TEXT("mike@example.test"), hash, scram));
    FUZZ_CHECK(users_set(database, TEXT("md5@example.test"), "$1$abcdefgh$xxxxxxxxxxxxxxxxxxxxxx", NULL));
}

static void fuzz_start(void) {
    fuzz_make_directory();
    (void)snprintf(main_path, sizeof main_path, "%s/parcelpost.db", fuzz_directory);
    (void)snprintf(users_path, sizeof users_path, "%s/users.db", fuzz_directory);
    (void)snprintf(list_path, sizeof list_path, "%s/list", fuzz_directory);
    struct database *database = fuzz_open_database(main_path, DATABASE_MAIN);
    add_aliases(database);
    database_close(database);
    database = fuzz_open_database(users_path, DATABASE_USERS);
    add_users(database);
    database_close(database);
    fuzz_write_file(list_path, TEXT("0123456789abcdef\nfedcba9876543210\n"));
    lookup_take_settings(&lookup, &config);
    FUZZ_CHECK(lookup.srs.secret_count == 2);
    broken = lookup;
    source_init(&broken.main, list_path, DATABASE_MAIN); /* which is no database */
    source_init(&broken.users, list_path, DATABASE_USERS);
    fuzz_write_file(list_path, TEXT("no database"));
}

/* Of the databases one is no database, or is not there. */
static struct lookup *lookup_for(uint8_t flags) {
    static struct lookup half;

    if ((flags & 0xc0) != 0xc0)
        return &lookup;
    source_close(&half.main);
    source_close(&half.users);
    half = broken;
    if (flags & 8)
        source_init(&half.main, main_path, DATABASE_MAIN);
    if (flags & 16)
        source_init(&half.users, "/nonexistent", DATABASE_USERS);
    return &half;
}

static void check_address(uint8_t flags, struct text input) {
    struct text sender = fuzz_piece(&input), address = fuzz_piece(&input);
    char canonical[ANSWER_ADDRESS_SIZE], returning[SRS_ADDRESS_SIZE];
    struct lookup *asked = lookup_for(flags);
    struct targets targets;
    struct buffer list;

    lookup.tag_goes_on = flags & 4;
    lookup.delimiter = flags & 8 ? "" : "+";
    lookup.expansion_maximum = flags & 16 ? 2 : 0;
    lookup.srs.secret_count = flags & 32 ? 0 : 2;
    lookup.postmaster = flags & 128 ? "post@remote.test" : "coco@example.test";
    if (flags & 64 && srs_forward(&lookup.srs, address, (int64_t)time(NULL), returning)) /* what we made of it */
        address = text_of(returning);
    fuzz_write_file(list_path, input);
    targets_init(&targets, asked, sender);
    enum address_standing standing = alias_follow(&targets, address, canonical);
    bool leads = standing == STANDING_MEMBER || standing == STANDING_RETURN;
    FUZZ_CHECK(leads == (targets.count > 0));
    buffer_init(&list, 256);
    for (uint32_t skip = 0; skip < targets.count; skip++)
        (void)targets_pack(&targets, skip, &list);
    buffer_free(&list);
    targets_free(&targets);
    FUZZ_CHECK(answer_may_send(asked, TEXT("coco@example.test"), address) <= LOGIN_TEMPFAIL);
}

/* Logins may be in a database of the operator's. */
static void set_logins(uint8_t flags) {
    login_source_close(&lookup.logins);
    lookup.logins = (struct login_source){.database = users_path, .sql = flags & 32 ? QUERY : "", .milliseconds = 1000};
}

static void check_login(uint8_t flags, struct text input) {
    struct text user = fuzz_piece(&input), password = fuzz_piece(&input);
    char account[ANSWER_ADDRESS_SIZE], prepared[SASLPREP_SIZE];
    struct lookup *asked = lookup_for(flags);

    set_logins(flags);
    enum login_outcome outcome = answer_login(asked, user, password, account);
    if (outcome == LOGIN_OK) {
        bool same =
            text_equal(password, TEXT("secret")) || (saslprep(password, prepared) && strcmp(prepared, "secret") == 0);
        FUZZ_CHECK(same && account[0] != '\0');
    }
    FUZZ_CHECK(asked == &lookup || outcome != LOGIN_OK);
}

static void check_scram(uint8_t flags, struct text input) {
    struct lookup_scram_finish question = {.user = fuzz_piece(&input)};
    char account[ANSWER_ADDRESS_SIZE];
    unsigned char signature[SCRAM_KEY_SIZE];
    struct scram_verifier verifier;

    question.auth_message = fuzz_piece(&input);
    question.proof = fuzz_piece(&input);
    set_logins(flags);
    enum login_outcome begun = answer_scram_begin(lookup_for(flags), question.user, &verifier);
    FUZZ_CHECK(begun == LOGIN_OK || (begun == LOGIN_TEMPFAIL && (flags & 0xc0) == 0xc0));
    FUZZ_CHECK(verifier.iterations >= 4096);
    FUZZ_CHECK(answer_scram_finish(lookup_for(flags), &question, account, signature) != LOGIN_OK);
}

/* now and then, so that what was made long ago comes back, too. */
static void check_srs(uint8_t flags, struct text sender) {
    char rewritten[SRS_ADDRESS_SIZE], original[SRS_ADDRESS_SIZE];
    int64_t now = 1800000000, later = flags & 64 ? now + (int64_t)100 * 86400 : now;

    lookup.srs.secret_count = 2;
    (void)srs_reverse(&lookup.srs, sender, now, original);
    if (!srs_forward(&lookup.srs, sender, now, rewritten) ||
        !address_domain_is_valid(address_domain_of(sender), false)) /* no address: it was never one */
        return;
    enum srs_outcome outcome = srs_reverse(&lookup.srs, text_of(rewritten), later, original);
    FUZZ_CHECK(outcome == SRS_BACK || (outcome == SRS_OLD && later > now));
    FUZZ_CHECK(text_starts_nocase(sender, TEXT("SRS")) || text_equal(text_of(original), sender));
    (void)srs_forward(&lookup.srs, text_of(rewritten), now, original);
    size_t length = strlen(rewritten);
    rewritten[flags % length] ^= 1;
    (void)srs_reverse(&lookup.srs, text_of(rewritten), now, original);
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);

    switch (flags % 4) {
    case 0:
        check_address(flags, input);
        break;
    case 1:
        check_login(flags, input);
        break;
    case 2:
        check_scram(flags, input);
        break;
    default:
        check_srs(flags, text_first(input, text_find(input, '\0')));
    }
}
