/* SPDX-License-Identifier: MIT
 * The listener's state, shared by the files of this folder: its children, the services' places, the ports. One process,
 * one loop; after every round `settle` brings what runs in line with what should run. */
#ifndef LISTENER_SUPERVISOR_H
#define LISTENER_SUPERVISOR_H
#include "base/loop.h"
#include "base/rate.h"
#include "ipc/messages.h"
#include "ipc/process.h"
#include "ipc/whitelist.h"
#include "listener/guard.h"
#include "listener/listener.h"
#include "listener/lockout_set.h"
#include "listener/log_file.h"
#include "listener/port.h"
#include "listener/restart.h"
#include "listener/rules.h"
#include "listener/startup.h"
#include "tls/tls.h"
#include <sys/types.h>

enum receiver_state {
    RECEIVER_NONE,    /* no receiver, or told to end before it had a client */
    RECEIVER_WAITING, /* may be given a client */
    RECEIVER_ACTIVE   /* has one */
};
struct child {
    struct supervisor *supervisor;
    enum process_kind kind;
    pid_t pid;
    int hub; /* our end, -1 when closed */
    struct loop_watch *watch;
    bool ready;            /* a service: has said HUB_READY */
    bool retired;          /* told to end: replaced by another, or the server stops */
    int64_t asked_at;      /* the oldest HUB_PING it has not answered, or since when it could end as told; 0: none */
    int64_t began, closed; /* when it was forked, and when its hub was closed (clock_now_ms) */
    bool reaped;           /* waited for: its pid may be somebody else's */
    /* receivers */
    enum receiver_state state;
    bool outdated;                 /* knows yesterday's services or settings: gets no further client */
    char contact[NETWORK_IP_SIZE]; /* of the client in hand, as accept.c names it */
    struct child *next;
    struct child *next_ending;
};

/* Where a service belongs; its child dies and is replaced. */
enum slot_place {
    SLOT_LEDGER,
    SLOT_RESOLVER,
    SLOT_RUNNER,
    SLOT_CONNECTOR, /* stays empty when nothing is configured that needs it */
    SLOT_NURSERY,   /* asks all but the runner, for its receivers */
    SLOT_SIGNER,    /* the first of a pool: places past its workers stay empty */
    SLOT_LOOKUP = SLOT_SIGNER + WORKERS_MAXIMUM,
    SLOTS = SLOT_LOOKUP + WORKERS_MAXIMUM
};
struct slot {
    struct child *child; /* NULL: to be started */
    struct restart_history history;
    int64_t not_before; /* clock_now_ms */
};

enum supervisor_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct supervisor {
    struct loop *loop;
    struct config *config;
    struct listener_options options;
    enum supervisor_phase phase;
    bool reload_wanted;      /* SIGHUP has come */
    enum exit_status status; /* to end with */
    struct system_users users;
    struct tls_server *tls;
    bool certified;         /* with the configured certificate, not with one made for trying out */
    int keys;               /* for signers: the private keys of its certificates, sealed; -1 */
    struct sql_rules rules; /* the operator's */
    char log_period[LOG_PERIOD_SIZE];
    int lock;
    struct guard *guard;                    /* runs lock_command with root's rights; NULL */
    int ledger_socket, runner_socket;       /* the operator's, listening */
    struct loop_watch *runner_socket_watch; /* runner = cron: a visitor makes us fork a runner */
    struct port_set ports;
    bool accepting;
    int64_t accept_pause_until; /* no descriptors left */
    struct waiting *waiting;    /* accepted, above session_limit: the first is served next */
    size_t waiting_count;
    struct lockout_set *lockouts;
    struct rate_table *rates; /* connections of contacts and networks; NULL until they are limited */
    struct child *children;
    struct child *ending;                       /* their hubs are closed, and they were not waited for yet */
    size_t child_count[PROCESS_KINDS];          /* those that are alive */
    size_t receiver_count[RECEIVER_ACTIVE + 1]; /* by state */
    size_t unborn;                              /* receivers that the nursery was asked for */
    struct restart_history receiver_history;    /* deaths of receivers that had no client */
    int64_t receivers_not_before;               /* clock_now_ms */
    unsigned arrivals, arrivals_before;         /* connections in this second and the one before */
    size_t lookups, signers;                    /* workers of the pools */
    struct slot slots[SLOTS];
    int64_t stop_deadline;
    int64_t orphans_deadline; /* when a replaced runner that does not end is killed; 0: none */
    bool cron_wanted;         /* runner = cron: somebody asked for a run */
    enum process_kind stop_stage;
    int64_t stop_stage_began;
    int start_report; /* daemonize: where the caller learns that we run; -1 */
};

/* ---- supervisor.c ---- */
void supervisor_settle(void *supervisor);

/* ---- start.c ---- */
/* Everything that must be true before the first fork; EXIT_STATUS_OK, or what to end with and why. */
enum exit_status start_checklist(struct supervisor *supervisor, struct buffer *error);
/* Everything runs: the log says so, and the caller of --daemonize is let go. */
void start_report(struct supervisor *supervisor);
/* Forks; the caller's process waits for start_report and ends with its result. Returns what to report to. */
int start_daemonize(void);
/* Standard input, output and error become /dev/null. */
void start_detach(void);

/* ---- child.c ---- */
/* Forks one process. start: its channels (hub is filled in here; in the parent they stay the caller's). NULL when it
 * could not be forked (logged). In the child this does not return. */
