/* SPDX-License-Identifier: MIT
 * What the listener hands each process that it forks, and the table of their entry points. Process folders never
 * include each other: programs/processes.c fills the table, the listener calls through it. */
#ifndef IPC_PROCESS_H
#define IPC_PROCESS_H
#include "base/privilege.h"
#include <stdbool.h>
struct config;
struct sql_rules;
struct tls_server;
enum process_kind {
    PROCESS_LEDGER,
    PROCESS_LOOKUP,
    PROCESS_RESOLVER,
    PROCESS_SIGNER,
    PROCESS_CONNECTOR,
    PROCESS_RUNNER,
    PROCESS_NURSERY, /* forks the receivers */
    PROCESS_RECEIVER,
    PROCESS_AGENT,
    PROCESS_KINDS
};
#define WORKERS_MAXIMUM 64 /* of each pool: lookups, signers */
struct process_start {     /* descriptors are -1 when the process does not get one */
    struct config *config;
    int hub;                              /* channel to the listener */
    int ledger, lookup, resolver, signer; /* channels to the services */
    int connector;                        /* receiver: to the connector; -1 when nothing configured needs it */
    int job;                              /* agent: its channel to the runner */
    int control;                          /* ledger, runner: a listening Unix socket for the operator */
    int lock;                             /* ledger: keeps the spool's lock */
    bool cron;                            /* runner: end when nothing is due (parcelpost-queue without a daemon) */
    struct privilege_user user;           /* whom to become */
    const char *chroot;                   /* empty directory to lock into, or NULL */
    struct tls_server *tls;               /* nursery, receiver: certificates, or NULL */
    int keys;                             /* signer: their private keys, sealed; -1 when there are none */
    const struct sql_rules *rules;        /* nursery, receiver, lookup: the operator's rules, checked; or NULL */
    const char *transport;                /* agent: the transport row's name */
    const char *const *arguments;         /* runner in cron mode: mail ids, NULL-terminated; or NULL */
};
/* Of an initializer: no descriptor at all. Those that it gets are set behind it. */
#define PROCESS_WITHOUT_DESCRIPTORS                                                                                    \
    .hub = -1, .ledger = -1, .lookup = -1, .resolver = -1, .signer = -1, .connector = -1, .job = -1, .control = -1,    \
    .lock = -1, .keys = -1
/* Never returns: ends with an exit status of base/exit_status.h. The first thing it does is drop privileges. */
typedef void process_main(const struct process_start *start);
extern process_main *const process_mains[PROCESS_KINDS];
extern const char *const process_names[PROCESS_KINDS];
#endif
