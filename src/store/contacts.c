/* SPDX-License-Identifier: MIT
 * Contacts and violations. Called by ledger/contact.c and control.c with the ledger's privileges; every change reads
 * and writes its row in one transaction. A database error gives false and changes nothing. */
#include "store/contacts.h"
#include "store/statements.h"
#include <string.h>

#define SECONDS_A_DAY 86400

struct row {
    int64_t id, hits, locks, violations, expires_at, locked_at, accepted_at;
    char contact[NETWORK_IP_SIZE];
};

static enum statement_result read_row(struct sqlite3_stmt *statement, struct row *row) {
    enum statement_result result = statement_step(statement);
    if (result == STATEMENT_ROW) {
        *row = (struct row){.id = column_integer(statement, 0),
                            .hits = column_integer(statement, 2),
                            .locks = column_integer(statement, 3),
                            .violations = column_integer(statement, 4),
                            .expires_at = column_time(statement, 5),
                            .locked_at = column_time(statement, 6),
                            .accepted_at = column_time(statement, 7)};
        (void)text_copy(row->contact, sizeof row->contact, text_of(column_string(statement, 1)));
    }
    statement_end(statement);
    return result;
}

static bool find_or_add(struct database *database, int64_t id, struct text contact, int64_t now, struct row *row) {
    enum statement_result result = STATEMENT_DONE;
    if (id > 0) {
        result = read_row(statement_query(database, STATEMENT_CONTACT_BY_ID, BINDS(bind_integer(id))), row);
    }
    if (result == STATEMENT_DONE && contact.length > 0) {
        result = read_row(statement_query(database, STATEMENT_CONTACT_BY_IP, BINDS(bind_text(contact))), row);
    }
    if (result != STATEMENT_DONE || contact.length == 0) {
        return result == STATEMENT_ROW;
    }
    if (!statement_run(database, STATEMENT_CONTACT_ADD, BINDS(bind_text(contact), bind_time(now)))) {
        return false;
    }
    *row = (struct row){.id = statement_row_id(database)};
    return text_copy(row->contact, sizeof row->contact, contact);
}

static bool save(struct database *database, const struct row *row, int64_t now) {
    return statement_run(database, STATEMENT_CONTACT_SAVE,
                         BINDS(bind_integer(row->id), bind_integer(row->hits), bind_integer(row->locks),
                               bind_integer(row->violations), bind_time(row->expires_at), bind_time(row->locked_at),
                               bind_time(now)));
}

static void tell(const struct row *row, struct contacts_state *state) {
    state->id = row->id;
    state->expires_at = row->expires_at;
    state->locked_at = row->locked_at;
    state->accepted_at = row->accepted_at;
    state->violations = row->violations < 0 ? 0 : (unsigned)row->violations;
    memcpy(state->contact, row->contact, sizeof state->contact);
}

/* Ends the transaction and tells what was left. */
static bool finish(struct database *database, bool good, const struct row *row, struct contacts_state *state) {
    if (!good || !database_commit(database)) {
        database_rollback(database);
        return false;
    }
    tell(row, state);
    return true;
}

static bool is_locked(const struct row *row, int64_t now) {
    return row->expires_at > now && row->violations > 0;
}

/* A lockout that is over, or was forgiven by hand, leaves no count behind. */
static void end_lockout(struct row *row, struct contacts_state *state) {
    row->violations = 0;
    row->expires_at = 0; /* locked_at stays until contacts_unlocked */
    state->unlocked = true;
}

static void begin_lockout(struct row *row, const struct contacts_policy *policy, int64_t now,
                          struct contacts_state *state) {
    int64_t longest = policy->lockout_maximum;
    row->locks++;
    row->locked_at = now;
    row->expires_at = now + (policy->prohibited_seconds < longest ? policy->prohibited_seconds : longest);
    state->locked = true;
    state->verdict = CONTACTS_WARN;
}

static void move_end(struct row *row, const struct contacts_policy *policy, int64_t last_at,
                     struct contacts_state *state) {
    int64_t latest = (row->locked_at ? row->locked_at : last_at) + policy->lockout_maximum;
    int64_t end = last_at + policy->prohibited_seconds;
    end = end > latest ? latest : end;
    if (end > row->expires_at) {
        row->expires_at = end;
        state->locked = true;
    }
}

