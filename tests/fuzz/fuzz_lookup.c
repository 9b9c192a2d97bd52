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

static char main_path[96], users_path[96], list_path[96];
static struct config_transport transports[] = {{.name = (char *)"archive"}};
static struct lookup lookup = {
    .postmaster = "coco@example.test",
    .delimiter = "+",
    .transports = transports,
    .transport_count = 1,
    .first_domain = "example.test",
    .scram_iterations = 4096,
    .srs = {.secrets = {"secret", "former"}, .secret_count = 2, .hash_length = 6, .domain = "example.test"},
};

static struct database *open_new(const char *path, enum database_kind kind) {
    struct buffer error;

    buffer_init(&error, 1024);
    struct database *database = database_open(path, kind, DATABASE_WRITE, &error);
    FUZZ_CHECK(database != NULL);
    buffer_free(&error);
    return database;
}

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
    static const char *const domains[] = {"example.test", "second.test", "third.test", "a.below.test"};

    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++)
        FUZZ_CHECK(statement_run(database, STATEMENT_DOMAIN_ADD, BINDS(bind_string(domains[i]))));
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
    FUZZ_CHECK(users_set(database, TEXT("md5@example.test"), "$1$abcdefgh$xxxxxxxxxxxxxxxxxxxxxx", NULL));
}

static void fuzz_start(void) {
    fuzz_make_directory();
    (void)snprintf(main_path, sizeof main_path, "%s/parcelpost.db", fuzz_directory);
    (void)snprintf(users_path, sizeof users_path, "%s/users.db", fuzz_directory);
    (void)snprintf(list_path, sizeof list_path, "%s/list", fuzz_directory);
    struct database *database = open_new(main_path, DATABASE_MAIN);
    add_aliases(database);
    database_close(database);
    database = open_new(users_path, DATABASE_USERS);
    add_users(database);
    database_close(database);
    source_init(&lookup.main, main_path, DATABASE_MAIN);
    source_init(&lookup.users, users_path, DATABASE_USERS);
}

static void check_address(uint8_t flags, struct text input) {
    struct text sender = fuzz_piece(&input), address = fuzz_piece(&input);
    char canonical[ANSWER_ADDRESS_SIZE];
    struct targets targets;
    struct buffer list;

    lookup.tag_goes_on = flags & 4;
    lookup.delimiter = flags & 8 ? "" : "+";
    lookup.expansion_maximum = flags & 16 ? 2 : 0;
    lookup.srs.secret_count = flags & 32 ? 0 : 2;
    fuzz_write_file(list_path, input);
    targets_init(&targets, &lookup, sender);
    enum address_standing standing = alias_follow(&targets, address, canonical);
    bool leads = standing == STANDING_MEMBER || standing == STANDING_RETURN;
    FUZZ_CHECK(leads == (targets.count > 0));
    buffer_init(&list, 256);
    for (uint32_t skip = 0; skip < targets.count; skip++)
        (void)targets_pack(&targets, skip, &list);
    buffer_free(&list);
    targets_free(&targets);
    FUZZ_CHECK(answer_may_send(&lookup, TEXT("coco@example.test"), address) <= LOGIN_TEMPFAIL);
}

static void check_login(struct text input) {
    struct text user = fuzz_piece(&input), password = fuzz_piece(&input);
    char account[ANSWER_ADDRESS_SIZE], prepared[SASLPREP_SIZE];

    if (answer_login(&lookup, user, password, account) == LOGIN_OK) {
        bool same =
            text_equal(password, TEXT("secret")) || (saslprep(password, prepared) && strcmp(prepared, "secret") == 0);
        FUZZ_CHECK(same && account[0] != '\0');
    }
}

static void check_scram(struct text input) {
    struct lookup_scram_finish question = {.user = fuzz_piece(&input)};
    char account[ANSWER_ADDRESS_SIZE];
    unsigned char signature[SCRAM_KEY_SIZE];
    struct scram_verifier verifier;

    question.auth_message = fuzz_piece(&input);
    question.proof = fuzz_piece(&input);
    FUZZ_CHECK(answer_scram_begin(&lookup, question.user, &verifier) == LOGIN_OK && verifier.iterations >= 4096);
    FUZZ_CHECK(answer_scram_finish(&lookup, &question, account, signature) == LOGIN_REFUSED);
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
        check_login(input);
        break;
    case 2:
        check_scram(input);
        break;
    default:
        check_srs(flags, text_first(input, text_find(input, '\0')));
    }
}
