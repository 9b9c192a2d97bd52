/* SPDX-License-Identifier: MIT
 * The clients' side of the services for processes that wait for their answers (receivers, agents): one function a
 * question. Each has a time limit of its own; a dead service gives the temporary outcome of that question. */
#ifndef IPC_ASK_H
#define IPC_ASK_H
#include "base/buffer.h"
#include "ipc/list.h"
/* Questions that overlap: ask them all, then collect each. */
struct dns_question { /* zero it before; owned strings inside after dns_collect, freed by dns_question_free */
    char name[256];
    uint32_t type, serial;
    bool done;
    struct dns_answer answer;
    struct buffer records;
};
/* Sends the question over the resolver's channel. False when the resolver is gone (then the answer is DNS_TIMEOUT). */
bool dns_question_ask(int resolver, struct dns_question *question, const char *name, enum dns_type type);
/* Waits for the answers of all of them (answers to other, abandoned serials are dropped). */
void dns_question_collect(int resolver, struct dns_question *questions, size_t count);
void dns_question_free(struct dns_question *question);
/* Takes records off a collected answer, in order. */
bool dns_question_next(struct text *rest, struct dns_record *record);
/* One question, asked and collected; status returned, records appended as they came. */
enum dns_status dns_lookup(int resolver, const char *name, enum dns_type type, struct dns_question *question);
/* True when nobody will answer over this channel any more. */
bool dns_resolver_is_gone(int resolver);

/* lookup */
struct address_known {      /* what lookup says of an address */
    char canonical[512];    /* the user's own address, or the alias's */
    struct buffer *targets; /* NULL, or: gets the list of struct address_target */
    /* NULL, or: the address that will be asked about next, and the reverse-path then. The question goes out behind this
     * one, so that lookup is woken once for both; its answer is lost where lookup is asked anything else before. */
    const char *next, *next_sender;
};
/* Clears what has gone out behind a question: whoever asks from now on asks for somebody else. */
void ask_forget(void);
/* sender: the reverse-path, "" for none; forwarded mail may get another in its place. */
enum address_standing ask_address(int lookup, const char *address, const char *sender, struct address_known *known);
/* account: whose name it is, also when the password was wrong; "" for nobody's. */
enum login_outcome ask_login(int lookup, struct text user, struct text password, char *account, size_t size);
/* SCRAM: text of the answers lasts until the next question. */
void ask_scram_begin(int lookup, struct text user, struct lookup_scram_salt *answer);
void ask_scram_finish(int lookup, const struct lookup_scram_finish *question, struct lookup_scram_verdict *answer);
enum login_outcome ask_may_send(int lookup, const char *account, const char *address);
/* The operator's rules of a stage. facts: a list of struct fact_item; text of the answer lasts until the next question.
 */
void ask_rule(int lookup, uint32_t stage, struct text facts, struct lookup_rule_answer *answer);
/* ledger: false when the ledger is gone */
bool ask_contact_open(int ledger, const struct contact_open *open, struct contact_state *state);
/* One more event against a rate. A ledger that cannot be asked limits nobody. */
enum contact_over ask_contact_count(int ledger, const struct contact_count *count);
/* Seconds that this recipient has to wait, 0 for none, also when the ledger cannot be asked. */
int64_t ask_greylist(int ledger, const struct greylist_ask *question);
void tell_contact_close(int ledger);
bool ask_contact_violation(int ledger, const struct contact_violation *violation, struct contact_state *state);
bool ask_contact_login(int ledger, int64_t contact_id, const char *account, struct contact_state *state);
/* True: the account is locked, and the login refused; false also when the ledger cannot be asked. */
bool ask_login_locked(int ledger, const struct login_try *question);
bool tell_recipient_refused(int ledger, const struct recipient_refused *refused);
/* A file for a large message; -1 and the outcome when there is none. */
int ask_spool_file(int ledger, const char *mail_id, enum commit_outcome *outcome);
/* fd: the sealed memfd or -1. COMMIT_UNKNOWN when no answer came: the ledger may have died between its flush and the
 * answer. The client is refused all the same, and one that tries again may have the message delivered twice. */
enum commit_outcome ask_commit(int ledger, const struct mail_commit *commit, int fd);
/* signer: headers appended; false for a temporary failure. */
bool ask_signature(int signer, const struct sign_mail *mail, int fd, struct buffer *headers);
/* signer, or key reader: a tls_sign_function (tls/tls.h). Like every question it ends what texts of answers last. */
bool ask_tls_signature(int signer, uint32_t key, uint32_t scheme, struct text content, struct buffer *signature);
/* connector: a connection to what the configuration names (kind: enum outside_kind of config/config.h; index: which of
 * that kind), non-blocking, owned by the caller. -1: why says what went wrong, in words for the log. */
int ask_connection(int connector, uint32_t kind, uint32_t index, char *why, size_t size);
#endif
