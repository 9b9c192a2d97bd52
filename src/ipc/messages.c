/* SPDX-License-Identifier: MIT
 * The field table of every kind of message: what travels, in which order, and how large each value may be. Read by
 * channel.c in every process. A number's bound 0 means any; a new message is one struct and one row here, and a row in
 * whitelist.c. */
#include "ipc/messages.h"
#include "base/network.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/mail_id.h"
#include "mail/reply.h"
#include "mail/sql_rule.h"

/* Bounds in bytes. */
#define ID_MAXIMUM (MAIL_ID_SIZE - 1)
#define CONTACT_MAXIMUM NETWORK_IP_SIZE
#define ADDRESS_MAXIMUM (2 * ADDRESS_SIZE)
#define NAME_MAXIMUM 256                   /* a host name, a row's name, a login */
#define ROUTE_MAXIMUM 512                  /* host and port, a path, words about TLS */
#define LINE_MAXIMUM (4 * REPLY_TEXT_SIZE) /* a reply, perhaps of several lines */
#define LIST_MAXIMUM (128u * 1024)
#define LENGTH_MAXIMUM UINT32_MAX /* of a message, 4 GiB */

#define NUMBER(type, member, largest)                                                                                  \
    { FIELD_U32, offsetof(struct type, member), (largest) }
#define LONG(type, member, largest)                                                                                    \
    { FIELD_I64, offsetof(struct type, member), (largest) }
#define BYTES(type, member, longest)                                                                                   \
    { FIELD_TEXT, offsetof(struct type, member), (longest) }

static const struct channel_field hub_peer_fields[] = {
    NUMBER(hub_peer, peer, 0),
    NUMBER(hub_peer, pid, 0),
};
static const struct channel_field hub_channel_fields[] = {
    NUMBER(hub_channel, process, 0),
};
static const struct channel_field hub_fork_fields[] = {
    NUMBER(hub_fork, count, 0),
};
static const struct channel_field hub_born_fields[] = {
    NUMBER(hub_born, pid, 0),
};
static const struct channel_field hub_contact_fields[] = {
    BYTES(hub_contact, contact, CONTACT_MAXIMUM),
    LONG(hub_contact, until, 0),
    LONG(hub_contact, began, 0),
};
static const struct channel_field hub_hits_fields[] = {
    BYTES(hub_hits, contact, CONTACT_MAXIMUM),
    NUMBER(hub_hits, hits, 0),
    LONG(hub_hits, last_at, 0),
};
static const struct channel_field hub_receiver_died_fields[] = {
    BYTES(hub_receiver_died, contact, CONTACT_MAXIMUM),
    NUMBER(hub_receiver_died, signal, 0),
};
static const struct channel_field hub_agent_fields[] = {
    BYTES(hub_agent, transport, NAME_MAXIMUM),
    NUMBER(hub_agent, token, 0),
};
static const struct channel_field hub_client_fields[] = {
    NUMBER(hub_client, listener, 0),
    BYTES(hub_client, peer, sizeof(struct network_address)),
    BYTES(hub_client, local, sizeof(struct network_address)),
    NUMBER(hub_client, over_limit, 0),
    NUMBER(hub_client, uid, 0),
};

