/* SPDX-License-Identifier: MIT
 * Every SQL statement of the program but the operator's rules: one table, prepared on first use, values bound. Called
 * by the typed wrappers of store/; errors are returned, never fatal. An exception to file length: a table. */
#include "store/statements.h"
#include <sqlite3.h>
#include <time.h>

#define TRIES 100 /* of a reader that meets the writer */

#define WAITING "state IN ('queued','deferred','held')"
#define WAITS_AGAIN "CASE attempts WHEN 0 THEN 'queued' ELSE 'deferred' END"
/* When its sender wants a parcel's mail to be released, or ''. */
#define RELEASED_AT "coalesce((SELECT hold_until FROM mails m WHERE m.mail_id = parcels.mail_id), '')"
/* Parameters of a filtered list: ?1 domain, ?2 sender, ?3 recipient, ?4 ?5 created before, after, ?6 part of the last
 * answer, ?7 domain as a pattern, ?8 ",state,state,", ?9 now, ?10 mail id, ?11 how many. NULL: any. */
#define LIST                                                                                                           \
    "SELECT p.mail_id, p.state, m.size, m.received_at, p.retry_at, p.attempts, p.from_url, p.to_url, p.delivery_msg,"  \
    " p.id AS parcel, p.recipient, p.target, p.domain, p.delivery, p.delivery_at, p.expires_at, p.created_at"          \
    " FROM parcels p LEFT JOIN mails m USING (mail_id) WHERE "
#define LIST_FILTERS                                                                                                   \
    " AND (?2 IS NULL OR p.from_url LIKE ?2 ESCAPE '\\')"                                                              \
    " AND (?3 IS NULL OR p.to_url LIKE ?3 ESCAPE '\\' OR p.target LIKE ?3 ESCAPE '\\')"                                \
    " AND (?4 IS NULL OR p.created_at <= ?4) AND (?5 IS NULL OR p.created_at > ?5)"                                    \
    " AND (?6 IS NULL OR instr(lower(p.delivery_msg), lower(?6)) > 0)"                                                 \
    " AND (?7 IS NULL OR p.domain LIKE ?7 ESCAPE '\\') AND instr(?8, ',' || p.state || ',') > 0"
#define LIST_LIMIT " LIMIT ?11"
/* What is looked through where no index helps. */
#define NEWEST "(SELECT * FROM parcels ORDER BY id DESC LIMIT 100000)"
#define LATELY(since)                                                                                                  \
    "SELECT 'accepted' AS what, count(*) AS number FROM mails WHERE received_at > datetime('now', '" since             \
    "') UNION ALL SELECT 'delivered', count(*) FROM attempts WHERE started_at > datetime('now', '" since               \
    "') AND reply LIKE '2%' UNION ALL SELECT 'deferred', count(*) FROM attempts WHERE started_at > datetime('now', "   \
    "'" since "') AND reply LIKE '4%' UNION ALL SELECT 'failed', count(*) FROM attempts WHERE started_at >"            \
    " datetime('now', '" since "') AND reply LIKE '5%' UNION ALL SELECT 'refused', count(*) FROM parcels WHERE"        \
    " created_at > datetime('now', '" since "') AND state = 'refused'"
#define USERS_COLUMNS "address, updated_at, scram IS NOT NULL"
#define CONTACT_COLUMNS "id, remote_ip, hits, locks, violations, expires_at, locked_at, accepted_at"
#define SCHEDULE_COLUMNS                                                                                               \
    "p.id, p.retry_at, p.expires_at, p.mail_id, p.from_url, p.target, p.to_url, p.domain, p.recipient, p.attempts,"    \
    " p.delivery, p.bounce, p.delayed_at FROM parcels p"
#define SCHEDULE_DUE                                                                                                   \
    " INDEXED BY parcels_due WHERE p.state IN ('queued','deferred') AND p.retry_at >= ?2 AND p.retry_at <= ?1"
#define SCHEDULE_ORDER " ORDER BY p.retry_at, p.id LIMIT ?3"
#define MOVED(column) "coalesce(datetime(" #column ", ?1 || ' seconds'), " #column ")"
#define SHIFTED(from, column)                                                                                          \
    "CASE WHEN " #column " BETWEEN " from " AND ?3 THEN " MOVED(column) " ELSE " #column " END"
#define PASSED(column) "CASE WHEN " #column " BETWEEN ?4 AND ?2 THEN " MOVED(column) " ELSE " #column " END"
/* One piece of a move: ?5 mails after this one, ?6 up to that one (NULL: all), ?7 the last parcel. */
#define PIECE "mail_id > ?5 AND mail_id <= coalesce(?6, x'ff')"
#define PARCELS_PIECE "UPDATE parcels INDEXED BY parcels_mail SET "
#define NOT_TO_BE_RELEASED                                                                                             \
    " AND NOT EXISTS (SELECT 1 FROM mails m WHERE m.mail_id = parcels.mail_id AND m.hold_until > ?2)"

