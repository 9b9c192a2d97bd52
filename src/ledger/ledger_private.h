/* SPDX-License-Identifier: MIT
 * What the ledger's files share. One thread and one loop (spool/checkpoint.h's helper thread sees nothing of this);
 * requests that change mail wait for the end of the round, all others are answered at once. */
#ifndef LEDGER_LEDGER_PRIVATE_H
#define LEDGER_LEDGER_PRIVATE_H
#include "base/rate.h"
#include "config/config.h"
#include "ipc/process.h"
#include "ipc/service.h"
#include "ledger/locked.h"
#include "spool/checkpoint.h"
#include "spool/spool.h"
#include "store/contacts.h"
#include "store/history.h"

struct ledger {
    const struct process_start *start;
    struct config *config;
    bool config_is_own; /* read at a reload: freed at the next */
    bool domains_due;   /* its local_domains could not be written yet */
    struct service *service;
    struct spool *spool;
    struct checkpointer *checkpointer;
    struct loop_watch *operators; /* the control socket; NULL without one */
    struct service_peer *runner;  /* NULL while there is none */
    bool runner_behind;           /* it missed parcels: "read the database" is due */
    struct loop_timer *settles;   /* rows are to be written; NULL when there are none */
    bool settle_due, goes_on;     /* at the end of this round; something came since it was looked last */
    int64_t settle_by;            /* whatever comes; clock_now_ms */
    struct locked locked;
    struct ledger_peer *proxied; /* receivers whose client came through a proxy */
    struct rate_table *rates;    /* what contacts and networks did lately; NULL until something is limited */
    int64_t data_version;
    int64_t clock_offset, slept;  /* as clock.h has them; the first as rows were last moved with the clock */
    int64_t clock_written;        /* the first, as the next start would find it */
    char boot[192];               /* which start of the machine this is, "" where nobody says; clock_memory.c */
    int64_t next_shift;           /* rows that could not be moved are tried again; clock_now_ms */
    int pages_seen, pages_folded; /* of the write-ahead log, at the last tick and checkpoint */
    int folds_again;              /* checkpoints asked for since the last tick because one left too much */
    struct history history;
    int64_t next_purge, next_sweep;
    bool sweeps; /* there is more of the last sweep */
};
struct ledger_peer {            /* service_peer.data */
    char file_id[MAIL_ID_SIZE]; /* queue/tmp/ID, "" for none: a receiver has one at most */
    int file;
    char contact[NETWORK_IP_SIZE];            /* of a client that came through a proxy, "" for none */
    struct ledger_peer *next_proxied, **link; /* the others that have such a client */
    /* of an operator */
    uint32_t uid;
    char *what, *about; /* its last order: verb and argument */
    int64_t record;     /* in operator_changes */
};

/* ledger.c: writes the configuration's local_domains; what cannot be written now is due */
void ledger_write_domains(struct ledger *ledger);

/* clock_memory.c: reads which start of the machine this is, before the sandbox; the offset that rows are right by,
 * which is the present one where nothing else is known; keeps clock_offset */
void clock_memory_learn(struct ledger *ledger);
int64_t clock_memory_read(struct ledger *ledger);
void clock_memory_write(struct ledger *ledger);

/* round.c: the batch */
void *round_ticket(struct service_peer *peer, uint32_t serial, uint32_t answer_kind);
/* For a request that did not enter the batch: answers it now. */
void round_refuse(void *ticket, enum spool_outcome outcome);
/* As spool_finish. */
bool round_finish(struct ledger *ledger);
void round_retry_rows(struct ledger *ledger);
bool on_rows_wanted(void *context, struct service_peer *peer, struct channel_message *message);
/* Has the runner read the database, now or as soon as it takes messages. */
void round_wake_runner(struct ledger *ledger);

/* contact.c */
bool on_contact_open(void *context, struct service_peer *peer, struct channel_message *message);
bool on_contact_close(void *context, struct service_peer *peer, struct channel_message *message);
/* Its client has left. */
void contact_forget_proxied(struct ledger_peer *data);
bool on_contact_violation(void *context, struct service_peer *peer, struct channel_message *message);
bool on_contact_login(void *context, struct service_peer *peer, struct channel_message *message);
bool on_recipient_refused(void *context, struct service_peer *peer, struct channel_message *message);
bool on_hub_hits(void *context, struct service_peer *peer, struct channel_message *message);
bool on_hub_lock_ended(void *context, struct service_peer *peer, struct channel_message *message);
bool on_hub_receiver_died(void *context, struct service_peer *peer, struct channel_message *message);
struct contacts_policy contact_policy(const struct ledger *ledger);
/* Passes on what a call to store/contacts.h did to a lockout. */
void contact_report(struct ledger *ledger, const struct contacts_state *state);
/* At the start: ends what is overdue, then contact_reload. */
void contact_start(struct ledger *ledger);
/* Reads all lockouts anew and reports what differs. */
void contact_reload(struct ledger *ledger);
/* Tells the listener what it does not know yet. */
void contact_tell(struct ledger *ledger);

/* stranger.c */
bool on_contact_count(void *context, struct service_peer *peer, struct channel_message *message);
bool on_greylist_try(void *context, struct service_peer *peer, struct channel_message *message);
/* login.c */
bool on_login_try(void *context, struct service_peer *peer, struct channel_message *message);
/* One more event of this contact and network; whose rate is used up. */
enum contact_over rate_count(struct ledger *ledger, enum contact_event event, struct text contact, struct text network);

/* mail.c */
bool on_spool_open(void *context, struct service_peer *peer, struct channel_message *message);
bool on_mail_commit(void *context, struct service_peer *peer, struct channel_message *message);
bool on_mail_fetch(void *context, struct service_peer *peer, struct channel_message *message);
bool on_mail_result(void *context, struct service_peer *peer, struct channel_message *message);
void mail_forget_file(struct ledger *ledger, struct ledger_peer *data);

/* control.c */
bool on_control_request(void *context, struct service_peer *peer, struct channel_message *message);
void control_listen(struct ledger *ledger);
void control_forget(struct ledger_peer *data);

/* timer.c */
void timer_start(struct ledger *ledger);
/* Moves rows with the machine's clock when that was set: before rows with new dates are written, and each second. */
void timer_follow_clock(struct ledger *ledger);
/* The same for a clock that was set while no ledger ran, as far as that is known. */
void timer_learn_clock(struct ledger *ledger);
#endif
