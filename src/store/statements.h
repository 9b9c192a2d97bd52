/* SPDX-License-Identifier: MIT
 * The closed list of SQL statements, prepared on first use, values bound. Only files of store/ include this: it shows
 * what struct database holds. A statement that cannot be prepared or stepped gives false or STATEMENT_ERROR with the
 * reason in database_error; nothing here ends the process. */
#ifndef STORE_STATEMENTS_H
#define STORE_STATEMENTS_H
#include "base/clock.h"
#include "base/text.h"
#include "mail/mail_id.h"
#include "store/database.h"

enum statement_name {
    /* contacts.c */
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_CONTACT_BY_IP,
    STATEMENT_CONTACT_BY_ID,
    STATEMENT_CONTACT_ADD,
    STATEMENT_CONTACT_SAVE,
    STATEMENT_CONTACT_ACCEPTED,
    STATEMENT_CONTACT_NOTED,
    STATEMENT_CONTACTS_LOCKED,
    STATEMENT_CONTACTS_OVER,
    STATEMENT_CONTACT_UNLOCKED,
    STATEMENT_CONTACTS_EXPIRE,
    STATEMENT_CONTACTS_EXPIRE_DUE,
    STATEMENT_CONTACT_FORGIVE,
    STATEMENT_CONTACT_PARDON,
    STATEMENT_CONTACTS_PARDON_ALL,
    STATEMENT_CONTACTS_FORGIVE_ALL,
    STATEMENT_VIOLATION_ADD,
    STATEMENT_VIOLATION_SEEN,
    /* parcels.c */
    STATEMENT_MAIL_ADD,
    STATEMENT_MAIL_PLACE,
    STATEMENT_MAIL_SET_PLACE,
    STATEMENT_MAILS_IN_JOURNAL,
    STATEMENT_MAILS_IN_FILES,
    STATEMENT_MAILS_SWEEP,
    STATEMENT_PARCEL_ADD,
    STATEMENT_PARCELS_LAST,
    STATEMENT_PARCEL_MOVE,
    STATEMENT_PARCEL_FIND,
    STATEMENT_PARCELS_OF_MAIL,
    STATEMENT_PARCELS_WAITING,
    STATEMENT_PARCEL_END,
    STATEMENT_PARCEL_DEFER,
    STATEMENT_PARCELS_SWEEP,
    STATEMENT_PARCEL_WITHOUT_MAIL,
    STATEMENT_PARCEL_RETRY,
    STATEMENT_PARCEL_HOLD,
    STATEMENT_PARCEL_RELEASE,
    STATEMENT_PARCEL_BOUNCE,
    STATEMENT_ATTEMPT_ADD,
    STATEMENT_POSITION_READ,
    STATEMENT_POSITION_WRITE,
    STATEMENT_OPERATOR_CHANGE_ADD,
    STATEMENT_OPERATOR_CHANGE_MORE,
    /* hold_rules.c */
    STATEMENT_HOLD_RULES,
    STATEMENT_HOLD_RULE_ADD,
    STATEMENT_HOLD_RULE_REMOVE,
    /* domains, spool_recover.c */
    STATEMENT_DOMAIN_ADD,
    STATEMENT_DOMAINS_CONFIGURED,
    STATEMENT_DOMAIN_REMOVE,
    /* schedule.c */
    STATEMENT_SCHEDULE_DUE,
    STATEMENT_SCHEDULE_DOMAIN,
    STATEMENT_SCHEDULE_LOCAL,
    STATEMENT_SCHEDULE_WAITING,
    STATEMENT_SCHEDULE_MAIL,
    STATEMENT_SCHEDULE_FACTS,
    STATEMENT_SCHEDULE_WAITS,
    STATEMENT_SCHEDULE_NEXT,
    /* destinations.c */
    STATEMENT_DESTINATION_FIND,
    STATEMENT_DESTINATION_FAILED,
    STATEMENT_DESTINATION_ANSWERED,
    STATEMENT_DESTINATION_SHOWED,
    STATEMENT_DESTINATIONS_ALLOW,
    /* clock_shift.c */
    STATEMENT_SHIFT_PARCELS,
    STATEMENT_SHIFT_HELD,
    STATEMENT_SHIFT_MAILS,
    STATEMENT_CLOCK_MOVE,
    STATEMENT_CLOCK_MOVE_BEGIN,
    STATEMENT_CLOCK_MOVE_NEXT,
    STATEMENT_CLOCK_MOVE_STEP,
    STATEMENT_CLOCK_MOVE_END,
    STATEMENT_SHIFT_CONTACTS,
    STATEMENT_SHIFT_DESTINATIONS,
    STATEMENT_SHIFT_GREYLIST,
    STATEMENT_SHIFT_LOGINS,
    /* greylist.c */
    STATEMENT_GREYLIST_TRY,
    /* logins.c */
    STATEMENT_LOGIN_KNOWN,
    STATEMENT_LOGIN_FAILURES,
    STATEMENT_LOGIN_FAILED,
    STATEMENT_LOGIN_SUCCEEDED,
    /* history.c */
    STATEMENT_PURGE_VIOLATIONS,
    STATEMENT_PURGE_ATTEMPTS,
    STATEMENT_PURGE_PARCELS,
    STATEMENT_PURGE_MAILS,
    STATEMENT_PURGE_DESTINATIONS,
    STATEMENT_PURGE_CONTACTS,
    STATEMENT_PURGE_GREYLIST,
    STATEMENT_PURGE_LOGINS,
    STATEMENT_CONTACTS_LAST,
    /* users.c */
    STATEMENT_USERS_LOCAL_DOMAIN,
    STATEMENT_USERS_FIND,
    STATEMENT_USERS_PROOFS,
    STATEMENT_USERS_SOME_PROOFS,
    STATEMENT_USERS_SECRET,
    STATEMENT_USERS_BY_LOCAL,
    STATEMENT_USERS_SET,
    STATEMENT_USERS_REMOVE,
    STATEMENT_USERS_LIST,
    /* report_parcels.c */
    STATEMENT_LIST_DOMAIN_WAITING,
    STATEMENT_LIST_DOMAIN_QUEUED,
    STATEMENT_LIST_DUE,
    STATEMENT_LIST_QUEUED,
    STATEMENT_LIST_LATER,
    STATEMENT_LIST_HELD,
    STATEMENT_LIST_MAIL,
    STATEMENT_LIST_ALL,
    /* aliases.c */
    STATEMENT_ALIAS_TARGETS,
    STATEMENT_ALIAS_ADD,
    STATEMENT_ALIAS_REMOVE,
    STATEMENT_ALIAS_REMOVE_ALL,
    STATEMENT_VACATION_FIND,
    STATEMENT_VACATION_ANSWERED,
    STATEMENT_VACATION_SET,
    STATEMENT_VACATION_REMOVE,
    /* settings.c */
    STATEMENT_KEEP_DOMAINS,
    STATEMENT_PUT_DOMAIN,
    STATEMENT_KEEP_ALIASES,
    STATEMENT_PUT_ALIAS,
    STATEMENT_KEEP_VACATIONS,
    STATEMENT_PUT_VACATION,
    STATEMENT_KEEP_HOLD_RULES,
    STATEMENT_PUT_HOLD_RULE,
    /* report.c */
    STATEMENT_REPORT_MAIL,
    STATEMENT_REPORT_MAIL_PARCELS,
    STATEMENT_REPORT_MAIL_ATTEMPTS,
    STATEMENT_REPORT_CONTACTS,
    STATEMENT_REPORT_CONTACT,
    STATEMENT_REPORT_VIOLATIONS,
    STATEMENT_REPORT_ADDRESS,
    STATEMENT_REPORT_FROM_CONTACT,
    STATEMENT_REPORT_STATES,
    STATEMENT_REPORT_TLS,
    /* tls_memory.c */
    STATEMENT_TLS_FORGIVE,
    STATEMENT_TLS_FORGIVE_ALL,
    STATEMENT_REPORT_ALIASES,
    STATEMENT_REPORT_ALIAS,
    STATEMENT_REPORT_VACATIONS,
    STATEMENT_REPORT_HOLD_RULES,
    STATEMENT_REPORT_GREYLIST,
    STATEMENT_REPORT_CHANGES,
    /* sql_rules_check.c */
    STATEMENT_SCHEMA,
    STATEMENT_REPORT_PARCEL_ATTEMPTS,
    STATEMENT_REPORT_MAIL_VIOLATIONS,
    STATEMENT_REPORT_DESTINATION,
    STATEMENT_REPORT_DOMAIN_WAITING,
    STATEMENT_REPORT_DOMAIN_REASONS,
    STATEMENT_REPORT_DOMAIN,
    STATEMENT_REPORT_AGES,
    STATEMENT_REPORT_DOMAINS,
    STATEMENT_REPORT_HOUR,
    STATEMENT_REPORT_MINUTE,
    STATEMENT_REPORT_WAITING_NOW,
    STATEMENT_REPORT_REPLAY,
    /* known.c */
    STATEMENT_READ_BEGIN,
    STATEMENT_READ_END,
    STATEMENTS
};
struct sqlite3;
struct sqlite3_stmt;
struct known_answers;
struct clock_move {
    bool goes_on; /* else there is none */
    int64_t seconds, before, clock, last_parcel;
    char after_mail[MAIL_ID_SIZE];
};
struct database {
    struct sqlite3 *handle;
    enum database_kind kind;
    struct sqlite3_stmt *prepared[STATEMENTS];
    int wal_pages;                 /* in the write-ahead log after the last commit of this connection */
    int64_t busy_since;            /* another program's lock is waited for; clock_now_ms */
    bool impatient;                /* it was waited for in vain, and nothing was written since */
    bool reading;                  /* between database_read_begin and database_read_end, and the version is known */
    struct known_answers *answers; /* NULL: none are kept */
    struct clock_move move;        /* as the table has it */
    int64_t last_parcel;           /* the last id that a row has or is going to have */
};
enum statement_result { STATEMENT_ROW, STATEMENT_DONE, STATEMENT_ERROR };
enum bind_kind { BIND_NULL, BIND_TEXT, BIND_INTEGER };
struct bind {
    enum bind_kind kind;
    struct text text;
    int64_t integer;
    char time[CLOCK_TEXT_SIZE];
};
/* Values in the order of ?1, ?2, …: statement_run(database, STATEMENT_X, BINDS(bind_string(a), bind_integer(b))). */
#define BINDS(...) (const struct bind[]){__VA_ARGS__}, sizeof((const struct bind[]){__VA_ARGS__}) / sizeof(struct bind)
#define BINDS_NONE NULL, 0
struct bind bind_text(struct text value);
struct bind bind_string(const char *value); /* NULL is SQL's NULL */
struct bind bind_integer(int64_t value);
/* Seconds since 1970 as UTC text; 0 and CLOCK_NEVER are SQL's NULL. */
struct bind bind_time(int64_t seconds);
struct bind bind_contact(int64_t contact_id); /* NULL for none, 0 */
/* Runs a statement whose rows, if any, nobody wants. False on an error. */
bool statement_run(struct database *database, enum statement_name name, const struct bind *binds, size_t count);
/* Rows that the last statement_run changed, and the last row's id. */
int64_t statement_changes(const struct database *database);
int64_t statement_row_id(const struct database *database);
/* Starts a query; take rows with statement_step and end it with statement_end. NULL on an error: the functions below
 * accept that. A query of the same name must not be under way. */
