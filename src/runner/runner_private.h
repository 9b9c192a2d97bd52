/* SPDX-License-Identifier: MIT
 * What the runner's files share: the parcels it holds in memory, the destinations they go to, the agents that deliver,
 * the jobs in hand. One process, one loop, nothing here waits, and nothing is walked through that grows with the queue.
 *
 * The database is the queue; memory holds what is due soon. Of one destination it holds a share only (parcel_room), and
 * what a destination has left in the database is read when it runs low (due_refill). New mail always finds room:
 * whatever waits longest in the largest destination makes way.
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

#define PARCELS_MAXIMUM 20000 /* in memory; more wait in the database */
#define JOB_BUCKETS 1024
#define JOB_RECIPIENTS_MAXIMUM 100 /* so that results and notice fit into one message */
#define RUNS_MAXIMUM 16            /* operator requests that wait at the same time */
#define JOB_TEXT_MAXIMUM 512       /* route, host, address, tls */

struct destination;
struct job;

struct account { /* a login whose mail is in memory */
    struct account *next_same_hash;
    size_t users;    /* parcels and jobs that name it */
    size_t jobs;     /* fetching or delivering */
    int64_t next_ms; /* account_rate: not before; clock_now_ms */
    char name[];
};
struct parcel {
    int64_t id, retry_at, expires_at, received_at /* or released: its time begins */,
        delayed_at /* its sender was told that it is late; 0: not yet */;
    int64_t added_ms, clock_offset /* when its times were read */;
    struct account *account; /* NULL: nobody had logged in */
    char mail_id[MAIL_ID_SIZE];
    char *from_url, *target;
    char *bounce; /* an operator's words: it ends with them; NULL */
    uint32_t recipient, attempts, auto_generated;
    uint32_t runs;   /* bit i: runs[i] waits for it */
    struct job *job; /* NULL: waiting in its destination */
    struct destination *destination;
    struct parcel *next, *previous; /* in the destination */
    struct parcel *next_same_hash;
};
/* Where a destination stands; it is in the list of that name, or in none. */
enum destination_place {
    PLACE_QUIET,  /* nothing waits, as many jobs as may be are in hand, or whether it rests is to be read */
    PLACE_LOCAL,  /* something could start: our own mailboxes */
    PLACE_PROVEN, /* … a server that has answered */
    PLACE_NEW,    /* … one of which nothing is known, or nothing good: it may keep an agent waiting */
    PLACE_PAUSED, /* until paused_until: a rate is used up, no agent could be had */
    PLACE_RESTS,  /* no server was found there: what waits is put off, or returned on an operator's word */
    DESTINATION_PLACES
};
struct destination {
    char *transport, *domain; /* "" for local mail without a route block of its own */
    bool elsewhere;           /* mail for domains that are not ours: the route block "*" and destination_rate count */
    bool remote;      /* by SMTP: to servers that may be anybody's, which are spared and may keep agents waiting */
    long limit, rate; /* of its route block, or the configuration's */
    struct parcel *first, *last;
    size_t waiting, jobs, recording, agents; /* jobs: fetching or delivering */
    size_t ahead;                            /* of jobs: those without an agent yet */
    struct job *first_ahead, *last_ahead;
    struct agent *idle;     /* the one that became idle last */
    unsigned turns;         /* jobs it has started */
    bool quick;             /* its last delivery took no time worth waiting for */
    unsigned refusals;      /* agents that could not be had, in a row */
    int64_t paused_until;   /* clock_now_ms */
    bool paused_by_account; /* then it may end sooner */
    int64_t next_ms;        /* its rate: not before */
    /* how many agents at one time: slow start, then one more after each round of successes */
    size_t window, successes, slow;
    bool grows_fast;
    /* what is known of its server, as the table destinations has it */
    bool answered;
    bool unread;         /* somebody changed rows while results were on their way there: it is to be read anew */
    uint32_t failures;   /* in a row; while there are any, one mail at a time is a probe */
    int64_t rests_until; /* seconds since 1970 */
    int64_t answered_ms; /* clock_now_ms; 0: not since this process began */
    char *reason;        /* the last answer while there are failures; NULL for none */
    uint32_t tls;        /* enum tls_memory */
    int64_t tls_at;
    /* what it has left in the database: retry_at from here on; CLOCK_NEVER: nothing */
    int64_t left_from;
    int64_t left_until; /* also what is due only then, since it was put off until then */
    enum destination_place place;
    struct destination *next, *previous; /* in the list of its place */
    struct destination *next_all, *previous_all;
    struct destination *next_same_hash, *next_refill;
    bool rows_follow;  /* what it has left was pushed: the ledger may not have written its rows yet */
    bool wants_refill; /* in the list of those that are to be read on */
};
struct destination_list {
    struct destination *first, *last;
};
enum agent_state { AGENT_WANTED, AGENT_IDLE, AGENT_BUSY, AGENT_ENDING, AGENT_STATES };
struct agent {
    uint32_t token;
    enum agent_state state;
    struct destination *destination;
    struct service_peer *peer; /* NULL while wanted */
    struct job *job;
    int64_t since, born;                     /* in this state, at all: clock_now_ms */
    bool waits;                              /* for a server: nothing good is known of it, or it has been long */
    bool slow;                               /* counted in its destination's slow */
    bool outdated;                           /* forked before the configuration changed: ends after its job */
    struct agent *next, *previous;           /* in the list of its state, the oldest first */
    struct agent *next_idle, *previous_idle; /* in its destination */
};
struct agent_list {
    struct agent *first, *last;
    size_t count;
};
enum parcel_end { PARCEL_FINISHED, PARCEL_DEFERRED, PARCEL_DROPPED };
enum job_state { JOB_FETCHING, JOB_DELIVERING, JOB_RECORDING };
struct job {
    uint32_t serial;
    enum job_state state;
    char mail_id[MAIL_ID_SIZE];
    struct destination *destination;
    struct account *account;
    struct parcel **parcels; /* of one mail, with one sender */
    size_t count;
    struct agent *agent; /* until the result is in */
    int64_t begun_ms;
    bool ahead;   /* has no agent yet */
    bool untried; /* put off without an attempt */
    bool has_content;
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
    uint32_t standing, tls_memory; /* of the destination, as MAIL_RESULT has them */
    int64_t rests_until;           /* 0: the destination does not rest because of this */
    unsigned record_tries;
    int64_t send_after; /* clock_now_ms: not asked of the ledger, or reported to it, before */
    enum job_place { JOB_IN_HAND, JOB_TO_FETCH, JOB_TO_RECORD, JOB_PLACES } place;
    struct job *next, *previous; /* in the list of its place, the oldest first */
    struct job *next_ahead;      /* in its destination */
    struct job *next_same_hash;
};
struct job_list {
    struct job *first, *last;
};
struct run { /* an operator's "run" that is not through */
    bool used, deferred, failed;
    bool reads;                /* all that is due: more may come */
    struct service_peer *peer; /* NULL: gone */
    uint32_t serial;
    size_t pending;
};
#define RATE_MEMORY 1024
struct rate { /* of a destination that nothing refers to any more, as far as it is used up */
    uint32_t hash;
    int64_t next_ms;
};
#define VACATION_MEMORY 64
struct answered { /* whom an answer in somebody's name went to, until the tables say so */
    uint64_t pair;
    int64_t at;
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
    struct account **account_buckets;
    struct destination *destinations; /* all that have anything waiting, in hand or idle */
    struct destination **destination_buckets;
    struct destination_list places[DESTINATION_PLACES];
    struct rate rates[RATE_MEMORY]; /* by hash modulo its size */
    struct destination *refills;
    int64_t refills_after; /* clock_now_ms: the database could not be read, and is asked again then */
    bool rows_asked;       /* the ledger was asked to write rows; until it has, nothing is read on */
    bool new_first;        /* PLACE_NEW before PLACE_PROVEN, every second round */
    bool take_newest;      /* of the destinations that could start, the one that came last goes next */
    struct agent_list agents[AGENT_STATES];
    struct agent *first_quick; /* of the busy: the first one that is not known to be slow */
    size_t agent_count, remote_agent_count, waiting_agent_count;
    struct job_list jobs[JOB_PLACES];
    struct job *job_buckets[JOB_BUCKETS];
    size_t job_count, recording_count, ahead_count;
    uint32_t last_serial, last_token;
    struct {
        bool wanted;               /* read on */
        int64_t retry_at, last_id; /* up to here everything that is due is in memory, or left by its destination */
        int64_t began;             /* clock_now_ms: of the last one from the beginning */
        int64_t unread;            /* 0, or the retry_at of the first row whose mail could not be read, which is… */
        int64_t unread_after;      /* …tried again then (clock_now_ms) */
    } sweep;
    bool overflow;      /* the sweep stands still, since memory is full */
    bool reload_wanted; /* somebody changed rows: sweep from the beginning, know nothing of destinations */
    bool unread_wanted; /* of an unread destination everything is recorded: the ledger is to be asked for its rows, */
    bool unread_asked;  /* … and has been since */
    bool names_wanted;  /* the mails of the command line are still to be read */
    bool stopping;      /* the listener is gone: finish what agents have in hand */
    bool deferred, failed; /* cron mode: what the exit status says */
    int64_t request_until; /* cron mode, started because somebody connected: wait for the request so long; 0: no more */
    struct loop_watch *operators; /* the control socket; NULL without one */
    struct loop_timer *wake, *soon, *tidy;
    int64_t clock_offset; /* as rows were last known to be right by */
    bool rows_move;       /* … and are being moved by the ledger */
    int64_t settles_by;   /* the clock was set: the ledger moves the rows until then at most, clock_now_ms; 0 */
    int64_t wake_at;      /* of wake, seconds since 1970 */
    int64_t soon_at;      /* of soon, clock_now_ms */
    struct run runs[RUNS_MAXIMUM];
    struct answered answered[VACATION_MEMORY];
    size_t answered_next;
};