static const char *const statements[STATEMENTS] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_CONTACT_BY_IP] = "SELECT " CONTACT_COLUMNS " FROM contacts WHERE remote_ip = ?1",
    [STATEMENT_CONTACT_BY_ID] = "SELECT " CONTACT_COLUMNS " FROM contacts WHERE id = ?1",
    [STATEMENT_CONTACT_ADD] = "INSERT INTO contacts (remote_ip, created_at, updated_at) VALUES (?1, ?2, ?2)",
    [STATEMENT_CONTACT_SAVE] = "UPDATE contacts SET hits = ?2, locks = ?3, violations = ?4, expires_at = ?5,"
                               " locked_at = ?6, updated_at = ?7 WHERE id = ?1",
    [STATEMENT_CONTACT_ACCEPTED] = "UPDATE contacts SET accepted_at = ?2, updated_at = ?2, violations ="
                                   " CASE WHEN expires_at > ?2 THEN violations ELSE 0 END WHERE id = ?1",
    /* ?2 hits more, ?3 when last, ?4 when a message was accepted, or NULL */
    [STATEMENT_CONTACT_NOTED] =
        "UPDATE contacts SET hits = hits + ?2, updated_at = max(updated_at, ?3), accepted_at = coalesce(?4, "
        "accepted_at),"
        " violations = CASE WHEN ?4 IS NULL OR expires_at > ?4 THEN violations ELSE 0 END WHERE id = ?1",
    [STATEMENT_CONTACTS_LOCKED] = "SELECT remote_ip, expires_at, coalesce(locked_at, updated_at) FROM contacts"
                                  " WHERE expires_at > ?1 AND violations > 0 ORDER BY remote_ip",
    [STATEMENT_CONTACTS_OVER] = "SELECT remote_ip, expires_at, coalesce(locked_at, updated_at) FROM contacts"
                                " WHERE CASE WHEN expires_at IS NULL THEN locked_at IS NOT NULL"
                                " ELSE expires_at <= ?1 OR violations <= 0 END",
    [STATEMENT_CONTACT_UNLOCKED] = "UPDATE contacts SET locked_at = NULL WHERE remote_ip = ?1 AND expires_at IS NULL",
    [STATEMENT_CONTACTS_EXPIRE] =
        "UPDATE contacts SET violations = 0, expires_at = NULL,"
        " updated_at = ?1 WHERE expires_at IS NOT NULL AND (expires_at <= ?1 OR violations <= 0)",
    [STATEMENT_CONTACTS_EXPIRE_DUE] = "UPDATE contacts SET violations = 0, expires_at = NULL, updated_at = ?1"
                                      " WHERE expires_at <= ?1",
    [STATEMENT_CONTACT_FORGIVE] = "UPDATE contacts SET violations = 0, expires_at = NULL,"
                                  " updated_at = ?2 WHERE remote_ip = ?1",
    [STATEMENT_CONTACT_PARDON] = "UPDATE contacts SET violations = 0, updated_at = ?2 WHERE remote_ip = ?1",
    [STATEMENT_CONTACTS_PARDON_ALL] = "UPDATE contacts SET violations = 0, updated_at = ?1 WHERE violations > 0",
    [STATEMENT_CONTACTS_FORGIVE_ALL] = "UPDATE contacts SET violations = 0, expires_at = NULL,"
                                       " updated_at = ?1 WHERE violations > 0 OR expires_at IS NOT NULL",
    [STATEMENT_VIOLATION_ADD] = "INSERT INTO violations (contact_id, created_at, port, verb, rule, reply, account,"
                                " mail_id, counted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_VIOLATION_SEEN] = "SELECT 1 FROM violations WHERE contact_id = ?1 AND mail_id = ?2 AND rule = ?3"
                                 " AND counted = 1 LIMIT 1",
    [STATEMENT_MAIL_ADD] = "INSERT INTO mails (mail_id, contact_id, place, received_at, size, role, local_port,"
                           " remote_ip, remote_name, ehlo, from_url, protocol, tls, account, verdicts, message_id,"
                           " auto_generated, hold_until, reverse, listed_in, dnsbl_score) VALUES (?1, ?2, ?3, ?4, ?5,"
                           " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, nullif(?21, ''))",
    [STATEMENT_MAIL_PLACE] = "SELECT place FROM mails WHERE mail_id = ?1",
    [STATEMENT_MAIL_SET_PLACE] = "UPDATE mails SET place = ?2 WHERE mail_id = ?1",
    [STATEMENT_MAILS_IN_JOURNAL] = "SELECT mail_id, place FROM mails INDEXED BY mails_here"
                                   " WHERE place <> 'gone' AND place >= 'journal ' AND place < 'journal!'",
    [STATEMENT_MAILS_IN_FILES] = "SELECT mail_id FROM mails INDEXED BY mails_here"
                                 " WHERE place = 'file' AND place <> 'gone' ORDER BY mail_id",
    [STATEMENT_MAILS_SWEEP] = "SELECT place, mail_id, EXISTS (SELECT 1 FROM parcels p WHERE p.mail_id = m.mail_id"
                              " AND p.recipient >= 0 AND p." WAITING ") FROM mails m INDEXED BY mails_here"
                              " WHERE place <> 'gone' AND place >= ?1 AND (place > ?1 OR mail_id > ?2)"
                              " ORDER BY place, mail_id LIMIT ?3",
    [STATEMENT_PARCEL_ADD] = "INSERT INTO parcels (contact_id, mail_id, recipient, from_url, to_url, target, domain,"
                             " delivery, state, delivery_at, delivery_msg, retry_at, expires_at, notify, orcpt,"
                             " created_at, updated_at, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                             " ?13, ?14, ?15, ?16, ?16, nullif(?17, 0))",
    [STATEMENT_PARCELS_LAST] = "SELECT coalesce(max(id), 0) FROM parcels",
    [STATEMENT_PARCEL_MOVE] = "UPDATE parcels SET id = ?2 WHERE id = ?1",
    [STATEMENT_PARCEL_FIND] = "SELECT id, state, expires_at FROM parcels WHERE mail_id = ?1 AND recipient = ?2",
    [STATEMENT_PARCELS_OF_MAIL] = "SELECT id, recipient, state FROM parcels WHERE mail_id = ?1 AND recipient >= 0"
                                  " ORDER BY recipient",
    [STATEMENT_PARCELS_WAITING] = "SELECT count(*) FROM parcels WHERE mail_id = ?1 AND recipient >= 0 AND " WAITING,
    [STATEMENT_PARCEL_END] = "UPDATE parcels SET state = ?3, delivery_at = ?4, delivery_msg = ?5, retry_at = NULL,"
                             " attempts = attempts + ?6, updated_at = ?4 WHERE mail_id = ?1 AND recipient = ?2"
                             " AND " WAITING,
    [STATEMENT_PARCEL_DEFER] = "UPDATE parcels SET state = CASE state WHEN 'held' THEN 'held' ELSE 'deferred' END,"
                               " delivery_at = ?3, delivery_msg = ?4, attempts = attempts + ?6,"
                               " retry_at = CASE bounce WHEN '' THEN ?5 ELSE ?3 END,"
                               " delayed_at = CASE WHEN ?7 THEN ?3 ELSE delayed_at END,"
                               " updated_at = CASE state WHEN 'held' THEN updated_at ELSE ?3 END"
                               " WHERE mail_id = ?1 AND recipient = ?2 AND " WAITING,
    [STATEMENT_PARCELS_SWEEP] =
        "SELECT retry_at, id, EXISTS (SELECT 1 FROM mails m WHERE m.mail_id = p.mail_id"
        " AND m.place <> 'gone') FROM parcels p INDEXED BY parcels_due"
        " WHERE state IN ('queued','deferred') AND retry_at >= ?1 AND (retry_at > ?1 OR id > ?2)"
        " ORDER BY retry_at, id LIMIT ?3",
    [STATEMENT_PARCEL_WITHOUT_MAIL] = "UPDATE parcels SET state = 'failed', delivery_at = ?1, retry_at = NULL,"
                                      " delivery_msg = '554 5.3.0 the message is no longer in the spool',"
                                      " updated_at = ?1 WHERE id = ?2 AND state IN ('queued','deferred')",
    [STATEMENT_PARCEL_RETRY] = "UPDATE parcels SET retry_at = ?3, updated_at = ?3 WHERE mail_id = ?1 AND recipient = ?2"
                               " AND state IN ('queued','deferred')",
    [STATEMENT_PARCEL_HOLD] =
        "UPDATE parcels SET state = 'held', bounce = '', updated_at = ?3 WHERE mail_id = ?1 AND recipient = ?2"
        " AND state IN ('queued','deferred')",
    /* The time in hold, since updated_at, does not count: an operator who lets mail go wants it to be tried; not before
     * the time that its sender has asked for (RFC 4865). */
    [STATEMENT_PARCEL_RELEASE] = "UPDATE parcels SET state = " WAITS_AGAIN ", updated_at = ?3,"
                                 " retry_at = max(?3, " RELEASED_AT "),"
                                 " expires_at = coalesce(datetime(expires_at, max(0, unixepoch(?3) - unixepoch("
                                 "max(updated_at, " RELEASED_AT "))) || ' seconds'), expires_at)"
                                 " WHERE mail_id = ?1 AND recipient = ?2 AND state = 'held'",
    [STATEMENT_PARCEL_BOUNCE] =
        "UPDATE parcels SET state = " WAITS_AGAIN ", retry_at = ?3, bounce = ?4, updated_at = ?3"
        " WHERE mail_id = ?1 AND recipient = ?2 AND " WAITING,
    [STATEMENT_ATTEMPT_ADD] = "INSERT INTO attempts (parcel_id, started_at, route, host, address, tls, reply,"
                              " milliseconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STATEMENT_POSITION_READ] = "SELECT segment, position FROM journal_position WHERE one = 1",
    [STATEMENT_POSITION_WRITE] = "UPDATE journal_position SET segment = ?1, position = ?2 WHERE one = 1",
    [STATEMENT_OPERATOR_CHANGE_ADD] = "INSERT INTO operator_changes (created_at, uid, name, what, affected)"
                                      " VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_OPERATOR_CHANGE_MORE] = "UPDATE operator_changes SET affected = affected + ?2 WHERE id = ?1",
    [STATEMENT_HOLD_RULES] = "SELECT kind, pattern, reason FROM hold_rules ORDER BY id",
    [STATEMENT_HOLD_RULE_ADD] = "INSERT INTO hold_rules (kind, pattern, reason, created_at) VALUES (?1, ?2, ?3, ?4)"
                                " ON CONFLICT (kind, pattern) DO UPDATE SET reason = ?3",
    [STATEMENT_HOLD_RULE_REMOVE] = "DELETE FROM hold_rules WHERE kind = ?1 AND pattern = ?2",
    [STATEMENT_DOMAIN_ADD] = "INSERT INTO domains (domain, configured) VALUES (?1, 1)"
                             " ON CONFLICT (domain) DO UPDATE SET configured = 1 WHERE configured = 0",
    [STATEMENT_DOMAINS_CONFIGURED] = "SELECT domain FROM domains WHERE configured = 1",
    [STATEMENT_DOMAIN_REMOVE] = "DELETE FROM domains WHERE domain = ?1 AND configured = 1",
    [STATEMENT_SCHEDULE_DUE] =
        "SELECT " SCHEDULE_COLUMNS SCHEDULE_DUE " AND (p.retry_at > ?2 OR p.id > ?4)" SCHEDULE_ORDER,
    [STATEMENT_SCHEDULE_DOMAIN] = "SELECT " SCHEDULE_COLUMNS SCHEDULE_DUE " AND p.domain = ?4" SCHEDULE_ORDER,
    [STATEMENT_SCHEDULE_LOCAL] = "SELECT " SCHEDULE_COLUMNS SCHEDULE_DUE " AND p.delivery = 'local'" SCHEDULE_ORDER,
    [STATEMENT_SCHEDULE_WAITING] = "SELECT " SCHEDULE_COLUMNS " INDEXED BY parcels_waiting"
                                   " WHERE p.state IN ('deferred','held') AND p.state = 'deferred' AND p.domain = ?4"
                                   " AND p.retry_at >= ?2 AND p.retry_at <= ?1" SCHEDULE_ORDER,
    [STATEMENT_SCHEDULE_MAIL] = "SELECT " SCHEDULE_COLUMNS " WHERE p.state IN ('queued','deferred')"
                                " AND p.mail_id = ?1 ORDER BY p.id LIMIT ?2",
    [STATEMENT_SCHEDULE_FACTS] = "SELECT size, coalesce(hold_until, received_at), account, auto_generated"
                                 " FROM mails WHERE mail_id = ?1",
    [STATEMENT_SCHEDULE_WAITS] = "SELECT 1 FROM parcels WHERE id = ?1 AND state IN ('queued','deferred')",
    [STATEMENT_SCHEDULE_NEXT] = "SELECT min(retry_at) FROM parcels WHERE state IN ('queued','deferred')"
                                " AND retry_at > ?1",
    [STATEMENT_DESTINATION_FIND] = "SELECT failures, retry_at, reason, tls, tls_at FROM destinations"
                                   " WHERE destination = ?1",
    [STATEMENT_DESTINATION_FAILED] = "INSERT INTO destinations (destination, failures, retry_at, reason, updated_at)"
                                     " VALUES (?1, 1, ?2, ?3, ?4) ON CONFLICT (destination) DO UPDATE SET"
                                     " failures = failures + 1, retry_at = ?2, reason = ?3, updated_at = ?4",
    [STATEMENT_DESTINATION_ANSWERED] = "UPDATE destinations SET failures = 0, retry_at = NULL, reason = '',"
                                       " updated_at = ?2 WHERE destination = ?1",
    [STATEMENT_DESTINATION_SHOWED] = "INSERT INTO destinations (destination, tls, tls_at, updated_at)"
                                     " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (destination) DO UPDATE SET failures = 0,"
                                     " retry_at = NULL, reason = '', tls = ?2, tls_at = ?3, updated_at = ?3",
    [STATEMENT_DESTINATIONS_ALLOW] = "UPDATE destinations SET retry_at = NULL, updated_at = ?2 WHERE retry_at IS NOT"
                                     " NULL AND destination IN (SELECT domain FROM parcels WHERE mail_id = ?1 UNION ALL"
                                     " SELECT CASE substr(target, 1, 1) WHEN '|' THEN target ELSE '' END FROM parcels"
                                     " WHERE mail_id = ?1 AND delivery = 'local')",
    /* ?1 seconds, ?2 the time by the clock as it was, ?3 the last and ?4 the first that it can have written. What was
     * due moves, too: by a clock that was set back it would be due no more. What was over stays over. What was put in
     * by hand and is no date that SQLite reads stays. */
    [STATEMENT_SHIFT_PARCELS] = PARCELS_PIECE "retry_at = " SHIFTED("?4", retry_at) ", expires_at = " SHIFTED(
        "?2", expires_at) " WHERE " PIECE " AND id <= ?7 AND state IN ('queued','deferred')" NOT_TO_BE_RELEASED,
    [STATEMENT_SHIFT_HELD] = PARCELS_PIECE "expires_at = " SHIFTED("?2", expires_at) ", updated_at = " PASSED(
        updated_at) " WHERE " PIECE " AND id <= ?7 AND state = 'held'" NOT_TO_BE_RELEASED,
    [STATEMENT_SHIFT_MAILS] = "UPDATE mails SET received_at = " PASSED(received_at) ", hold_until = " PASSED(
        hold_until) " WHERE " PIECE " AND +place <> 'gone' AND EXISTS (SELECT 1 FROM parcels p"
                    " WHERE p.mail_id = mails.mail_id AND p.id <= ?7 AND p." WAITING ")",
    [STATEMENT_CLOCK_MOVE] = "SELECT seconds, before, clock, last_parcel, after_mail FROM clock_move",
    [STATEMENT_CLOCK_MOVE_BEGIN] = "INSERT INTO clock_move (one, seconds, before, clock, last_parcel, after_mail)"
                                   " SELECT 1, ?1, ?2, ?3, coalesce(max(id), 0), '' FROM parcels",
    [STATEMENT_CLOCK_MOVE_NEXT] = "SELECT mail_id FROM mails WHERE mail_id > ?1 ORDER BY mail_id LIMIT 1 OFFSET ?2",
    [STATEMENT_CLOCK_MOVE_STEP] = "UPDATE clock_move SET after_mail = ?1",
    [STATEMENT_CLOCK_MOVE_END] = "DELETE FROM clock_move",
    [STATEMENT_SHIFT_CONTACTS] = "UPDATE contacts SET expires_at = " MOVED(expires_at) ", locked_at = " MOVED(
        locked_at) " WHERE expires_at BETWEEN ?4 AND ?3",
    [STATEMENT_SHIFT_DESTINATIONS] =
        "UPDATE destinations SET retry_at = " MOVED(retry_at) " WHERE retry_at BETWEEN ?4 AND ?3",
    [STATEMENT_SHIFT_GREYLIST] = "UPDATE greylist SET created_at = " MOVED(created_at) ", expires_at = " MOVED(
        expires_at) " WHERE passed_at IS NULL AND expires_at BETWEEN ?4 AND ?3",
    [STATEMENT_SHIFT_LOGINS] = "UPDATE logins SET failed_at = " MOVED(failed_at) " WHERE failed_at BETWEEN ?4 AND ?2",
    /* ?4 now, ?5 first tries up to then are late enough, ?6 ?7 when a waiting, a taken row expires. What has expired
     * begins anew; each value on the right is the one before this statement. */
    [STATEMENT_GREYLIST_TRY] =
        "INSERT INTO greylist (network, sender, recipient, expires_at, created_at, updated_at)"
        " VALUES (?1, ?2, ?3, ?6, ?4, ?4) ON CONFLICT (network, sender, recipient) DO UPDATE SET"
        " tries = CASE WHEN expires_at > ?4 THEN tries + 1 ELSE 1 END,"
        " passed_at = CASE WHEN expires_at <= ?4 THEN NULL WHEN passed_at IS NULL AND created_at <= ?5 THEN ?4"
        " ELSE passed_at END,"
        " expires_at = CASE WHEN expires_at <= ?4 THEN ?6 WHEN passed_at IS NOT NULL OR created_at <= ?5 THEN ?7"
        " ELSE expires_at END,"
        " created_at = CASE WHEN expires_at > ?4 THEN created_at ELSE ?4 END, updated_at = ?4"
        " RETURNING created_at, passed_at",
    [STATEMENT_PURGE_VIOLATIONS] = "DELETE FROM violations WHERE id IN (SELECT id FROM violations"
                                   " WHERE created_at < ?1 LIMIT ?2)",
    [STATEMENT_PURGE_ATTEMPTS] = "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts"
                                 " WHERE started_at < ?1 LIMIT ?2)",
    [STATEMENT_PURGE_PARCELS] = "DELETE FROM parcels WHERE id IN (SELECT id FROM parcels INDEXED BY parcels_ended"
                                " WHERE state NOT IN ('queued', 'deferred', 'held')"
                                " AND coalesce(delivery_at, created_at) < ?1 LIMIT ?2)",
    [STATEMENT_PURGE_MAILS] = "DELETE FROM mails WHERE mail_id IN (SELECT mail_id FROM mails m WHERE received_at < ?1"
                              " AND place = 'gone' AND NOT EXISTS (SELECT 1 FROM parcels p"
                              " WHERE p.mail_id = m.mail_id) LIMIT ?2)",
    [STATEMENT_PURGE_DESTINATIONS] = "DELETE FROM destinations WHERE destination IN (SELECT destination FROM"
                                     " destinations INDEXED BY destinations_age WHERE updated_at < ?1"
                                     " AND (tls_at IS NULL OR tls_at < ?3) LIMIT ?2)",
    [STATEMENT_PURGE_CONTACTS] =
        "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts c WHERE id > ?2 AND id <= ?3"
        " AND updated_at < ?1 AND expires_at IS NULL AND NOT EXISTS (SELECT 1 FROM violations v"
        " WHERE v.contact_id = c.id))",
    [STATEMENT_PURGE_GREYLIST] = "DELETE FROM greylist WHERE id IN (SELECT id FROM greylist INDEXED BY greylist_age"
                                 " WHERE expires_at <= ?1 LIMIT ?2)",
    [STATEMENT_LOGIN_KNOWN] = "SELECT count(*) FROM logins WHERE account = ?1 AND contact = ?2 AND succeeded_at >= ?3",
    [STATEMENT_LOGIN_FAILURES] = "SELECT coalesce(sum(failures), 0) FROM logins WHERE account = ?1 AND failed_at >= ?2"
                                 " AND coalesce(succeeded_at, '') < ?3",
    [STATEMENT_LOGIN_FAILED] = "INSERT INTO logins (account, contact, failures, failed_at, updated_at)"
                               " VALUES (?1, ?2, 1, ?3, ?3) ON CONFLICT (account, contact) DO UPDATE SET"
                               " failures = CASE WHEN failed_at >= ?4 THEN failures + 1 ELSE 1 END,"
                               " failed_at = ?3, updated_at = ?3",
    [STATEMENT_LOGIN_SUCCEEDED] = "INSERT INTO logins (account, contact, succeeded_at, updated_at)"
                                  " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (account, contact) DO UPDATE SET"
                                  " failures = 0, failed_at = NULL, succeeded_at = ?3, updated_at = ?3",
    [STATEMENT_PURGE_LOGINS] = "DELETE FROM logins WHERE (account, contact) IN (SELECT account, contact FROM logins"
                               " INDEXED BY logins_age WHERE updated_at < ?1 LIMIT ?2)",
    [STATEMENT_CONTACTS_LAST] = "SELECT max(id) FROM contacts",
    /* the domain itself, ".name" of one above it, "*" */
    [STATEMENT_USERS_LOCAL_DOMAIN] =
        "WITH RECURSIVE above(name) AS (SELECT ?1 UNION ALL SELECT substr(name, instr(name, '.') + 1) FROM above"
        " WHERE instr(name, '.') > 0)"
        " SELECT 1 FROM domains WHERE domain IN (?1, '*')"
        " OR domain IN (SELECT '.' || name FROM above WHERE name <> ?1) LIMIT 1",
    [STATEMENT_USERS_FIND] = "SELECT address FROM users WHERE address = ?1",
    [STATEMENT_USERS_PROOFS] = "SELECT hash, coalesce(scram, '') FROM users WHERE address = ?1",
    [STATEMENT_USERS_SOME_PROOFS] =
        "SELECT hash, coalesce(scram, '') FROM users WHERE address >= ?1 ORDER BY address LIMIT 1",
    [STATEMENT_USERS_SECRET] = "SELECT secret FROM login_secret",
    [STATEMENT_USERS_BY_LOCAL] = "SELECT " USERS_COLUMNS " FROM users"
                                 " WHERE substr(address, 1, instr(address, '@') - 1) = ?1 ORDER BY address LIMIT ?2",
    [STATEMENT_USERS_SET] = "INSERT INTO users (address, hash, scram, created_at, updated_at)"
                            " VALUES (?1, ?2, ?3, ?4, ?4)"
                            " ON CONFLICT (address) DO UPDATE SET hash = ?2, scram = ?3, updated_at = ?4",
    [STATEMENT_USERS_REMOVE] = "DELETE FROM users WHERE address = ?1",
    [STATEMENT_USERS_LIST] = "SELECT " USERS_COLUMNS " FROM users ORDER BY address",
    /* one domain's deferred and held: the index parcels_waiting; its queued ones are due, and few, or are found by
       LATER */
    [STATEMENT_LIST_DOMAIN_WAITING] =
        LIST "p.domain = ?1 AND p.state IN ('deferred','held')" LIST_FILTERS " ORDER BY p.retry_at" LIST_LIMIT,
    [STATEMENT_LIST_DOMAIN_QUEUED] = LIST "p.state IN ('queued','deferred') AND p.retry_at <= ?9 AND p.state = 'queued'"
                                          " AND p.domain = ?1" LIST_FILTERS " ORDER BY p.retry_at" LIST_LIMIT,
    [STATEMENT_LIST_DUE] = LIST "p.state IN ('queued','deferred')" LIST_FILTERS " ORDER BY p.retry_at" LIST_LIMIT,
    [STATEMENT_LIST_QUEUED] =
        LIST "p.state IN ('queued','deferred') AND p.retry_at <= ?9 AND p.state = 'queued'" LIST_FILTERS
             " ORDER BY p.retry_at" LIST_LIMIT,
    /* of the queued ones those that are not due: their senders asked for it (RFC 4865); ?1 may be NULL */
    [STATEMENT_LIST_LATER] = LIST
    "p.mail_id IN (SELECT mail_id FROM mails INDEXED BY mails_later WHERE hold_until > ?9) AND p.state = 'queued'"
    " AND p.retry_at > ?9 AND (?1 IS NULL OR p.domain = ?1)" LIST_FILTERS " ORDER BY p.retry_at" LIST_LIMIT,
    [STATEMENT_LIST_HELD] = LIST "p.state = 'held'" LIST_FILTERS " ORDER BY p.created_at" LIST_LIMIT,
    [STATEMENT_LIST_MAIL] = LIST "p.mail_id = ?10" LIST_FILTERS " ORDER BY p.recipient, p.id" LIST_LIMIT,
    [STATEMENT_LIST_ALL] = LIST "1" LIST_FILTERS " ORDER BY p.id DESC" LIST_LIMIT,
    [STATEMENT_ALIAS_TARGETS] = "SELECT target, owner FROM aliases WHERE address = ?1 ORDER BY id LIMIT ?2",
    [STATEMENT_ALIAS_ADD] = "INSERT INTO aliases (address, target, owner, created_at) VALUES (?1, ?2, ?3, ?4)"
                            " ON CONFLICT (address, target) DO UPDATE SET owner = ?3",
    [STATEMENT_ALIAS_REMOVE] = "DELETE FROM aliases WHERE address = ?1 AND target = ?2",
    [STATEMENT_ALIAS_REMOVE_ALL] = "DELETE FROM aliases WHERE address = ?1",
    [STATEMENT_VACATION_FIND] = "SELECT subject, message, days FROM vacations WHERE address = ?1"
                                " AND (starts_at IS NULL OR starts_at <= ?2) AND (ends_at IS NULL OR ends_at > ?2)",
    [STATEMENT_VACATION_ANSWERED] = "SELECT 1 FROM mails m CROSS JOIN parcels p ON p.mail_id = m.mail_id"
                                    " WHERE m.role = 'vacation' AND m.account = ?1 AND m.received_at > ?3"
                                    " AND p.to_url = ?2 COLLATE NOCASE LIMIT 1",
    [STATEMENT_VACATION_SET] = "INSERT INTO vacations (address, subject, message, starts_at, ends_at, days, updated_at)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (address) DO UPDATE SET subject = ?2,"
                               " message = ?3, starts_at = ?4, ends_at = ?5, days = ?6, updated_at = ?7",
    [STATEMENT_VACATION_REMOVE] = "DELETE FROM vacations WHERE address = ?1",
    [STATEMENT_KEEP_DOMAINS] = "SELECT domain FROM domains WHERE configured = 0",
    [STATEMENT_PUT_DOMAIN] = "INSERT OR IGNORE INTO domains (domain) VALUES (?1)",
    [STATEMENT_KEEP_ALIASES] = "SELECT address, target, owner, created_at FROM aliases ORDER BY id",
    [STATEMENT_PUT_ALIAS] = "INSERT OR IGNORE INTO aliases (address, target, owner, created_at)"
                            " VALUES (?1, ?2, ?3, ?4)",
    [STATEMENT_KEEP_VACATIONS] =
        "SELECT address, subject, message, starts_at, ends_at, days, updated_at FROM vacations",
    [STATEMENT_PUT_VACATION] = "INSERT OR IGNORE INTO vacations (address, subject, message, starts_at, ends_at, days,"
                               " updated_at) VALUES (?1, ?2, ?3, nullif(?4, ''), nullif(?5, ''), ?6, ?7)",
    [STATEMENT_KEEP_HOLD_RULES] = "SELECT kind, pattern, reason, created_at FROM hold_rules ORDER BY id",
    [STATEMENT_PUT_HOLD_RULE] = "INSERT OR IGNORE INTO hold_rules (kind, pattern, reason, created_at)"
                                " VALUES (?1, ?2, ?3, ?4)",
    [STATEMENT_REPORT_MAIL] = "SELECT * FROM mails WHERE mail_id = ?1",
    [STATEMENT_REPORT_MAIL_PARCELS] = "SELECT id, to_url, target, delivery, state, attempts, delivery_at, retry_at,"
                                      " expires_at, delivery_msg, recipient, domain, from_url, bounce, delayed_at,"
                                      " notify, created_at FROM parcels WHERE mail_id = ?1 ORDER BY id",
    [STATEMENT_REPORT_MAIL_ATTEMPTS] = "SELECT a.started_at, p.to_url, a.route, a.host, a.address, a.tls, a.reply,"
                                       " a.milliseconds FROM attempts a JOIN parcels p ON p.id = a.parcel_id"
                                       " WHERE p.mail_id = ?1 ORDER BY a.id",
    [STATEMENT_REPORT_CONTACTS] =
        "SELECT remote_ip, hits, violations, locks, CASE WHEN violations > 0 THEN expires_at END,"
        " accepted_at, updated_at"
        " FROM contacts ORDER BY updated_at DESC, id DESC LIMIT 1000",
    [STATEMENT_REPORT_CONTACT] = "SELECT * FROM contacts WHERE remote_ip = ?1",
    [STATEMENT_REPORT_VIOLATIONS] = "SELECT v.created_at, v.port, v.verb, v.rule, v.reply, v.account, v.mail_id,"
                                    " v.counted FROM violations v JOIN contacts c ON c.id = v.contact_id"
                                    " WHERE c.remote_ip = ?1 ORDER BY v.id DESC LIMIT 200",
    [STATEMENT_REPORT_ADDRESS] = "SELECT created_at, mail_id, from_url, to_url, state, attempts, delivery_msg"
                                 " FROM " NEWEST " WHERE to_url = ?1 COLLATE NOCASE OR target = ?1 COLLATE NOCASE"
                                 " OR from_url = ?1 COLLATE NOCASE ORDER BY id DESC LIMIT 20",
    [STATEMENT_REPORT_FROM_CONTACT] = "SELECT p.created_at, p.mail_id, p.from_url, p.to_url, p.state, p.delivery_msg"
                                      " FROM contacts c JOIN " NEWEST " p ON c.id = p.contact_id"
                                      " WHERE c.remote_ip = ?1 ORDER BY p.id DESC LIMIT 200",
    [STATEMENT_REPORT_PARCEL_ATTEMPTS] = "SELECT started_at, route, host, address, tls, reply, milliseconds"
                                         " FROM attempts WHERE parcel_id = ?1 ORDER BY id",
    [STATEMENT_REPORT_MAIL_VIOLATIONS] =
        "SELECT v.created_at, v.verb, v.rule, v.reply, v.counted FROM mails m JOIN violations v"
        " ON v.contact_id = m.contact_id AND v.created_at >= datetime(m.received_at, '-1 day')"
        " AND v.created_at <= datetime(m.received_at, '+1 day') WHERE m.mail_id = ?1 AND v.mail_id = ?1 ORDER BY v.id",
    [STATEMENT_REPORT_DESTINATION] = "SELECT destination, failures, retry_at, reason, tls, tls_at FROM destinations"
                                     " WHERE destination = ?1",
    [STATEMENT_REPORT_DOMAIN_WAITING] =
        "SELECT state, count(*) AS parcels, min(created_at) AS oldest, min(retry_at) AS next FROM parcels"
        " WHERE domain = ?1 AND state IN ('deferred','held') GROUP BY state",
    [STATEMENT_REPORT_DOMAIN_REASONS] =
        "SELECT substr(delivery_msg, 1, 200) AS reason, count(*) AS parcels FROM parcels"
        " WHERE domain = ?1 AND state IN ('deferred','held') AND delivery_msg <> '' GROUP BY 1 ORDER BY 2 DESC LIMIT 5",
    [STATEMENT_REPORT_DOMAIN] = "SELECT created_at, mail_id, from_url, to_url, state, attempts, delivery_msg"
                                " FROM " NEWEST " WHERE domain = ?1 ORDER BY id DESC LIMIT 10",
    [STATEMENT_REPORT_AGES] =
        "SELECT CASE WHEN created_at > datetime('now', '-1 hour') THEN 'in the last hour'"
        " WHEN created_at > datetime('now', '-1 day') THEN 'in the last day'"
        " WHEN created_at > datetime('now', '-3 days') THEN 'in the last 3 days' ELSE 'earlier' END AS came,"
        " count(*) AS parcels FROM (SELECT created_at FROM parcels WHERE state IN ('queued','deferred')"
        " UNION ALL SELECT created_at FROM parcels WHERE state = 'held') GROUP BY 1 ORDER BY max(created_at) DESC",
    [STATEMENT_REPORT_DOMAINS] = "SELECT domain, count(*) AS parcels, min(retry_at) AS next FROM parcels"
                                 " WHERE state IN ('deferred','held') GROUP BY domain ORDER BY 2 DESC, 1 LIMIT 10",
    [STATEMENT_REPORT_HOUR] =
        LATELY("-1 hour") " UNION ALL SELECT 'contacts locked out', count(*) FROM contacts"
                          " WHERE expires_at IS NOT NULL AND expires_at > datetime('now') AND violations > 0",
    [STATEMENT_REPORT_MINUTE] = LATELY("-1 minute"),
    [STATEMENT_REPORT_WAITING_NOW] =
        "SELECT 'queued' AS state, w.number - d.number + h.number AS parcels FROM"
        " (SELECT count(*) AS number FROM parcels WHERE state IN ('queued','deferred')) w,"
        " (SELECT count(*) AS number FROM parcels WHERE state IN ('deferred','held')) d,"
        " (SELECT count(*) AS number FROM parcels WHERE state = 'held') h"
        " UNION ALL SELECT 'deferred', (SELECT count(*) FROM parcels WHERE state IN ('deferred','held'))"
        " - (SELECT count(*) FROM parcels WHERE state = 'held')"
        " UNION ALL SELECT 'held', count(*) FROM parcels WHERE state = 'held'",
    [STATEMENT_REPORT_HOLD_RULES] = "SELECT kind, pattern, reason, created_at FROM hold_rules ORDER BY id",
    [STATEMENT_REPORT_GREYLIST] = "SELECT created_at, network, sender, recipient, tries, passed_at, expires_at"
                                  " FROM greylist WHERE expires_at > strftime('%Y-%m-%d %H:%M:%S', 'now')"
                                  " ORDER BY id DESC",
    [STATEMENT_REPORT_CHANGES] = "SELECT created_at, name, uid, what, affected FROM operator_changes"
                                 " ORDER BY id DESC LIMIT 1000",
    [STATEMENT_REPORT_STATES] = "SELECT state, count(*) AS parcels, min(created_at) AS oldest FROM parcels"
                                " GROUP BY state ORDER BY state",
    [STATEMENT_REPORT_TLS] = "SELECT destination, tls, tls_at FROM destinations WHERE tls <> '' ORDER BY destination",
    [STATEMENT_TLS_FORGIVE] = "UPDATE destinations SET tls = '', tls_at = NULL, failures = 0, retry_at = NULL,"
                              " updated_at = ?1 WHERE destination = ?2 AND tls <> ''",
    [STATEMENT_TLS_FORGIVE_ALL] = "UPDATE destinations SET tls = '', tls_at = NULL, failures = 0, retry_at = NULL,"
                                  " updated_at = ?1 WHERE tls <> ''",
    [STATEMENT_REPORT_ALIASES] = "SELECT address, target, owner, created_at FROM aliases ORDER BY address, id",
    [STATEMENT_REPORT_ALIAS] = "SELECT address, target, owner, created_at FROM aliases WHERE address = ?1 ORDER BY id",
    [STATEMENT_REPORT_VACATIONS] = "SELECT address, starts_at, ends_at, days, subject, updated_at FROM vacations"
                                   " ORDER BY address",
    [STATEMENT_REPORT_REPLAY] =
        "SELECT DISTINCT p.created_at, p.mail_id, p.from_url AS \"from\", p.to_url AS rcpt, c.remote_ip AS contact,"
        " coalesce(m.remote_ip, c.remote_ip) AS remote_ip, m.remote_name, m.ehlo, m.role, m.local_port AS port, m.size,"
        " substr(m.tls, 1, instr(m.tls || ' ', ' ') - 1) AS tls, substr(m.tls, instr(m.tls || ' ', ' ') + 1) AS "
        "tls_cipher,"
        " m.account, m.account <> '' AS authenticated, m.message_id, m.verdicts AS dkim, m.protocol,"
        " CASE WHEN instr(m.verdicts, 'spf=') > 0 THEN substr(m.verdicts, instr(m.verdicts, 'spf=') + 4,"
        " instr(substr(m.verdicts, instr(m.verdicts, 'spf=') + 4), ' ') - 1) END AS spf,"
        " m.protocol <> 'SMTP' AS extended, m.ehlo LIKE '[%' AS ehlo_is_literal, p.created_at AS time,"
        " (strftime('%w', p.created_at) + 6) % 7 + 1 AS weekday,"
        " m.reverse, m.listed_in, m.dnsbl_score,"
        " (SELECT count(DISTINCT q.to_url) FROM parcels q WHERE q.mail_id = p.mail_id AND q.recipient >= 0)"
        " AS rcpt_count, CASE WHEN p.recipient < 0 THEN p.delivery_msg END AS refusal,"
        " (SELECT v.rule FROM violations v WHERE v.contact_id = p.contact_id AND v.mail_id = p.mail_id"
        " AND v.reply = p.delivery_msg LIMIT 1) AS refused_by"
        " FROM parcels p LEFT JOIN mails m USING (mail_id) LEFT JOIN contacts c ON c.id = p.contact_id"
        " WHERE p.created_at >= ?1 AND (m.role IS NULL OR m.role IN ('mx', 'internal', 'submission', 'sendmail'))"
        " ORDER BY p.created_at, p.mail_id, p.id",
    [STATEMENT_READ_BEGIN] = "BEGIN",
    [STATEMENT_READ_END] = "COMMIT",
    [STATEMENT_SCHEMA] = "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'view') AND sql IS NOT NULL"
                         " ORDER BY rowid",
};

