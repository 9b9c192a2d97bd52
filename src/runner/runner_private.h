/* SPDX-License-Identifier: MIT
 * What the runner's files share: the parcels it holds in memory, the destinations they go to, the agents that deliver,
 * the jobs in hand. One process, one loop, nothing here waits.
 *
 * A job's states, and what a crash in each leaves behind:
 *   FETCHING   content asked of the ledger, perhaps an agent of the listener   parcels still queued
 *   DELIVERING handed to an agent                                              queued; may have arrived (repeated)
 *   RECORDING  result sent to the ledger, again until it is recorded           queued until MAIL_RECORDED: the
 * commitment
 */
#ifndef RUNNER_RUNNER_PRIVATE_H
#define RUNNER_RUNNER_PRIVATE_H
#include "config/config.h"
#include "ipc/list.h"
#include "ipc/process.h"
#include "ipc/service.h"
#include "mail/envelope.h"
#include "store/schedule.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PARCELS_MAXIMUM 20000      /* in memory; more wait in the database */
#define JOB_RECIPIENTS_MAXIMUM 100 /* so that results and notice fit into one message */
#define RUNS_MAXIMUM 16            /* operator requests that wait at the same time */
#define JOB_TEXT_MAXIMUM 512       /* route, host, address, tls */

struct destination;
struct job;

struct parcel {
    int64_t id, expires_at, received_at, delayed_at /* its sender was told that it is late; 0: not yet */, added_ms;
    char mail_id[MAIL_ID_SIZE];
    char *from_url, *target;
    uint32_t recipient, attempts, auto_generated;
    uint32_t runs;   /* bit i: runs[i] waits for it */
    bool confirmed;  /* found in the database just now (due_confirm) */
    struct job *job; /* NULL: waiting in its destination */
    struct destination *destination;
    struct parcel *next, *previous; /* in the destination */
    struct parcel *next_same_hash;
};
struct destination {
    char *transport, *domain; /* "" for local mail */
    struct parcel *first, *last;
    size_t waiting, jobs, recording, agents, idle; /* jobs: fetching or delivering */
    size_t ahead;                                  /* of jobs: those without an agent yet */
    bool quick;                                    /* its last delivery took no time worth waiting for */
    unsigned refusals;                             /* agents that could not be had, in a row */
    int64_t paused_until;                          /* clock_now_ms */
    struct destination *next, *previous;           /* in the order of their turns */
    struct destination *next_same_hash;
};
enum agent_state { AGENT_WANTED, AGENT_IDLE, AGENT_BUSY, AGENT_ENDING };
struct agent {
    uint32_t token;
    enum agent_state state;
    struct destination *destination;
    struct service_peer *peer; /* NULL while wanted */
    struct job *job;
    int64_t since; /* wanted or idle: clock_now_ms */
    struct agent *next;
};
enum parcel_end { PARCEL_FINISHED, PARCEL_DEFERRED, PARCEL_DROPPED };
enum job_state { JOB_FETCHING, JOB_DELIVERING, JOB_RECORDING };
struct job {
    uint32_t serial;
    enum job_state state;
    char mail_id[MAIL_ID_SIZE];
    struct destination *destination;
    struct parcel **parcels;
    size_t count;
    struct agent *agent; /* until the result is in */
    int64_t begun_ms;
    bool ahead; /* has no agent yet */
    bool fetch_sent, has_content;
    /* content */
    struct envelope envelope;
    struct buffer cargo;
    int fd;
    int64_t offset, message_length, headers_length;
    /* result, kept until it is recorded */
    struct buffer results, notices; /* lists, as MAIL_RESULT has them */
    enum parcel_end *ends;          /* of each parcel, once it is recorded */
    int64_t earliest_retry;
    char route[JOB_TEXT_MAXIMUM], host[JOB_TEXT_MAXIMUM], address[JOB_TEXT_MAXIMUM], tls[JOB_TEXT_MAXIMUM];
    int64_t started_at, milliseconds;
    bool record_sent;
    unsigned record_tries;
    int64_t record_after; /* clock_now_ms */
    struct job *next;
};
struct run { /* an operator's "run" that is not through */
    bool used, deferred, failed;
    struct service_peer *peer; /* NULL: gone */
    uint32_t serial;
    size_t pending;
};
struct runner {
    const struct process_start *start;
    struct config *config;
    struct service *service;
    struct service_peer *ledger;
    struct database *database;
    struct parcel **buckets;
    size_t parcel_count;
    int64_t *finished; /* ids that ended lately, by id modulo its size: a late row must not bring them back */
    struct destination *destinations, *last_destination; /* those with anything waiting, in hand or idle */
    struct destination **destination_buckets;
    struct agent *agents;
    size_t agent_count, remote_agent_count, idle_count;
    struct job *jobs;
    size_t job_count, recording_count, ahead_count;
    uint32_t last_serial, last_token;
    bool overflow;         /* the database has due parcels that did not fit */
    bool reload_wanted;    /* read what is due at the end of this round */
    bool stopping;         /* the listener is gone: finish what agents have in hand */
    bool deferred, failed; /* cron mode: what the exit status says */
    int64_t request_until; /* cron mode, started because somebody connected: wait for the request so long; 0: no more */
    struct loop_watch *operators; /* the control socket; NULL without one */
    struct loop_timer *wake, *soon, *tidy;
    int64_t wake_at; /* of wake, seconds since 1970 */
    int64_t soon_at; /* of soon, clock_now_ms */
    struct run runs[RUNS_MAXIMUM];
};