/* parcel.c */
struct parcel *parcel_find(struct runner *runner, int64_t id);
/* Takes a copy in and queues it at its destination; NULL when it is there already, ended lately, or is left in the
 * database (its destination then knows). fresh: just pushed, it may take another's place. */
struct parcel *parcel_add(struct runner *runner, const struct schedule_parcel *due, bool fresh);
/* Finished ones come in again: the operator said so. */
void parcel_revive(struct runner *runner, int64_t id);
/* Queues what waits where a new configuration leads it. Nothing is forgotten: rows of what was pushed may be still to
 * come. */
void parcel_lead_anew(struct runner *runner);
/* Forgets it. PARCEL_FINISHED: it must not come back from the database. PARCEL_DROPPED: somebody else ended or held it.
 */
void parcel_end(struct runner *runner, struct parcel *parcel, enum parcel_end end);
typedef void parcel_visit(struct runner *runner, struct parcel *parcel, void *context);
void parcel_each(struct runner *runner, parcel_visit *visit, void *context);
/* How many of a destination's parcels may wait in memory, once that holds so many more: the less is free, the fewer.
 * Else the mail of some slow destinations would fill it, and nobody else's be read. */
size_t parcel_room(const struct runner *runner, const struct destination *destination, size_t more);
/* When it came in, or was released; moves with a clock that is set. 0: not known. */
int64_t parcel_received(const struct parcel *parcel);
/* When it expires: as its row says, or sooner or later where a route block has its own lifetime. */
int64_t parcel_expiry(const struct runner *runner, const struct parcel *parcel);
/* Its row has been read again: it may have been held meanwhile. */
void parcel_take_expiry(struct parcel *parcel, int64_t expires_at);
struct config_pace parcel_pace(const struct runner *runner, const struct parcel *parcel);