const char *statement_text(enum statement_name name) {
    return statements[name];
}

struct bind bind_text(struct text value) {
    return (struct bind){.kind = BIND_TEXT, .text = value};
}

struct bind bind_string(const char *value) {
    return value ? bind_text(text_of(value)) : (struct bind){.kind = BIND_NULL};
}

struct bind bind_integer(int64_t value) {
    return (struct bind){.kind = BIND_INTEGER, .integer = value};
}

struct bind bind_contact(int64_t contact_id) {
    return contact_id > 0 ? bind_integer(contact_id) : bind_string(NULL);
}

struct bind bind_time(int64_t seconds) {
    struct bind bind = {.kind = BIND_NULL};
    if (seconds != 0 && seconds != CLOCK_NEVER) {
        bind.kind = BIND_TEXT;
        clock_text((time_t)seconds, bind.time);
    }
    return bind;
}

static int bind_one(sqlite3_stmt *statement, int place, const struct bind *bind, sqlite3_destructor_type lifetime) {
    switch (bind->kind) {
    case BIND_TEXT:
        if (bind->time[0] != '\0') {
            return sqlite3_bind_text(statement, place, bind->time, -1, lifetime);
        }
        return sqlite3_bind_text64(statement, place, bind->text.data ? bind->text.data : "", bind->text.length,
                                   lifetime, SQLITE_UTF8);
    case BIND_INTEGER:
        return sqlite3_bind_int64(statement, place, bind->integer);
    case BIND_NULL:
        break;
    }
    return sqlite3_bind_null(statement, place);
}

