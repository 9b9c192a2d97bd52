/* SPDX-License-Identifier: MIT
 * The spool: journal, mail files and database as one. Messages and results are added to a batch; spool_finish makes one
 * flush and one transaction of it and tells what became of each. Used by the ledger, and by `parcelpost` and
 * `parcelpost-queue` while no daemon runs (whoever opens it must hold the spool's lock). Failures are outcomes, never
 * exits. The states of a message are the truth table in spool/journal.h. */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H
#include "mail/envelope.h"
#include "spool/journal.h"
#include "store/contacts.h"
#include "store/database.h"
#include "store/hold_rules.h"
#include "store/parcels.h"

struct spool;
struct spool_options { /* strings must outlive the spool */
    const char *queue, *database;
    struct journal_limits limits;
    uint64_t journal_max_message; /* a larger message becomes a file at once */
    int64_t queue_lifetime;       /* seconds until a waiting parcel expires */
    size_t rows_maximum;          /* so many rows of messages may wait for spool_settle; 0: none */
    const char *const *local_domains;
    size_t local_domain_count;
};
enum spool_outcome {
    SPOOL_OK,
    SPOOL_FAILED,  /* 451 */
    SPOOL_FULL,    /* 452 */
    SPOOL_INVALID, /* a bug of the asker */
    SPOOL_NOTHING  /* nothing to be done: it was recorded before; as good as OK, and at once */
};
/* Creates what is missing, applies the journal's records after journal_position, adds files without rows, opens a new
 * segment. One unreadable mail is logged and skipped. NULL with a sentence in error. */
struct spool *spool_open(const struct spool_options *options, struct buffer *error);
void spool_close(struct spool *spool);
void spool_set_options(struct spool *spool, const struct spool_options *options);
/* Writes local_domains into the domains table: rows added by hand stay. */
bool spool_sync_domains(struct spool *spool);
/* `parcelpost queue rebuild`: moves the database aside (to NAME.before-rebuild) and makes it anew from journal and
 * files; users and rows of contacts are not in the journal: contacts start afresh. A recipient that was recorded as
 * finished is never due again. report gets sentences in any case. */
bool spool_rebuild(const struct spool_options *options, struct buffer *report);
struct database *spool_database(struct spool *spool);
/* While no server runs: how many messages the journal of this queue has that the database has no rows of, as a start
 * would add. Needs no spool and no lock; 0 also for who may not read the journal. */
unsigned spool_count_unread(const char *queue, struct database *database);
/* Reads the hold rules anew after they were changed. False on a database error: the former ones hold. */
bool spool_read_hold_rules(struct spool *spool);
const struct hold_rules *spool_hold_rules(const struct spool *spool);
struct journal *spool_journal(struct spool *spool);

/* ---- large messages: queue/tmp/ID ---- */
enum spool_outcome spool_new_file(struct spool *spool, const char *mail_id, int *fd);
void spool_drop_file(struct spool *spool, const char *mail_id);