struct sqlite3_stmt *statement_query(struct database *database, enum statement_name name, const struct bind *binds,
                                     size_t count);
enum statement_result statement_step(struct sqlite3_stmt *statement);
/* sqlite3_prepare_v3 and sqlite3_step; again after statement_pause (a millisecond; tests put their own there) when a
 * reader met the writer. */
int statement_prepare(struct sqlite3 *handle, const char *sql, unsigned flags, struct sqlite3_stmt **statement);
int statement_advance(struct sqlite3_stmt *statement);
/* Has a connection obey database_put_aside; whoever opens one does it first. */
void database_settle_aside(struct sqlite3 *handle);
extern void (*statement_pause)(void);
void statement_end(struct sqlite3_stmt *statement);
int64_t column_integer(struct sqlite3_stmt *statement, int column);
/* NULL gives ""; borrowed until the next step. */
const char *column_string(struct sqlite3_stmt *statement, int column);
/* UTC text as seconds; NULL or anything else gives 0. */
int64_t column_time(struct sqlite3_stmt *statement, int column);
enum column_kind { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_NULL };
enum column_kind column_kind(struct sqlite3_stmt *statement, int column);
int column_count(struct sqlite3_stmt *statement);
const char *column_name(struct sqlite3_stmt *statement, int column);
/* The text of a statement: for the test that prepares each of them. */
const char *statement_text(enum statement_name name);
#endif