static void pause_shortly(void) {
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
}

void (*statement_pause)(void) = pause_shortly;

/* Lookup may only read the log's index. Where it meets the ledger just writing the index's header, SQLite takes that
 * for an index that somebody has to recover, and says so at once: a moment later there is nothing to recover. */
static bool met_the_writer(int code) {
    return code == SQLITE_READONLY_RECOVERY || code == SQLITE_READONLY_CANTINIT || code == SQLITE_BUSY_RECOVERY;
}

int statement_prepare(sqlite3 *handle, const char *sql, unsigned flags, struct sqlite3_stmt **statement) {
    int code = sqlite3_prepare_v3(handle, sql, -1, flags, statement, NULL); /* may read the schema */
    for (int i = 0; i < TRIES && met_the_writer(code); i++) {
        statement_pause();
        code = sqlite3_prepare_v3(handle, sql, -1, flags, statement, NULL);
    }
    return code;
}

int statement_advance(struct sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    for (int i = 0; i < TRIES && met_the_writer(code); i++) {
        statement_pause();
        (void)sqlite3_reset(statement);
        code = sqlite3_step(statement);
    }
    return code;
}

static struct sqlite3_stmt *prepared_with(struct database *database, enum statement_name name, const struct bind *binds,
                                          size_t count, sqlite3_destructor_type lifetime) {
    sqlite3_stmt **prepared = &database->prepared[name];
    if (*prepared == NULL &&
        statement_prepare(database->handle, statements[name], SQLITE_PREPARE_PERSISTENT, prepared) != SQLITE_OK) {
        return NULL;
    }
    sqlite3_reset(*prepared);
    for (size_t i = 0; i < count; i++) {
        if (bind_one(*prepared, (int)i + 1, &binds[i], lifetime) != SQLITE_OK) {
            return NULL;
        }
    }
    return *prepared;
}