bool contacts_open(struct database *database, const struct contacts_policy *policy, struct text contact, bool allowed,
                   int64_t now, struct contacts_state *state) {
    struct row row;
    *state = (struct contacts_state){.verdict = CONTACTS_ADMIT};
    if (!database_begin(database)) {
        return false;
    }
    bool good = find_or_add(database, 0, contact, now, &row);
    if (good) {
        row.hits++;
        if (row.expires_at != 0 && !is_locked(&row, now)) {
            end_lockout(&row, state);
        }
        if (allowed) {
            state->verdict = CONTACTS_ADMIT;
        } else if (is_locked(&row, now)) {
            state->verdict = CONTACTS_CLOSE;
            move_end(&row, policy, now, state);
        } else if (row.violations >= (int64_t)policy->maximum && row.violations > 0) {
            row.violations++;
            begin_lockout(&row, policy, now, state);
        }
        good = save(database, &row, now);
    }
    return finish(database, good, &row, state);
}

/* ---- notes ---- */

static struct contacts_note *find_note(struct contacts_notes *notes, int64_t contact_id) {
    for (size_t i = notes->count; i > 0; i--) {
        if (notes->items[i - 1].id == contact_id) {
            return &notes->items[i - 1];
        }
    }
    if (notes->count == CONTACTS_NOTES) {
        return NULL;
    }
    struct contacts_note *note = &notes->items[notes->count++];
    *note = (struct contacts_note){.id = contact_id};
    return note;
}

bool contacts_note_accepted(struct contacts_notes *notes, int64_t contact_id, int64_t now) {
    struct contacts_note *note = contact_id > 0 ? find_note(notes, contact_id) : NULL;
    if (note != NULL) {
        note->accepted_at = now;
    }
    return note != NULL || contact_id <= 0;
}

bool contacts_open_noted(struct database *database, struct contacts_notes *notes, struct text contact, int64_t now,
                         struct contacts_state *state) {
    struct row row;
    struct contacts_note *note = NULL;
    if (read_row(statement_query(database, STATEMENT_CONTACT_BY_IP, BINDS(bind_text(contact))), &row) ==
            STATEMENT_ROW &&
        row.violations == 0 && row.expires_at == 0) {
        note = find_note(notes, row.id);
    }
    if (note == NULL) {
        return false;
    }
    note->hits++;
    note->hit_at = now;
    *state = (struct contacts_state){.verdict = CONTACTS_ADMIT};
    tell(&row, state);
    return true;
}

bool contacts_write_notes(struct database *database, const struct contacts_notes *notes) {
    bool good = true;
    for (size_t i = 0; good && i < notes->count; i++) {
        const struct contacts_note *note = &notes->items[i];
        int64_t at = note->hit_at > note->accepted_at ? note->hit_at : note->accepted_at;
        good = statement_run(
            database, STATEMENT_CONTACT_NOTED,
            BINDS(bind_integer(note->id), bind_integer(note->hits), bind_time(at), bind_time(note->accepted_at)));
    }
    return good;
}

bool contacts_is_known_good(const struct contacts_policy *policy, int64_t accepted_at, int64_t now) {
    return accepted_at != 0 && accepted_at >= now - policy->history_days * SECONDS_A_DAY;
}

/* PARITY: the mercies for honest senders. */
static bool is_counted(struct database *database, const struct contacts_policy *policy,
                       const struct contacts_violation *violation, const struct row *row, int64_t now) {
    if (violation->mercy == CONTACTS_BROKEN) {
        return !contacts_is_known_good(policy, row->accepted_at, now);
    }
    if (violation->mercy != CONTACTS_UNKNOWN_RECIPIENT || violation->mail_id.length == 0) {
        return true;
    }
    struct sqlite3_stmt *seen =
        statement_query(database, STATEMENT_VIOLATION_SEEN,
                        BINDS(bind_integer(row->id), bind_text(violation->mail_id), bind_text(violation->rule)));
    bool counted = statement_step(seen) != STATEMENT_ROW;
    statement_end(seen);
    return counted;
}

static bool add_evidence(struct database *database, const struct contacts_violation *violation, int64_t contact_id,
                         bool counted, int64_t now) {
    return statement_run(database, STATEMENT_VIOLATION_ADD,
                         BINDS(bind_integer(contact_id), bind_time(now), bind_integer(violation->port),
                               bind_text(violation->verb), bind_text(violation->rule), bind_text(violation->reply),
                               bind_text(violation->account), bind_text(violation->mail_id), bind_integer(counted)));
}

bool contacts_violate(struct database *database, const struct contacts_policy *policy,
                      const struct contacts_violation *violation, bool allowed, int64_t now,
                      struct contacts_state *state) {
    struct row row;
    *state = (struct contacts_state){.verdict = CONTACTS_ADMIT};
    if (!database_begin(database)) {
        return false;
    }
    bool good = find_or_add(database, violation->contact_id, violation->contact, now, &row);
    if (good) {
        bool counted = is_counted(database, policy, violation, &row, now);
        row.violations += counted ? 1 : 0;
        if (!allowed && is_locked(&row, now)) {
            state->verdict = CONTACTS_WARN; /* another connection's lockout: this one ends too */
        } else if (!allowed && counted && row.violations > (int64_t)policy->maximum) {
            begin_lockout(&row, policy, now, state);
        }
        good = add_evidence(database, violation, row.id, counted, now) && save(database, &row, now);
    }
    return finish(database, good, &row, state);
}

