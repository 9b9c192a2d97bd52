/* SPDX-License-Identifier: MIT
 * Contacts: hits, violations with their evidence, locks, expiry, mercies. Each change is one transaction, so that no
 * counter update is lost to somebody who edits rows with sqlite3. Used by the ledger (and `parcelpost` while no daemon
 * runs); false on a database error, with the reason in database_error.
 *
 * A contact is locked out while expires_at lies ahead and violations is not 0: whoever sets either by hand forgives. */
#ifndef STORE_CONTACTS_H
#define STORE_CONTACTS_H
#include "base/network.h"
#include "store/database.h"

struct contacts_policy {
    int64_t prohibited_seconds, lockout_maximum, history_days;
    unsigned maximum; /* max_failed_msgs_per_period */
};
enum contacts_verdict { CONTACTS_ADMIT, CONTACTS_WARN, CONTACTS_CLOSE };
enum contacts_mercy { CONTACTS_PLAIN, CONTACTS_UNKNOWN_RECIPIENT, CONTACTS_BROKEN };
struct contacts_state {                             /* what a call found and left */
    int64_t id, expires_at, locked_at, accepted_at; /* seconds since 1970; 0: none */
    unsigned violations;
    enum contacts_verdict verdict;
    char contact[NETWORK_IP_SIZE];
    bool locked;   /* this call locked it out, or moved the end of its lockout */
    bool unlocked; /* this call ended a lockout */
};
struct contacts_violation {
    int64_t contact_id; /* 0: by name */
    struct text contact, verb, rule, reply, account, mail_id;
    unsigned port;
    enum contacts_mercy mercy;
};
/* What is to be written of contacts with other rows: each message of a server that sends many would else be a
 * transaction more. Counts are added and nothing else is overwritten, so that it does not matter who writes before. */
#define CONTACTS_NOTES 64
struct contacts_notes {
    struct contacts_note {
        int64_t id, hits, hit_at, accepted_at; /* 0: none */
    } items[CONTACTS_NOTES];
    size_t count;
};
/* False: there is no room. */
bool contacts_note_accepted(struct contacts_notes *notes, int64_t contact_id, int64_t now);
/* Inside the caller's transaction, who forgets them once it is committed. */
bool contacts_write_notes(struct database *database, const struct contacts_notes *notes);
/* contacts_open for a contact without a count or lockout, whose hit it notes. False: contacts_open has to do it. */
bool contacts_open_noted(struct database *database, struct contacts_notes *notes, struct text contact, int64_t now,
                         struct contacts_state *state);
/* A message of it was accepted lately: the mercies, and no defence against strangers. */
bool contacts_is_known_good(const struct contacts_policy *policy, int64_t accepted_at, int64_t now);
/* A connection: one hit more; at the maximum of violations the lockout begins with a warning. allowed: is on the allow
 * list, so never locked out nor warned. */
bool contacts_open(struct database *database, const struct contacts_policy *policy, struct text contact, bool allowed,
                   int64_t now, struct contacts_state *state);
/* Evidence, and a point unless one of the mercies holds; above the maximum the lockout begins at once. */
bool contacts_violate(struct database *database, const struct contacts_policy *policy,
                      const struct contacts_violation *violation, bool allowed, int64_t now,
                      struct contacts_state *state);
/* A successful login clears. */
bool contacts_login(struct database *database, int64_t contact_id, int64_t now, struct contacts_state *state);
/* Attempts of a contact that is locked out: they move the end of the lockout, up to lockout_maximum after it began. */
bool contacts_attempts(struct database *database, const struct contacts_policy *policy, struct text contact,
                       unsigned hits, int64_t last_at, int64_t now, struct contacts_state *state);
/* An accepted message, inside the caller's transaction: clears a stranger's count unless locked out. */
bool contacts_accepted(struct database *database, int64_t contact_id, int64_t now);
/* unlock_command has run, or there is none: locked_at, by which a start knows that it is due, goes. A contact that was
 * locked out again keeps it. */
bool contacts_unlocked(struct database *database, struct text contact);
/* Ends lockouts that are over or forgiven; *changed says whether there were any. */
bool contacts_expire(struct database *database, int64_t now, bool *changed);
/* Only those that are over: looks at no others, however many they are. */
bool contacts_expire_due(struct database *database, int64_t now, bool *changed);
/* Operator: lock a contact out now; forgive one, or all with NULL. */
bool contacts_lock(struct database *database, const struct contacts_policy *policy, struct text contact, int64_t now,
                   struct contacts_state *state);
bool contacts_forgive(struct database *database, const char *contact, int64_t now, int64_t *changed);
/* The same while no ledger runs: the lockout's end stays in the row, by which the next start knows that there was one
 * and runs unlock_command. */
bool contacts_pardon(struct database *database, const char *contact, int64_t now, int64_t *changed);
/* Every contact that is locked out, in strcmp order. */
typedef void contacts_visit(void *context, const char *contact, int64_t until, int64_t began);
bool contacts_locked(struct database *database, int64_t now, contacts_visit *visit, void *context);
/* Every contact whose lockout is over or forgiven, but not ended yet by contacts_expire, or not yet told to
 * contacts_unlocked. */
bool contacts_over(struct database *database, int64_t now, contacts_visit *visit, void *context);
#endif