/* destination.c */
/* The destination of a parcel by its domain and target ("|NAME": a transport); made when it is not there. */
struct destination *destination_find(struct runner *runner, enum envelope_delivery delivery, const char *domain,
                                     const char *target);
/* Takes limit and rate from the configuration; what it was paused for otherwise is tried anew. */
void destination_configure(struct runner *runner, struct destination *destination);
/* Its name in the table destinations; points into the destination or is constant. */
struct text destination_name(const struct runner *runner, const struct destination *destination, char name[320]);
void destination_queue(struct runner *runner, struct destination *destination, struct parcel *parcel, bool first);
void destination_unqueue(struct runner *runner, struct parcel *parcel);
/* It is read on from the database in a moment, when it has left something there and has room. */
void destination_want_refill(struct runner *runner, struct destination *destination);
/* Puts it where it belongs after anything about it has changed. */
void destination_settle(struct runner *runner, struct destination *destination);
/* Its servers are those of its domain, by DNS or a route block, not the one of a transport block. */
bool destination_has_exchangers(const struct destination *destination);
/* Nothing good is known of its server: it may keep an agent waiting. */
bool destination_is_doubtful(const struct destination *destination);
/* To the end of its list: it had its turn. */
void destination_turn(struct runner *runner, struct destination *destination);
/* Starts nothing before then; by_account: sooner when a login's job ends. */
void destination_pause(struct runner *runner, struct destination *destination, int64_t until, bool by_account);
void destination_wake_paused(struct runner *runner);
/* Those that a login's limit keeps waiting look again. */
void destination_wake_accounts(struct runner *runner);
/* Frees it when nothing refers to it any more. */
void destination_release(struct runner *runner, struct destination *destination);