static const struct channel_field contact_open_fields[] = {
    BYTES(contact_open, contact, CONTACT_MAXIMUM),
    NUMBER(contact_open, port, UINT16_MAX),
    NUMBER(contact_open, proxied, 1),
    BYTES(contact_open, network, CONTACT_MAXIMUM),
};
static const struct channel_field contact_violation_fields[] = {
    LONG(contact_violation, contact_id, 0),
    BYTES(contact_violation, contact, CONTACT_MAXIMUM),
    BYTES(contact_violation, verb, NAME_MAXIMUM),
    BYTES(contact_violation, rule, NAME_MAXIMUM),
    BYTES(contact_violation, reply, LINE_MAXIMUM),
    BYTES(contact_violation, account, ADDRESS_MAXIMUM),
    BYTES(contact_violation, mail_id, ID_MAXIMUM),
    NUMBER(contact_violation, port, UINT16_MAX),
    NUMBER(contact_violation, mercy, VIOLATION_ALWAYS),
};
static const struct channel_field contact_login_fields[] = {
    LONG(contact_login, contact_id, 0),
    BYTES(contact_login, account, ADDRESS_MAXIMUM),
};
static const struct channel_field login_try_fields[] = {
    BYTES(login_try, account, ADDRESS_MAXIMUM),
    BYTES(login_try, contact, CONTACT_MAXIMUM),
    NUMBER(login_try, right, 1),
};
static const struct channel_field login_verdict_fields[] = {
    NUMBER(login_verdict, locked, 1),
};
static const struct channel_field contact_state_fields[] = {
    LONG(contact_state, contact_id, 0),
    LONG(contact_state, expires_at, 0),
    NUMBER(contact_state, violations, 0),
    NUMBER(contact_state, verdict, CONTACT_CLOSED),
    NUMBER(contact_state, allowed, 1),
    NUMBER(contact_state, connections, 0),
    NUMBER(contact_state, over, CONTACT_NETWORK_OVER),
    NUMBER(contact_state, known_good, 1),
};
static const struct channel_field contact_count_fields[] = {
    BYTES(contact_count, contact, ADDRESS_MAXIMUM),
    BYTES(contact_count, network, CONTACT_MAXIMUM),
    NUMBER(contact_count, event, CONTACT_EVENTS - 1),
};
static const struct channel_field contact_counted_fields[] = {
    NUMBER(contact_counted, over, CONTACT_NETWORK_OVER),
};
static const struct channel_field greylist_ask_fields[] = {
    BYTES(greylist_ask, network, CONTACT_MAXIMUM),
    BYTES(greylist_ask, sender, ADDRESS_MAXIMUM),
    BYTES(greylist_ask, recipient, ADDRESS_MAXIMUM),
};
static const struct channel_field greylist_answer_fields[] = {
    LONG(greylist_answer, wait, 0),
};
static const struct channel_field recipient_refused_fields[] = {
    LONG(recipient_refused, contact_id, 0),
    NUMBER(recipient_refused, discarded, 1),
    BYTES(recipient_refused, mail_id, ID_MAXIMUM),
    BYTES(recipient_refused, from_url, ADDRESS_MAXIMUM),
    BYTES(recipient_refused, to_url, ADDRESS_MAXIMUM),
    BYTES(recipient_refused, reply, LINE_MAXIMUM),
};

static const struct channel_field spool_open_fields[] = {
    BYTES(spool_open, mail_id, ID_MAXIMUM),
};
static const struct channel_field spool_file_fields[] = {
    NUMBER(spool_file, outcome, COMMIT_INVALID),
};
static const struct channel_field mail_commit_fields[] = {
    NUMBER(mail_commit, place, CARGO_SPOOL_FILE),      LONG(mail_commit, message_length, LENGTH_MAXIMUM),
    LONG(mail_commit, headers_length, LENGTH_MAXIMUM), LONG(mail_commit, envelope_length, LENGTH_MAXIMUM),
    BYTES(mail_commit, cargo, COMMIT_INLINE_MAXIMUM),
};
static const struct channel_field mail_committed_fields[] = {
    NUMBER(mail_committed, outcome, COMMIT_INVALID),
};
static const struct channel_field mail_fetch_fields[] = {
    BYTES(mail_fetch, mail_id, ID_MAXIMUM),
};
static const struct channel_field mail_content_fields[] = {
    NUMBER(mail_content, found, CONTENT_LATER),          LONG(mail_content, offset, 0),
    LONG(mail_content, message_length, LENGTH_MAXIMUM),  LONG(mail_content, headers_length, LENGTH_MAXIMUM),
    LONG(mail_content, envelope_length, LENGTH_MAXIMUM), BYTES(mail_content, cargo, CARGO_INLINE_MAXIMUM),
};
static const struct channel_field mail_result_fields[] = {
    BYTES(mail_result, mail_id, ID_MAXIMUM),
    BYTES(mail_result, results, LIST_MAXIMUM),
    BYTES(mail_result, route, ROUTE_MAXIMUM),
    BYTES(mail_result, host, NAME_MAXIMUM),
    BYTES(mail_result, address, ROUTE_MAXIMUM),
    BYTES(mail_result, tls, ROUTE_MAXIMUM),
    LONG(mail_result, started_at, 0),
    LONG(mail_result, milliseconds, 0),
    NUMBER(mail_result, untried, 1),
    BYTES(mail_result, notices, NOTICES_MAXIMUM),
    BYTES(mail_result, destination, NAME_MAXIMUM),
    NUMBER(mail_result, standing, DESTINATION_UNREACHABLE),
    LONG(mail_result, rests_until, 0),
    NUMBER(mail_result, tls_memory, TLS_MEMORY_VERIFIED),
};
static const struct channel_field mail_recorded_fields[] = {
    NUMBER(mail_recorded, outcome, COMMIT_INVALID),
};
static const struct channel_field parcels_new_fields[] = {
    BYTES(parcels_new, mail_id, ID_MAXIMUM),
    BYTES(parcels_new, from_url, ADDRESS_MAXIMUM),
    BYTES(parcels_new, account, ADDRESS_MAXIMUM),
    LONG(parcels_new, size, 0),
    LONG(parcels_new, received_at, 0),
    LONG(parcels_new, expires_at, 0),
    NUMBER(parcels_new, auto_generated, 1),
    BYTES(parcels_new, recipients, LIST_MAXIMUM),
};
static const struct channel_field control_request_fields[] = {
    BYTES(control_request, verb, NAME_MAXIMUM),
    BYTES(control_request, argument, LINE_MAXIMUM),
    BYTES(control_request, detail, CARGO_INLINE_MAXIMUM),
    NUMBER(control_request, uid, 0),
};
static const struct channel_field control_answer_fields[] = {
    NUMBER(control_answer, exit_status, UINT8_MAX),
    LONG(control_answer, affected, 0),
    BYTES(control_answer, text, LIST_MAXIMUM),
};

