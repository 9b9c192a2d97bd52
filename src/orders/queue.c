/* SPDX-License-Identifier: MIT
 * Orders about parcels that wait. Each names the mails it is about, a bounded number, so that whoever asks for a
 * hundred thousand asks in steps and the ledger serves others between them. Recipients that have ended meanwhile are
 * skipped. */
#include "base/memory.h"
#include "mail/mail_id.h"
#include "orders/order.h"
#include "spool/changes.h"
#include "store/clock_shift.h"
#include <stdlib.h>

#define MAILS_MAXIMUM 1000 /* of one order */

struct change { /* of one order */
    enum changes_kind kind;
    const char *done;
};

/* "MAIL_ID N N N": false when it is something else. *recipients is the caller's to free. */
static bool read_line(struct text line, char mail_id[MAIL_ID_SIZE], uint32_t **recipients, size_t *count) {
    struct text word;
    uint64_t number;
    *count = 0;
    *recipients = memory_new(line.length / 2 + 1, sizeof **recipients);
    if (!text_split(&line, ' ', &word) || !mail_id_is_valid(word) || !text_copy(mail_id, MAIL_ID_SIZE, word)) {
        return false;
    }
    while (text_split(&line, ' ', &word)) {
        if (!text_number(word, UINT32_MAX, &number)) {
            return false;
        }
        (*recipients)[(*count)++] = (uint32_t)number;
    }
    return true;
}

static enum spool_outcome change_line(struct order *order, enum changes_kind kind, struct text line,
                                      struct text words) {
    char mail_id[MAIL_ID_SIZE];
    uint32_t *recipients;
    size_t count, affected = 0;
    enum spool_outcome outcome = SPOOL_INVALID;
    if (read_line(line, mail_id, &recipients, &count)) {
        outcome = changes_add(order->spool, kind, mail_id, recipients, count, words, &affected);
    }
    order->affected += outcome == SPOOL_OK ? (int64_t)affected : 0;
    free(recipients);
    return outcome;
}

static enum exit_status answer(struct order *order, const struct change *change, enum spool_outcome worst) {
    if (worst == SPOOL_INVALID) {
        buffer_format(order->answer, "\"%s\" is no message", order->argument);
        return EXIT_STATUS_USAGE;
    }
    if (order->affected == 0 && worst == SPOOL_OK) {
        buffer_format(order->answer, "no waiting parcel of %s", order->argument);
        return EXIT_STATUS_NO_USER;
    }
    order->effects = ORDER_BATCH | ORDER_RUNNER;
    bool moves = worst != SPOOL_OK && clock_shift_goes_on(spool_database(order->spool));
    if (moves) {
        buffer_format(order->answer, "the machine's clock was set, and what waits is being moved with it: %s; ",
                      order->resident ? "try again in a moment" : "try again when the server has run");
    } else if (worst != SPOOL_OK) {
        buffer_format(order->answer, "not all of it could be written: see the log; ");
    }
    buffer_format(order->answer, "%lld parcel%s %s", (long long)order->affected, order->affected == 1 ? "" : "s",
                  change->done);
    return worst == SPOOL_OK ? EXIT_STATUS_OK : moves ? EXIT_STATUS_TEMPFAIL : EXIT_STATUS_ERROR;
}

static enum exit_status change_lines(struct order *order, const struct change *change) {
    struct text rest = text_of(order->detail), words = TEXT_NONE, line;
    enum spool_outcome worst = SPOOL_OK;
    size_t mails = 0;
    (void)text_split(&rest, '\n', &words);
    if (rest.length == 0) {
        rest = text_of(order->argument);
    }
    while (text_split(&rest, '\n', &line) && worst == SPOOL_OK && mails++ < MAILS_MAXIMUM) {
        enum spool_outcome outcome = change_line(order, change->kind, line, words);
        worst = outcome == SPOOL_OK || outcome == SPOOL_NOTHING ? worst : outcome;
    }
    return answer(order, change, worst);
}

enum exit_status order_queue_hold(struct order *order) {
    return change_lines(order, &(struct change){CHANGES_HOLD, "held"});
}

enum exit_status order_queue_release(struct order *order) {
    return change_lines(order, &(struct change){CHANGES_RELEASE, "released"});
}

enum exit_status order_queue_retry(struct order *order) {
    return change_lines(order, &(struct change){CHANGES_RETRY, "due now"});
}

enum exit_status order_queue_bounce(struct order *order) {
    return change_lines(order, &(struct change){CHANGES_BOUNCE, "on the way back to the sender"});
}

enum exit_status order_queue_remove(struct order *order) {
    return change_lines(order, &(struct change){CHANGES_REMOVE, "removed"});
}