bool contacts_login(struct database *database, int64_t contact_id, int64_t now, struct contacts_state *state) {
    struct row row;
    *state = (struct contacts_state){.verdict = CONTACTS_ADMIT};
    if (!database_begin(database)) {
        return false;
    }
    bool good = find_or_add(database, contact_id, TEXT_NONE, now, &row);
    if (good) {
        bool locked = row.expires_at != 0;
        end_lockout(&row, state);
        state->unlocked = locked;
        good = save(database, &row, now);
    }
    return finish(database, good, &row, state);
}

bool contacts_attempts(struct database *database, const struct contacts_policy *policy, struct text contact,
                       unsigned hits, int64_t last_at, int64_t now, struct contacts_state *state) {
    struct row row;
    *state = (struct contacts_state){.verdict = CONTACTS_CLOSE};
    if (!database_begin(database)) {
        return false;
    }
    bool good = find_or_add(database, 0, contact, now, &row);
    if (good) {
        row.hits += hits;
        if (is_locked(&row, now)) {
            move_end(&row, policy, last_at > now ? now : last_at, state);
        }
        good = save(database, &row, now);
    }
    return finish(database, good, &row, state);
}

bool contacts_accepted(struct database *database, int64_t contact_id, int64_t now) {
    return contact_id <= 0 ||
           statement_run(database, STATEMENT_CONTACT_ACCEPTED, BINDS(bind_integer(contact_id), bind_time(now)));
}

bool contacts_unlocked(struct database *database, struct text contact) {
    return statement_run(database, STATEMENT_CONTACT_UNLOCKED, BINDS(bind_text(contact)));
}

static bool expire(struct database *database, enum statement_name statement, int64_t now, bool *changed) {
    bool good = statement_run(database, statement, BINDS(bind_time(now)));
    *changed = good && statement_changes(database) > 0;
    return good;
}

bool contacts_expire(struct database *database, int64_t now, bool *changed) {
    return expire(database, STATEMENT_CONTACTS_EXPIRE, now, changed);
}

bool contacts_expire_due(struct database *database, int64_t now, bool *changed) {
    return expire(database, STATEMENT_CONTACTS_EXPIRE_DUE, now, changed);
}

bool contacts_lock(struct database *database, const struct contacts_policy *policy, struct text contact, int64_t now,
                   struct contacts_state *state) {
    struct row row;
    *state = (struct contacts_state){.verdict = CONTACTS_CLOSE};
    if (!database_begin(database)) {
        return false;
    }
    bool good = find_or_add(database, 0, contact, now, &row);
    if (good) {
        row.violations = row.violations > (int64_t)policy->maximum ? row.violations : (int64_t)policy->maximum + 1;
        begin_lockout(&row, policy, now, state);
        row.expires_at = now + policy->prohibited_seconds; /* the operator's own time has no maximum */
        good = save(database, &row, now);
    }
    return finish(database, good, &row, state);
}

bool contacts_forgive(struct database *database, const char *contact, int64_t now, int64_t *changed) {
    bool good = contact != NULL
                    ? statement_run(database, STATEMENT_CONTACT_FORGIVE, BINDS(bind_string(contact), bind_time(now)))
                    : statement_run(database, STATEMENT_CONTACTS_FORGIVE_ALL, BINDS(bind_time(now)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}

bool contacts_pardon(struct database *database, const char *contact, int64_t now, int64_t *changed) {
    bool good = contact != NULL
                    ? statement_run(database, STATEMENT_CONTACT_PARDON, BINDS(bind_string(contact), bind_time(now)))
                    : statement_run(database, STATEMENT_CONTACTS_PARDON_ALL, BINDS(bind_time(now)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}

static bool visit_all(struct sqlite3_stmt *statement, contacts_visit *visit, void *context) {
    enum statement_result result;
    while ((result = statement_step(statement)) == STATEMENT_ROW) {
        visit(context, column_string(statement, 0), column_time(statement, 1), column_time(statement, 2));
    }
    statement_end(statement);
    return result == STATEMENT_DONE;
}

bool contacts_locked(struct database *database, int64_t now, contacts_visit *visit, void *context) {
    return visit_all(statement_query(database, STATEMENT_CONTACTS_LOCKED, BINDS(bind_time(now))), visit, context);
}

bool contacts_over(struct database *database, int64_t now, contacts_visit *visit, void *context) {
    return visit_all(statement_query(database, STATEMENT_CONTACTS_OVER, BINDS(bind_time(now))), visit, context);
}
