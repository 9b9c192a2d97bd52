/* SPDX-License-Identifier: MIT
 * The reports of `parcelpost`: statements of the closed list, their rows handed on as texts. Called under the caller's
 * privileges, on a database opened for reading. */
#include "store/report_private.h"
#include "store/statements.h"

bool report_rows(struct sqlite3_stmt *statement, report_visit *visit, void *context) {
    static const enum report_value kinds[] = {
        [COLUMN_TEXT] = REPORT_TEXT, [COLUMN_NUMBER] = REPORT_NUMBER, [COLUMN_NULL] = REPORT_NULL};
    enum statement_result result;
    while ((result = statement_step(statement)) == STATEMENT_ROW) {
        struct report_row row = {.count = (size_t)column_count(statement)};
        if (row.count > REPORT_COLUMNS_MAXIMUM) {
            row.count = REPORT_COLUMNS_MAXIMUM;
        }
        for (size_t i = 0; i < row.count; i++) {
            row.names[i] = column_name(statement, (int)i);
            row.kinds[i] = kinds[column_kind(statement, (int)i)];
            row.values[i] = column_string(statement, (int)i);
        }
        if (!visit(context, &row)) {
            result = STATEMENT_DONE;
            break;
        }
    }
    statement_end(statement);
    return result == STATEMENT_DONE;
}

bool report_run(struct database *database, enum report_kind kind, const char *key, report_visit *visit, void *context) {
    static const enum statement_name names[REPORT_KINDS] = {
        [REPORT_MAIL] = STATEMENT_REPORT_MAIL,
        [REPORT_MAIL_PARCELS] = STATEMENT_REPORT_MAIL_PARCELS,
        [REPORT_MAIL_ATTEMPTS] = STATEMENT_REPORT_MAIL_ATTEMPTS,
        [REPORT_CONTACTS] = STATEMENT_REPORT_CONTACTS,
        [REPORT_CONTACT] = STATEMENT_REPORT_CONTACT,
        [REPORT_VIOLATIONS] = STATEMENT_REPORT_VIOLATIONS,
        [REPORT_ADDRESS] = STATEMENT_REPORT_ADDRESS,
        [REPORT_FROM_CONTACT] = STATEMENT_REPORT_FROM_CONTACT,
        [REPORT_STATES] = STATEMENT_REPORT_STATES,
        [REPORT_TLS] = STATEMENT_REPORT_TLS,
        [REPORT_ALIASES] = STATEMENT_REPORT_ALIASES,
        [REPORT_ALIAS] = STATEMENT_REPORT_ALIAS,
        [REPORT_VACATIONS] = STATEMENT_REPORT_VACATIONS,
        [REPORT_HOLD_RULES] = STATEMENT_REPORT_HOLD_RULES,
        [REPORT_GREYLIST] = STATEMENT_REPORT_GREYLIST,
        [REPORT_CHANGES] = STATEMENT_REPORT_CHANGES,
        [REPORT_PARCEL_ATTEMPTS] = STATEMENT_REPORT_PARCEL_ATTEMPTS,
        [REPORT_MAIL_VIOLATIONS] = STATEMENT_REPORT_MAIL_VIOLATIONS,
        [REPORT_DESTINATION] = STATEMENT_REPORT_DESTINATION,
        [REPORT_DOMAIN_WAITING] = STATEMENT_REPORT_DOMAIN_WAITING,
        [REPORT_DOMAIN_REASONS] = STATEMENT_REPORT_DOMAIN_REASONS,
        [REPORT_DOMAIN] = STATEMENT_REPORT_DOMAIN,
        [REPORT_AGES] = STATEMENT_REPORT_AGES,
        [REPORT_DOMAINS] = STATEMENT_REPORT_DOMAINS,
        [REPORT_HOUR] = STATEMENT_REPORT_HOUR,
        [REPORT_MINUTE] = STATEMENT_REPORT_MINUTE,
        [REPORT_WAITING_NOW] = STATEMENT_REPORT_WAITING_NOW,
        [REPORT_REPLAY] = STATEMENT_REPORT_REPLAY,
    };
    struct sqlite3_stmt *statement = key != NULL ? statement_query(database, names[kind], BINDS(bind_string(key)))
                                                 : statement_query(database, names[kind], BINDS_NONE);
    return report_rows(statement, visit, context);
}
