/* SPDX-License-Identifier: MIT
 * What the scenarios of the crash matrix are made of: single things that a ledger does, each noting for those who look
 * afterwards what was asked for and what was promised. */
#ifndef TESTS_CRASH_STEPS_H
#define TESTS_CRASH_STEPS_H
#include "../../unit/store_fixture.h"
#include "disk.h"
#include "spool/checkpoint.h"

#define MESSAGES 48
#define RECIPIENTS 3

/* What the ended process had been told, and had told others; shared with the one that looks. */
struct message {
    unsigned recipients;
    size_t size;
    bool offered, accepted;                          /* to the spool; by it */
    bool tried[RECIPIENTS];                          /* an end was handed to the spool */
    bool ended[RECIPIENTS];                          /* and recorded */
    bool purged;                                     /* its rows may have left */
    enum { MAY_BE_HELD, IS_HELD, IS_NOT_HELD } hold; /* of recipient 0, as an operator was told */
};
struct run {
    struct disk disk;
    struct message messages[MESSAGES];
    bool rebuilt;                    /* rows of what has ended are not made anew */
    unsigned stored, tried_to_store; /* Maildir files */
};
static struct run *run;
static struct fixture fixture;

/* ---- steps ---- */

/* Where no call fails everything works; where one does, what was asked for may be refused, but is not promised then. */
static bool worked(bool good) {
    if (!good && run->disk.crash < DISK_EIO)
        fail_msg("a step failed without a fault");
    return good;
}

static void note_answers(unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++)
        run->messages[i].accepted = worked(fixture.answers[i] == SPOOL_OK);
}

static void offer(unsigned number, unsigned recipients, size_t size) {
    run->messages[number] = (struct message){.recipients = recipients, .size = size, .offered = true};
    (void)worked(fixture_add(&fixture, number, recipients, size) == SPOOL_OK);
}

/* One batch. */
static void accept_mail(unsigned first, unsigned count, size_t size) {
    for (unsigned i = first; i < first + count; i++)
        offer(i, 1 + i % RECIPIENTS, size);
    fixture_finish(&fixture);
    note_answers(first, count);
}

/* As a receiver does it: the file's data is flushed before the ledger hears of it. */
static bool commit_large(unsigned number) {
    struct buffer bytes;
    struct spool_cargo cargo;
    char id[MAIL_ID_SIZE];
    int fd;

    fixture_id(number, id);
    if (spool_new_file(fixture.spool, id, &fd) != SPOOL_OK)
        return false;
    fixture_cargo(number, 1, run->messages[number].size, &bytes, &cargo);
    bool good = file_write_all(fd, bytes.data, bytes.length) && fdatasync(fd) == 0;
    cargo.bytes = (struct text){NULL, 0};
    cargo.fd = fd;
    cargo.file_id = id;
    if (good)
        good = spool_add_mail(fixture.spool, &cargo, &fixture.answers[number]) == SPOOL_OK;
    else
        spool_drop_file(fixture.spool, id);
    (void)close(fd);
    buffer_free(&bytes);
    return good;
}

static void accept_large(unsigned number) {
    run->messages[number] = (struct message){.recipients = 1, .size = 100000, .offered = true};
    fixture.answers[number] = SPOOL_NOTHING;
    if (worked(commit_large(number)))
        fixture_finish(&fixture);
    note_answers(number, 1);
}

static void report(unsigned number, uint32_t recipient, enum spool_result result, const char *reply) {
    struct message *message = &run->messages[number];
    bool ends = result != SPOOL_DEFERRED;

    message->tried[recipient] = message->tried[recipient] || ends;
    if (!message->accepted || !worked(fixture_result(&fixture, number, recipient, result, reply) == SPOOL_OK))
        return;
    message->ended[recipient] = message->ended[recipient] || ends;
}

static void deliver_all(unsigned number) {
    for (uint32_t i = 0; i < run->messages[number].recipients; i++)
        report(number, i, SPOOL_DELIVERED, "250 2.0.0 OK");
}

/* A failure and its notice are one batch. */
static void fail_with_notice(unsigned number, unsigned notice) {
    struct message *message = &run->messages[number];
    struct spool_cargo cargo;
    struct buffer bytes;
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer = SPOOL_NOTHING;

    fixture_cargo(notice, 1, 700, &bytes, &cargo);
    fixture_id(number, id);
    const struct spool_ending ending = {
        .recipient = 0, .result = SPOOL_ENDED_FAILED, .reply = TEXT("550 5.1.1 nobody")};
    struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
    attempt.notices = &cargo;
    attempt.notice_count = 1;
    run->messages[notice] = (struct message){.recipients = 1, .size = 700, .offered = true};
    message->tried[0] = true;
    if (message->accepted && worked(spool_add_attempt(fixture.spool, &attempt, &answer) == SPOOL_OK)) {
        fixture_finish(&fixture);
        message->ended[0] = run->messages[notice].accepted = worked(answer == SPOOL_OK);
    }
    buffer_free(&bytes);
}

/* Refused or not: what the operator hears then holds. */
static void change(unsigned number, enum parcel_change kind) {
    const uint32_t first = 0;
    enum spool_outcome answer = SPOOL_NOTHING;
    char id[MAIL_ID_SIZE];

    fixture_id(number, id);
    const struct spool_change wanted = {
        .mail_id = id, .kind = kind, .recipients = &first, .count = 1, .words = TEXT_NONE};
    run->messages[number].hold = MAY_BE_HELD;
    if (spool_add_change(fixture.spool, &wanted, &answer) == SPOOL_OK)
        fixture_finish(&fixture);
    (void)worked(database_flush(spool_database(fixture.spool)));
    if (!spool_has_waiting_rows(fixture.spool))
        run->messages[number].hold = strncmp(fixture_states(&fixture, number), "held", 4) == 0 ? IS_HELD : IS_NOT_HELD;
}

/* The ledger's helper thread does this; here it happens at a known moment. */
static void checkpoint(void) {
    struct journal *journal = spool_journal(fixture.spool);
    struct journal_place durable;

    if (checkpoint_run(spool_database(fixture.spool), fixture.database, &durable))
        journal_set_durable(journal, durable);
}

/* A start that is refused, with a sentence, is an end without a fault of ours; the operator mends the disk. */
static void open_spool(void) {
    struct buffer error;

    if (fixture.spool == NULL)
        fixture_name(&fixture, run->disk.directory);
    buffer_init(&error, 4096);
    fixture.spool = spool_open(&fixture.options, &error);
    if (!worked(fixture.spool != NULL))
        _exit(error.length > 0 ? 0 : 1);
    buffer_free(&error);
}
#endif