/* turn.c: starts as many jobs as limits allow. */
void turn_start_jobs(struct runner *runner);

/* standing.c */
/* What the table destinations says, on first sight and after somebody changed rows. While results are being recorded it
 * is marked as unread: what waits is neither tried nor put off until the row has them, too. */
void standing_read(struct runner *runner, struct destination *destination);
/* At the end of a round: asks the ledger to write what unread destinations have had recorded. */
void standing_want_rows(struct runner *runner);
/* It has: reads those of which no further result is on its way. */
void standing_read_on(struct runner *runner);
bool standing_rests(const struct destination *destination, int64_t now);
/* Somebody asked for its mail by name: it is tried now. */
void standing_allow(struct runner *runner, struct destination *destination);
/* Takes what an attempt says of the destination as a whole into it and into the job. */
void standing_take(struct runner *runner, struct job *job, const struct agent_result *result);
/* What an agent is told of the TLS that the destination has shown before. */
uint32_t standing_tls(const struct runner *runner, const struct destination *destination);
/* Why its mail is put off: "451 4.4.1 not tried before …". */
void standing_words(const struct destination *destination, char *words, size_t size);
/* What waits for destinations that rest is put off, a bounded number at once. */
void standing_put_off(struct runner *runner);

/* account.c */
struct account *account_use(struct runner *runner, const char *name); /* NULL for "" */
void account_release(struct runner *runner, struct account *account);
/* Parcels and jobs in memory that name it. */
size_t account_users(struct runner *runner, const char *name);
/* True when a job of its mail may start now; else *until says when to look again. */
bool account_may_start(const struct runner *runner, const struct account *account, int64_t *until);
void account_job_begins(struct runner *runner, struct account *account);
void account_job_ends(struct runner *runner, struct account *account);

/* agent_pool.c */
/* An idle agent of the destination, or a new one asked for; NULL when there is no place for one now. */
struct agent *agent_for(struct runner *runner, struct destination *destination);
/* True when agent_for could give a new one to a destination in this place. */
bool agent_has_room(const struct runner *runner, enum destination_place place);
/* An idle agent that has nothing to do, or has had its time, ends; its place becomes free when it is gone. */
void agent_make_place(struct runner *runner, enum destination_place place);
void agent_peer_gone(struct runner *runner, struct service_peer *peer);
/* No more work for it: it says QUIT and ends. */
void agent_end(struct runner *runner, struct agent *agent);
/* After a change of configuration: idle agents end, busy ones after the job in hand. Those that are still wanted are
 * forked with the new one. */
void agent_outdate(struct runner *runner);
void agent_becomes_idle(struct runner *runner, struct agent *agent);
/* It was handed a job. */
void agent_begins(struct runner *runner, struct agent *agent);
/* Counts those that have had their job for long. */
void agent_note_slow(struct runner *runner);
void agent_tidy_schedule(struct runner *runner);
bool agent_on_hub_agent(void *context, struct service_peer *peer, struct channel_message *message);

/* job.c */
/* Whether something could be sent there now; false: its logins' limits are used up, and it is paused. */
bool job_may_start(struct runner *runner, struct destination *destination);
/* agent NULL: the content is fetched ahead, so that an agent that becomes idle need not wait for the ledger. False:
 * nothing may start, and the agent is idle again. */
bool job_start(struct runner *runner, struct destination *destination, struct agent *agent);
/* Gives the agent the oldest job that was fetched ahead; false when there is none. */
bool job_take_ahead(struct runner *runner, struct destination *destination, struct agent *agent);
/* Ends the first waiting mail's turn without an attempt; its content is fetched when there is something to tell. */
void job_put_off(struct runner *runner, struct destination *destination);
/* Sends what is due: fetches, jobs, results. */
void job_pump(struct runner *runner);
/* The ledger can give its content only when rows are written again. */
void job_fetch_later(struct runner *runner, struct job *job);
/* Hands content to the agent when both are there. */
void job_deliver(struct runner *runner, struct job *job);
/* Everybody in it gets this result, as if an agent had said so. */
void job_fail(struct runner *runner, struct job *job, enum result_kind kind, const char *reply);
/* Puts its parcels back into their queue and forgets it: nothing has been tried. */
void job_abandon(struct runner *runner, struct job *job);
/* It no longer delivers: it is to be recorded, or goes. */
void job_leaves(struct runner *runner, struct job *job);
void job_free(struct runner *runner, struct job *job);
struct job *job_find(struct runner *runner, uint32_t serial);
/* job_list.c */
void job_list_add(struct runner *runner, struct job *job);
void job_list_remove(struct runner *runner, struct job *job);
void job_set_place(struct runner *runner, struct job *job, enum job_place place);
/* Whether it is ahead of the agents, in its destination's order. */
void job_set_ahead(struct runner *runner, struct job *job, bool ahead);
bool content_on_mail_content(void *context, struct service_peer *peer, struct channel_message *message);