/* parcel.c */
struct parcel *parcel_find(struct runner *runner, int64_t id);
/* Takes a copy in and queues it at its destination; NULL when it is there already, ended lately, or there is no room.
 */
struct parcel *parcel_add(struct runner *runner, const struct schedule_parcel *due);
/* Finished ones come in again: the operator said so. */
void parcel_revive(struct runner *runner, int64_t id);
/* Forgets it. PARCEL_FINISHED: it must not come back from the database. PARCEL_DROPPED: somebody else ended or held it.
 */
void parcel_end(struct runner *runner, struct parcel *parcel, enum parcel_end end);
typedef void parcel_visit(struct runner *runner, struct parcel *parcel, void *context);
void parcel_each(struct runner *runner, parcel_visit *visit, void *context);

/* destination.c */
struct destination *destination_find(struct runner *runner, enum envelope_delivery delivery, const char *domain);
/* Its mail leaves this server's own mailboxes alone. */
bool destination_is_remote(const struct destination *destination);
void destination_queue(struct destination *destination, struct parcel *parcel);
void destination_unqueue(struct parcel *parcel);
/* Frees it when nothing refers to it any more. */
void destination_release(struct runner *runner, struct destination *destination);
/* Starts as many jobs as limits allow. */
void destination_start_jobs(struct runner *runner);

/* agent_pool.c */
/* An idle agent of the destination, or a new one asked for; NULL when the limit is reached. */
struct agent *agent_for(struct runner *runner, struct destination *destination);
void agent_peer_gone(struct runner *runner, struct service_peer *peer);
/* No more work for it: it says QUIT and ends. */
void agent_end(struct runner *runner, struct agent *agent);
void agent_becomes_idle(struct runner *runner, struct agent *agent);
void agent_tidy_schedule(struct runner *runner);
bool agent_on_hub_agent(void *context, struct service_peer *peer, struct channel_message *message);

/* job.c */
/* agent NULL: the content is fetched ahead, so that an agent that becomes idle need not wait for the ledger. */
void job_start(struct runner *runner, struct destination *destination, struct agent *agent);
/* Gives the agent the oldest job that was fetched ahead; false when there is none. */
bool job_take_ahead(struct runner *runner, struct destination *destination, struct agent *agent);
/* Sends what is due: fetches, jobs, results. */
void job_pump(struct runner *runner);
/* Hands content to the agent when both are there. */
void job_deliver(struct runner *runner, struct job *job);
/* Everybody in it gets this result, as if an agent had said so. */
void job_fail(struct runner *runner, struct job *job, enum result_kind kind, const char *reply);
/* Puts its parcels back into their queue and forgets it: nothing has been tried. */
void job_abandon(struct runner *runner, struct job *job);
void job_free(struct runner *runner, struct job *job);
struct job *job_find(struct runner *runner, uint32_t serial);
bool content_on_mail_content(void *context, struct service_peer *peer, struct channel_message *message);

/* record.c */
/* Works out what each result means and starts recording it. results: a list of struct result_item. */
void record_result(struct runner *runner, struct job *job, const struct agent_result *result);
/* Sends MAIL_RESULT; false when the channel has no room now. */
bool record_send(struct runner *runner, struct job *job);
bool record_on_agent_result(void *context, struct service_peer *peer, struct channel_message *message);
bool record_on_mail_recorded(void *context, struct service_peer *peer, struct channel_message *message);
/* What became of one parcel in an attempt. */
struct record_outcome {
    const struct parcel *parcel;
    struct result_item item;           /* as it goes to the ledger; its reply is `reply` */
    struct text said;                  /* the agent's reply, borrowed */
    bool expired;                      /* it was deferred for the last time */
    char reply[JOB_TEXT_MAXIMUM + 64]; /* one line */
};
/* record_notice.c: adds the notices about these outcomes, one for each parcel of the job, to the job, and notes in the
 * outcomes whose delay is told. */
void record_notices(struct runner *runner, struct job *job, struct record_outcome *outcomes);

/* due.c */
/* Reads what is due (mail_id NULL), or a mail's parcels whenever they are due, into memory. False on a database error.
 */
bool due_load(struct runner *runner, const char *mail_id);
/* Drops those parcels of the mail waiting at the destination that the database no longer calls waiting (held or removed
 * meanwhile). */
void due_confirm(struct runner *runner, struct destination *destination, const char *mail_id);
/* Wakes up again for a parcel due at this time (seconds). */
void due_wake_at(struct runner *runner, int64_t when);
/* Asks the database when the next parcel is due, and wakes up then. */
void due_wake_next(struct runner *runner);
bool due_on_parcels_new(void *context, struct service_peer *peer, struct channel_message *message);

/* operator.c */
void operator_listen(struct runner *runner);
void operator_peer_gone(struct runner *runner, struct service_peer *peer);
void operator_parcel_ended(struct runner *runner, const struct parcel *parcel, enum parcel_end end);
bool operator_on_request(void *context, struct service_peer *peer, struct channel_message *message);

/* runner.c: looks again in a moment (a channel was full, a destination paused). */
void runner_soon(struct runner *runner, int64_t milliseconds);
#endif