/* ---- the batch ---- */
struct spool_cargo {
    struct cargo_lengths lengths;
    struct text bytes;   /* all of it in memory; or */
    int fd;              /* when bytes.data is NULL: queue/tmp/ID, which stays the caller's */
    const char *file_id; /* then: its ID */
};
enum spool_result { SPOOL_DELIVERED, SPOOL_DEFERRED, SPOOL_ENDED_FAILED, SPOOL_ENDED_EXPIRED, SPOOL_ENDED_REMOVED };
struct spool_ending { /* what became of one recipient */
    uint32_t recipient;
    enum spool_result result;
    int64_t retry_at; /* when deferred */
    struct text reply;
    bool delay_told; /* when deferred: one of the notices tells its sender */
};
struct spool_attempt {
    const char *mail_id;
    const struct spool_ending *endings;
    size_t count;
    struct text route, host, address, tls;
    int64_t started_at, milliseconds;
    bool tried;                        /* false: an operator's change, or put off without an attempt */
    const struct spool_cargo *notices; /* mail that is stored in one batch with the results */
    size_t notice_count;
    struct spool_destination { /* what it says of the destination as a whole */
        bool answered, failed; /* neither: nothing */
        struct text name;
        int64_t rests_until; /* failed */
        uint32_t tls;        /* answered: enum destinations_tls it has shown */
    } destination;
};
struct spool_change { /* what an operator wants of waiting recipients */
    const char *mail_id;
    enum parcel_change kind;
    const uint32_t *recipients; /* by their numbers */
    size_t count;
    struct text words; /* PARCEL_BOUNCE: a reply, "550 5.7.1 …" */
};
struct spool_news { /* a message whose parcels can be delivered from now on */
    const struct envelope *envelope;
    const int64_t *parcel_ids; /* by recipient */
    uint64_t size;
    int64_t due_at, expires_at; /* due_at: retry_at of its rows */
};
struct spool_events {
    void *context;
    /* What became of an added piece that had a ticket. */
    void (*answer)(void *context, void *ticket, enum spool_outcome outcome);
    /* Its rows may still be to be written: the parcels have their ids, and spool_fetch finds it. */
    void (*news)(void *context, const struct spool_news *news);
};
/* Adds a message to the batch. SPOOL_OK: the answer comes from spool_finish; anything else is the answer. */
enum spool_outcome spool_add_mail(struct spool *spool, const struct spool_cargo *cargo, void *ticket);
/* Adds what became of recipients. Recipients that ended before are left as they are. */
enum spool_outcome spool_add_attempt(struct spool *spool, const struct spool_attempt *attempt, void *ticket);
/* Adds an operator's change. A hold moves the mail to a file first. */
enum spool_outcome spool_add_change(struct spool *spool, const struct spool_change *change, void *ticket);
/* Ends the batch: one flush, after which messages are answered, then one transaction, then other answers, then the
 * news. The journal is the truth, and a start makes rows of it: the rows of a batch of messages alone may wait. False
 * when the flush failed, or SQLite refused rows. An operator's change is in the rows alone: whoever tells of it has
 * them flushed (database_flush) before. */
bool spool_finish(struct spool *spool, const struct spool_events *events);
/* Writes the rows that wait, unless SQLite refused them: whoever reads rows finds all that has been answered. */
void spool_settle(struct spool *spool);
/* There is something that spool_settle would write. */
bool spool_is_unsettled(const struct spool *spool);
/* contacts_open (store/contacts.h), where it can be without a transaction of its own. */
bool spool_contact_open(struct spool *spool, const struct contacts_policy *policy, struct text contact, bool allowed,
                        int64_t now, struct contacts_state *state);
/* True while rows of a finished batch wait because SQLite refused them; then new mail gets SPOOL_FULL. */
bool spool_has_waiting_rows(const struct spool *spool);
/* True, once, after rows were written so late that whoever reads what is due, in the order of retry_at, may have been
 * past them. */
#define SPOOL_ROWS_LATE 1 /* seconds */
bool spool_rows_were_late(struct spool *spool);
/* Tries waiting rows again. */
void spool_retry_rows(struct spool *spool, const struct spool_events *events);

/* ---- reading and housekeeping ---- */
struct spool_content { /* a message's cargo */
    struct cargo_lengths lengths;
    char *bytes; /* from the journal, owned by the caller; or NULL and */
    int fd;      /* the file, read-only, owned by the caller; the cargo begins at offset 0 */
};
bool spool_fetch(struct spool *spool, const char *mail_id, struct spool_content *content);
/* After rows were edited by hand: mails whose recipients have all ended leave, parcels without a message end. A step of
 * it, the first one where anew; true when there are more. */
bool spool_sweep(struct spool *spool, bool anew);
/* Moves a few old mails out of a segment that nothing else keeps from being reused. */
void spool_unpin(struct spool *spool);
struct spool_recipient { /* who still waits */
    uint32_t recipient;
    bool held;
};
/* The waiting recipients of a mail; the caller frees *recipients. False on an error. */
bool spool_waiting(struct spool *spool, const char *mail_id, struct spool_recipient **recipients, size_t *count);
#endif