static const struct channel_field lookup_address_fields[] = {
    BYTES(lookup_address, address, ADDRESS_MAXIMUM),
    BYTES(lookup_address, sender, ADDRESS_MAXIMUM),
    NUMBER(lookup_address, skip, 0),
};
static const struct channel_field lookup_address_answer_fields[] = {
    NUMBER(lookup_address_answer, standing, STANDING_TEMPFAIL),
    BYTES(lookup_address_answer, canonical, ADDRESS_MAXIMUM),
    BYTES(lookup_address_answer, targets, TARGETS_MAXIMUM),
    NUMBER(lookup_address_answer, more, 1),
};
static const struct channel_field lookup_login_fields[] = {
    BYTES(lookup_login, user, LINE_MAXIMUM),
    BYTES(lookup_login, password, LINE_MAXIMUM),
};
static const struct channel_field lookup_may_send_fields[] = {
    BYTES(lookup_may_send, account, ADDRESS_MAXIMUM),
    BYTES(lookup_may_send, address, ADDRESS_MAXIMUM),
};
static const struct channel_field lookup_login_answer_fields[] = {
    NUMBER(lookup_login_answer, outcome, LOGIN_TEMPFAIL),
    BYTES(lookup_login_answer, account, ADDRESS_MAXIMUM),
};
static const struct channel_field lookup_scram_begin_fields[] = {
    BYTES(lookup_scram_begin, user, LINE_MAXIMUM),
};
static const struct channel_field lookup_scram_salt_fields[] = {
    NUMBER(lookup_scram_salt, outcome, LOGIN_TEMPFAIL),
    NUMBER(lookup_scram_salt, iterations, 0),
    BYTES(lookup_scram_salt, salt, NAME_MAXIMUM),
};
static const struct channel_field lookup_scram_finish_fields[] = {
    BYTES(lookup_scram_finish, user, LINE_MAXIMUM),
    BYTES(lookup_scram_finish, auth_message, 2 * LINE_MAXIMUM),
    BYTES(lookup_scram_finish, proof, NAME_MAXIMUM),
};
static const struct channel_field lookup_scram_verdict_fields[] = {
    NUMBER(lookup_scram_verdict, outcome, LOGIN_TEMPFAIL),
    BYTES(lookup_scram_verdict, account, ADDRESS_MAXIMUM),
    BYTES(lookup_scram_verdict, signature, NAME_MAXIMUM),
};
static const struct channel_field lookup_rule_fields[] = {
    NUMBER(lookup_rule, stage, RULE_STAGES - 1),
    BYTES(lookup_rule, facts, LIST_MAXIMUM),
};
static const struct channel_field lookup_rule_answer_fields[] = {
    NUMBER(lookup_rule_answer, outcome, RULE_ANSWER_FAILED), NUMBER(lookup_rule_answer, code, 599),
    BYTES(lookup_rule_answer, enhanced, ID_MAXIMUM),         BYTES(lookup_rule_answer, text, REPLY_TEXT_SIZE),
    BYTES(lookup_rule_answer, rule, NAME_MAXIMUM),           BYTES(lookup_rule_answer, actions, ACTIONS_MAXIMUM),
};