/* record.c */
/* Works out what each result means and starts recording it. results: a list of struct result_item. */
void record_result(struct runner *runner, struct job *job, const struct agent_result *result);
/* A sender is to be told something of it although it is not tried: its time is over. */
bool record_has_news(const struct runner *runner, const struct parcel *parcel);
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
/* record_notice.c: its sender ought to be told that it takes long. */
bool record_is_late(const struct runner *runner, const struct parcel *parcel);
/* Adds the notices about these outcomes, one for each parcel of the job, to the job, and notes in the
 * outcomes whose delay is told. */
void record_notices(struct runner *runner, struct job *job, struct record_outcome *outcomes);

/* The message's own header section, as far as the buffer takes it; false when it cannot be read. */
bool record_read_header(const struct job *job, struct buffer *section);
/* Adds a notice or an answer to what the ledger stores with the result; false when there is no room. */
struct notice_lengths;
bool record_add_mail(struct job *job, const struct buffer *cargo, const struct notice_lengths *lengths);
/* record_vacation.c: adds answers in the name of those whom this reached and who are away. */
void record_vacations(struct runner *runner, struct job *job, const struct record_outcome *outcomes);

/* due.c */
/* Reads what is due from the beginning, or a mail's parcels whenever they are due, into memory. False on a database
 * error. */
bool due_load(struct runner *runner, const char *mail_id);
/* Reads on: a bounded number of rows. */
void due_sweep(struct runner *runner);
/* Reads what destinations have left in the database and have room for again. */
void due_refill(struct runner *runner);
/* The destination is reached again: whatever was put off until then is due now. */
void due_release(struct runner *runner, struct destination *destination, int64_t until);
/* Drops those parcels of the mail waiting at the destination that the database no longer calls waiting (held or removed
 * meanwhile). */
void due_confirm(struct runner *runner, struct destination *destination, const char *mail_id);
/* Wakes up again for a parcel due at this time (seconds). */
void due_wake_at(struct runner *runner, int64_t when);
/* A parcel was put off until this time (seconds), which may be over: recording it took so long that what was due later
 * has been read. */
void due_again_at(struct runner *runner, int64_t when);
/* Asks the database when the next parcel is due, and wakes up then. */
void due_wake_next(struct runner *runner);
bool due_on_parcels_new(void *context, struct service_peer *peer, struct channel_message *message);
/* Has the ledger write the rows of all that it has told of or recorded so far, unless it is at that; ROWS_WRITTEN says
 * when it has. False: it takes no messages now. */
bool due_ask_for_rows(struct runner *runner);
bool due_on_rows_written(void *context, struct service_peer *peer, struct channel_message *message);

/* status.c: a line a destination that has work: transport, domain, what it does, parcels in memory, jobs, agents. */
void status_write(const struct runner *runner, struct buffer *text);

/* operator.c */
void operator_listen(struct runner *runner);
void operator_peer_gone(struct runner *runner, struct service_peer *peer);
void operator_parcel_ended(struct runner *runner, const struct parcel *parcel, enum parcel_end end);
/* A parcel came into memory; everything that is due has been read; some of it found no room. */
void operator_parcel_added(struct runner *runner, struct parcel *parcel);
void operator_all_read(struct runner *runner);
void operator_left_some(struct runner *runner);
bool operator_on_request(void *context, struct service_peer *peer, struct channel_message *message);

/* ---- runner.c ---- */
/* When the clock was set the ledger moves the rows with it, and says so. What is read before is due too early, and over
 * at its first refusal: false until then, and another round comes. */
bool runner_rows_are_right(struct runner *runner);
/* Looks again in a moment (a channel was full, a destination paused). */
void runner_soon(struct runner *runner, int64_t milliseconds);
#endif