struct sqlite3_stmt *statement_query(struct database *database, enum statement_name name, const struct bind *binds,
                                     size_t count) {
    return prepared_with(database, name, binds, count, SQLITE_TRANSIENT);
}

enum statement_result statement_step(struct sqlite3_stmt *statement) {
    if (statement == NULL) {
        return STATEMENT_ERROR;
    }
    switch (statement_advance(statement)) {
    case SQLITE_ROW:
        return STATEMENT_ROW;
    case SQLITE_DONE:
        return STATEMENT_DONE;
    default:
        return STATEMENT_ERROR;
    }
}

void statement_end(struct sqlite3_stmt *statement) {
    if (statement != NULL) {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
}

bool statement_run(struct database *database, enum statement_name name, const struct bind *binds, size_t count) {
    struct sqlite3_stmt *statement = prepared_with(database, name, binds, count, SQLITE_STATIC); /* unbound here */
    enum statement_result result = statement_step(statement);
    while (result == STATEMENT_ROW) {
        result = statement_step(statement);
    }
    statement_end(statement);
    return result == STATEMENT_DONE;
}

int64_t statement_changes(const struct database *database) {
    return sqlite3_changes(database->handle);
}

bool database_refused_value(const struct database *database) {
    return sqlite3_errcode(database->handle) == SQLITE_CONSTRAINT ||
           (sqlite3_extended_errcode(database->handle) & 0xff) == SQLITE_CONSTRAINT;
}

int64_t statement_row_id(const struct database *database) {
    return sqlite3_last_insert_rowid(database->handle);
}

int64_t column_integer(struct sqlite3_stmt *statement, int column) {
    return sqlite3_column_int64(statement, column);
}

const char *column_string(struct sqlite3_stmt *statement, int column) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    return value ? value : "";
}

int64_t column_time(struct sqlite3_stmt *statement, int column) {
    time_t seconds = 0;
    return clock_parse(column_string(statement, column), &seconds) ? (int64_t)seconds : 0;
}

enum column_kind column_kind(struct sqlite3_stmt *statement, int column) {
    int type = sqlite3_column_type(statement, column);
    return type == SQLITE_NULL                              ? COLUMN_NULL
           : type == SQLITE_INTEGER || type == SQLITE_FLOAT ? COLUMN_NUMBER
                                                            : COLUMN_TEXT;
}

int column_count(struct sqlite3_stmt *statement) {
    return sqlite3_column_count(statement);
}

const char *column_name(struct sqlite3_stmt *statement, int column) {
    return sqlite3_column_name(statement, column);
}