static const struct channel_field dns_ask_fields[] = {
    BYTES(dns_ask, name, NAME_MAXIMUM),
    NUMBER(dns_ask, type, UINT16_MAX),
};
static const struct channel_field dns_answer_fields[] = {
    NUMBER(dns_answer, status, DNS_BAD_NAME),
    NUMBER(dns_answer, ttl, 0),
    NUMBER(dns_answer, authentic, 1),
    BYTES(dns_answer, records, LIST_MAXIMUM),
};
static const struct channel_field sign_mail_fields[] = {
    NUMBER(sign_mail, place, CARGO_SPOOL_FILE),      LONG(sign_mail, message_length, LENGTH_MAXIMUM),
    LONG(sign_mail, headers_length, LENGTH_MAXIMUM), BYTES(sign_mail, domain, NAME_MAXIMUM),
    BYTES(sign_mail, cargo, COMMIT_INLINE_MAXIMUM),
};
static const struct channel_field sign_answer_fields[] = {
    NUMBER(sign_answer, outcome, 1),
    BYTES(sign_answer, headers, CARGO_INLINE_MAXIMUM),
};
static const struct channel_field tls_sign_fields[] = {
    NUMBER(tls_sign, key, 0),
    NUMBER(tls_sign, scheme, UINT16_MAX),
    BYTES(tls_sign, content, SIGNED_MAXIMUM),
};
static const struct channel_field tls_signature_fields[] = {
    BYTES(tls_signature, signature, SIGNED_MAXIMUM),
};
static const struct channel_field tls_keys_answer_fields[] = {
    BYTES(tls_keys_answer, self_signed, SIGNED_MAXIMUM),
    BYTES(tls_keys_answer, error, LINE_MAXIMUM),
};
static const struct channel_field connect_ask_fields[] = {
    NUMBER(connect_ask, kind, 0),
    NUMBER(connect_ask, index, 0),
};
static const struct channel_field connect_answer_fields[] = {
    NUMBER(connect_answer, connected, 1),
    BYTES(connect_answer, why, ROUTE_MAXIMUM),
};

static const struct channel_field agent_job_fields[] = {
    BYTES(agent_job, mail_id, ID_MAXIMUM),
    BYTES(agent_job, from_url, ADDRESS_MAXIMUM),
    BYTES(agent_job, destination, NAME_MAXIMUM),
    BYTES(agent_job, recipients, LIST_MAXIMUM),
    BYTES(agent_job, cargo, CARGO_INLINE_MAXIMUM),
    NUMBER(agent_job, place, CARGO_SPOOL_FILE),
    NUMBER(agent_job, body, BODY_BINARYMIME),
    NUMBER(agent_job, utf8, 1),
    NUMBER(agent_job, requiretls, 1),
    NUMBER(agent_job, tls_optional, 1),
    LONG(agent_job, offset, 0),
    LONG(agent_job, message_length, LENGTH_MAXIMUM),
    LONG(agent_job, headers_length, LENGTH_MAXIMUM),
    BYTES(agent_job, ret, NAME_MAXIMUM),
    BYTES(agent_job, envid, LINE_MAXIMUM),
    BYTES(agent_job, solicit, LINE_MAXIMUM),
    NUMBER(agent_job, tls_memory, TLS_MEMORY_VERIFIED),
    NUMBER(agent_job, local, 1),
};
static const struct channel_field agent_result_fields[] = {
    BYTES(agent_result, mail_id, ID_MAXIMUM),
    BYTES(agent_result, results, LIST_MAXIMUM),
    BYTES(agent_result, route, ROUTE_MAXIMUM),
    BYTES(agent_result, host, NAME_MAXIMUM),
    BYTES(agent_result, address, ROUTE_MAXIMUM),
    BYTES(agent_result, tls, ROUTE_MAXIMUM),
    LONG(agent_result, started_at, 0),
    LONG(agent_result, milliseconds, 0),
    NUMBER(agent_result, reusable, 1),
    NUMBER(agent_result, standing, DESTINATION_UNREACHABLE),
    NUMBER(agent_result, tls_memory, TLS_MEMORY_VERIFIED),
};