struct child *child_fork(struct supervisor *supervisor, enum process_kind kind, struct process_start *start);
/* Everything but config, user and chroot set to "none". */
struct process_start child_start(const struct supervisor *supervisor, enum process_kind kind);
/* Closes our end of its hub: tells it to end. */
void child_retire(struct child *child);
/* The child closed it, or has ended. */
void child_close_hub(struct child *child);
void child_kill(struct child *child);
/* Sends on its hub; false when it cannot take it. */
bool child_send(struct child *child, uint32_t kind, const void *values, int pass_fd);
/* One that was forked for us: takes its end of the hub. */
struct child *child_add(struct supervisor *supervisor, enum process_kind kind, pid_t pid, int hub);
/* One that was not waited for yet; NULL. */
struct child *child_find(const struct supervisor *supervisor, pid_t pid);
/* Waits for those whose hub is closed and who have ended. After every round. */
void children_reap(struct supervisor *supervisor);
/* Waits for whoever has ended, also for those that nobody knows. Once a second. */
void children_sweep(struct supervisor *supervisor);

/* ---- hub.c ---- */
/* Reads what a child reports; a child that says what it may not is killed. */
void hub_ready(void *child, int fd, uint32_t events);
/* guard_done: when it was unlock_command, the ledger may forget that it is due. */
void hub_unlocked(void *supervisor, const char *command, struct text contact);

/* ---- service.c ---- */
/* Starts what is missing and may start now. */
void services_settle(struct supervisor *supervisor);
/* Everything a receiver asks is there, and so is the nursery (parcelpost-queue: everything that the runner needs). */
bool services_are_ready(const struct supervisor *supervisor);
/* Gives a place's child up: it goes on ending by itself. */
void service_vacate(struct supervisor *supervisor, size_t place);
/* A service has ended: which others go with it. */
void service_ended(struct supervisor *supervisor, struct slot *slot, const char *how);
struct slot *slot_of(struct supervisor *supervisor, const struct child *child);
enum process_kind slot_kind(size_t place);
/* Whether receivers ask who belongs there. */
bool slot_is_asked(size_t place);
/* Ends services that do not react: a process that hangs (stopped, or in a loop) holds up everybody who asks it. So does
 * it end who was told to end and does not, with nobody left to serve. Once a second. */
void services_watch(struct supervisor *supervisor);
/* New generations of lookup, resolver, signer and connector; the old serve their askers to the end. */
void services_renew(struct supervisor *supervisor);
/* runner = cron: watches the operator's socket while no runner does. */
void cron_settle(struct supervisor *supervisor);
/* Gives a new asker's channel to a service and closes our copy of it. */
bool service_give_peer(struct child *service, enum peer_kind peer, pid_t pid, int *channel);

/* ---- nursery.c ---- */
/* Starts it and gives it a channel to each process that receivers ask. NULL when it cannot be had (logged). */
struct child *nursery_start(struct supervisor *supervisor, struct process_start *start);
/* Asks it for so many receivers. */
void nursery_ask(struct supervisor *supervisor, size_t count);

/* ---- receiver_pool.c ---- */
void receivers_settle(struct supervisor *supervisor);
/* Hands a connection to a waiting receiver; false when there is none. The descriptor stays the caller's. */
bool receiver_give(struct supervisor *supervisor, const char *contact, const struct hub_client *client, int fd);
/* The nursery's answer: a receiver's hub, or -1 when it could not be had. The descriptor is taken. */
void receiver_born(struct supervisor *supervisor, pid_t pid, int hub);
void receiver_is_ready(struct child *receiver);
void receiver_ended(struct child *receiver, int wait_status, const char *how);
/* Its hub was closed: by us, or because it is ending. */
void receiver_retired(struct child *receiver);
/* Once a second: all that are wanted, and fewer of them after a busy time. */
void receivers_tick(struct supervisor *supervisor);
/* Ends those that wait, and the nursery: they know services or settings of yesterday. */
void receivers_replace(struct supervisor *supervisor);
size_t receivers_of_contact(const struct supervisor *supervisor, const char *contact);
bool receivers_may_start(const struct supervisor *supervisor);

/* ---- accept.c ---- */
/* Watches the ports when connections can be served, else leaves them in the backlog. */
void ports_settle(struct supervisor *supervisor);
/* Stops watching them. */
void ports_ignore(struct supervisor *supervisor);
/* Gives those that wait for a receiver one, as far as session_limit goes. */
void arrivals_settle(struct supervisor *supervisor);
/* How many wait and may be served as soon as there is a receiver. */
size_t arrivals_waiting(const struct supervisor *supervisor);
/* Those read 421: there can be no receiver. */
void arrivals_refuse(struct supervisor *supervisor);
/* They read 421: the server stops. */
void arrivals_dismiss(struct supervisor *supervisor);
/* After a reload: who waits is judged like one that has just come; nobody has said anything to them yet. */
void arrivals_review(struct supervisor *supervisor);
/* Tells the ledger of locked-out contacts' attempts. Once a second. */
void hits_report(struct supervisor *supervisor);

/* ---- agent_pool.c ---- */
void agent_wanted(struct child *runner, const struct hub_agent *wanted);
/* A runner is gone: its agents' results can reach nobody. True when no agent is left. */
bool agents_are_gone(struct supervisor *supervisor);

/* ---- reload.c ---- */
void supervisor_reload(struct supervisor *supervisor);
/* Opens the log again (after a rename) and tells everybody. */
void supervisor_reopen_log(struct supervisor *supervisor);
/* Certificates as configured into *tls (NULL when there are none), their keys into a file for signers. */
enum exit_status supervisor_read_certificates(const struct config *config, struct tls_server **tls, int *keys,
                                              struct buffer *error);
/* Whether the passwords of routes can be read; nothing of them is kept. */
enum exit_status supervisor_check_passwords(const struct config *config, struct buffer *error);

/* ---- stop.c ---- */
void stop_begin(struct supervisor *supervisor);
/* The next step when the one before is done. */
void stop_settle(struct supervisor *supervisor);
#endif
