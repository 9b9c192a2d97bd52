/* SPDX-License-Identifier: MIT
 * What the files spool*.c share: the spool and the pieces of its batch. */
#ifndef SPOOL_SPOOL_PRIVATE_H
#define SPOOL_SPOOL_PRIVATE_H
#include "spool/mail_file.h"
#include "spool/spool.h"
#include "store/contacts.h"
#include "store/parcels.h"
#include "store/sweep.h"
#include <time.h>

enum piece_kind { PIECE_MAIL, PIECE_ATTEMPT, PIECE_CHANGE };
struct piece_ending {
    uint32_t recipient;
    enum recipient_status status; /* QUEUED: deferred */
    int64_t retry_at, parcel_id;
    char *reply;
    bool delay_told;
};
struct piece { /* of a batch */
    struct piece *next;
    enum piece_kind kind;
    void *ticket;
    bool in_journal; /* its records must be flushed to count */
    bool flushed;    /* what it says has happened, whatever becomes of its rows */
    bool told;       /* those who wait for it know, too: only its rows are left to be written */
    char mail_id[MAIL_ID_SIZE];
    /* PIECE_MAIL */
    struct envelope envelope;
    struct cargo_lengths lengths;
    int64_t *parcel_ids;
    char **held_by; /* by recipient: the words of what holds it, or NULL; NULL when none is held */
    /* PIECE_CHANGE */
    enum parcel_change change;
    uint32_t *recipients;
    size_t recipient_count;
    char *words;
    /* PIECE_ATTEMPT */
    struct piece_ending *endings;
    size_t ending_count;
    struct parcels_attempt attempt; /* strings owned */
    bool tried;
    struct spool_destination destination; /* its name is owned */
    bool to_file;                         /* a file was written: the mail leaves the journal */
    bool mark_file;                       /* the mail has a file: its status bytes follow after the flush */
    bool ended;                           /* no recipient waits any more: the mail leaves the spool */
    enum place_kind place_kind;           /* where the mail lies (PIECE_MAIL), or lay */
    struct journal_place place;
    int64_t at;
};
/* Files whose checksum was right when they were last read whole. Bounded: a place holds one of those that fall on it.
 */
#define VERIFIED_PLACES 2048
struct verified {
    char mail_id[MAIL_ID_SIZE];
    struct timespec changed; /* the file's ctime then: anybody's write shows */
};
struct spool {
    struct sweep sweep;
    struct spool_options options;
    int claim; /* queue/ itself, locked */
    struct database *database;
    struct journal *journal;
    struct mail_files files;
    struct verified verified[VERIFIED_PLACES];
    struct hold_rules hold_rules;
    uint64_t file_bytes;
    bool names_removed; /* from queue/mail, not flushed yet */
    bool strays; /* a batch failed after a mail of it became a file: queue/mail may have what rows call journal */
    struct piece *first, **last; /* what is flushed goes first: its rows are still to be written */
    size_t waiting_rows;         /* of what is flushed */
    struct contacts_notes notes; /* go with the next rows */
    bool rows_wait;              /* SQLite refused rows of what is flushed */
    bool rows_late;              /* since spool_rows_were_late */
    struct journal_place end;    /* of what is flushed */
};
/* spool.c: makes queue/ if missing and locks it until the descriptor is closed: two configurations may name two lock
 * files and one queue, and two writers lose mail. -1 with a sentence in error. */
int spool_claim(const char *queue, struct buffer *error);
struct piece *spool_piece_new(enum piece_kind kind, const char *mail_id, void *ticket);
void spool_piece_free(struct piece *piece);
/* Frees a piece that does not enter the batch, or whose batch failed. Its file stays: a start may find it anyway. */
void spool_piece_drop(struct spool *spool, struct piece *piece);
void spool_piece_add(struct spool *spool, struct piece *piece);
/* The message, when its rows are still to be written; or NULL. */
const struct piece *spool_find_flushed(const struct spool *spool, const char *mail_id);
/* spool_rows.c: writes the rows of what is flushed, and notes of contacts, in one transaction with journal_position. */
bool spool_rows_write(struct spool *spool);
/* spool_file.c: moves a mail of the journal into its file; statuses of recipients that ended are taken from the rows
 * and from the piece. False: it stays where it is. */
bool spool_file_from_journal(struct spool *spool, struct piece *piece);
/* The change is about this recipient. */
bool spool_piece_has(const struct piece *piece, uint32_t recipient);
/* Status bytes of a mail at rest, where a change holds or no longer holds recipients. */
bool spool_file_mark(struct spool *spool, const struct piece *piece);
/* spool_mail.c: spool_add_mail with the right to the reserve; SPOOL_NOTHING when the id is known. */
enum spool_outcome spool_take_mail(struct spool *spool, const struct spool_cargo *cargo, enum journal_right right,
                                   void *ticket);
void spool_file_count(struct spool *spool, int64_t bytes);
/* Appends `gone`. */
enum journal_result spool_append_gone(struct spool *spool, const char *mail_id, enum gone_reason reason);
/* spool_rows.c: what the rows of a new mail's recipients say; words is its room. */
#define SPOOL_WORDS_SIZE 80
struct parcels_fresh spool_fresh(const struct spool *spool, const struct envelope *envelope, int64_t now,
                                 char words[SPOOL_WORDS_SIZE]);
/* spool_recover.c: everything a start does between opening and the first request. */
bool spool_recover(struct spool *spool, struct buffer *error);
/* The rows of it; rebuild: the database was empty, so that every file is read and envelopes' contacts are unknown. */
bool spool_recover_rows(struct spool *spool, bool rebuild, struct buffer *error);
#endif