#define ROW(kind, type)                                                                                                \
    [kind] = {#kind, type##_fields, sizeof type##_fields / sizeof type##_fields[0], sizeof(struct type)}
#define EMPTY(kind) [kind] = {#kind, NULL, 0, sizeof(struct empty_message)}

const struct channel_type channel_types[MESSAGE_KINDS] = {
    ROW(HUB_PEER, hub_peer),
    EMPTY(HUB_RELOAD),
    EMPTY(HUB_LOG),
    ROW(HUB_LOCKED, hub_contact),
    ROW(HUB_UNLOCKED, hub_contact),
    ROW(HUB_LOCK_BEGAN, hub_contact),
    ROW(HUB_LOCK_ENDED, hub_contact),
    ROW(HUB_HITS, hub_hits),
    ROW(HUB_RECEIVER_DIED, hub_receiver_died),
    ROW(HUB_AGENT_WANTED, hub_agent),
    ROW(HUB_AGENT, hub_agent),
    ROW(HUB_CHANNEL, hub_channel),
    ROW(HUB_FORK, hub_fork),
    ROW(HUB_BORN, hub_born),
    ROW(HUB_CLIENT, hub_client),
    EMPTY(HUB_READY),
    EMPTY(HUB_PING),
    EMPTY(HUB_PONG),
    EMPTY(HUB_FINISHED),
    EMPTY(ROWS_WANTED),
    EMPTY(ROWS_WRITTEN),
    ROW(CONTACT_OPEN, contact_open),
    ROW(CONTACT_VIOLATION, contact_violation),
    ROW(CONTACT_LOGIN, contact_login),
    ROW(LOGIN_TRY, login_try),
    ROW(LOGIN_VERDICT, login_verdict),
    EMPTY(CONTACT_CLOSE),
    ROW(CONTACT_STATE, contact_state),
    ROW(CONTACT_COUNT, contact_count),
    ROW(CONTACT_COUNTED, contact_counted),
    ROW(GREYLIST_TRY, greylist_ask),
    ROW(GREYLIST_ANSWER, greylist_answer),
    ROW(RECIPIENT_REFUSED, recipient_refused),
    ROW(SPOOL_OPEN, spool_open),
    ROW(SPOOL_FILE, spool_file),
    ROW(MAIL_COMMIT, mail_commit),
    ROW(MAIL_COMMITTED, mail_committed),
    ROW(MAIL_FETCH, mail_fetch),
    ROW(MAIL_CONTENT, mail_content),
    ROW(MAIL_RESULT, mail_result),
    ROW(MAIL_RECORDED, mail_recorded),
    ROW(PARCELS_NEW, parcels_new),
    ROW(CONTROL_REQUEST, control_request),
    ROW(CONTROL_ANSWER, control_answer),
    ROW(LOOKUP_ADDRESS, lookup_address),
    ROW(LOOKUP_ADDRESS_ANSWER, lookup_address_answer),
    ROW(LOOKUP_LOGIN, lookup_login),
    ROW(LOOKUP_LOGIN_ANSWER, lookup_login_answer),
    ROW(LOOKUP_SCRAM_BEGIN, lookup_scram_begin),
    ROW(LOOKUP_SCRAM_SALT, lookup_scram_salt),
    ROW(LOOKUP_SCRAM_FINISH, lookup_scram_finish),
    ROW(LOOKUP_SCRAM_VERDICT, lookup_scram_verdict),
    ROW(LOOKUP_MAY_SEND, lookup_may_send),
    ROW(LOOKUP_RULE, lookup_rule),
    ROW(LOOKUP_RULE_ANSWER, lookup_rule_answer),
    ROW(DNS_ASK, dns_ask),
    ROW(DNS_ANSWER, dns_answer),
    ROW(SIGN_MAIL, sign_mail),
    ROW(SIGN_ANSWER, sign_answer),
    ROW(TLS_SIGN, tls_sign),
    ROW(TLS_SIGNATURE, tls_signature),
    ROW(TLS_KEYS_ANSWER, tls_keys_answer),
    ROW(CONNECT_ASK, connect_ask),
    ROW(CONNECT_ANSWER, connect_answer),
    ROW(AGENT_JOB, agent_job),
    ROW(AGENT_RESULT, agent_result),
};
