/* SPDX-License-Identifier: MIT
 * Shared by the files of the connector: its state, its askers, and how an attempt for one of them ends. */
#ifndef CONNECTOR_CONNECTOR_PRIVATE_H
#define CONNECTOR_CONNECTOR_PRIVATE_H
#include "config/config.h"
#include "ipc/service.h"
#include <sys/types.h>

struct program;
struct name_question;
struct connector {
    const struct config *config;
    struct service *service;
    int resolver; /* channel, -1 when it is gone */
    struct loop_watch *resolver_watch;
    uint32_t last_serial;
    struct name_question *questions; /* that the resolver has not answered */
    size_t asker_count;
    struct program *programs; /* those that have not ended */
    bool hub_gone;
};
struct asker {                 /* service_peer.data */
    struct service_peer *peer; /* NULL: gone, what is under way for it ends unheard */
    unsigned open;             /* attempts under way */
    unsigned programs;         /* that run for it */
    double allowance;          /* connections that it may open now */
    int64_t allowance_at;      /* clock_now_ms */
};
struct attempt { /* a CONNECT_ASK that is not answered yet */
    struct connector *connector;
    struct asker *asker;
    uint32_t serial;
    struct config_outside outside;
};

/* ---- connector.c ---- */
/* Answers and frees the attempt. fd: the connection, closed here; -1: why there is none. */
void attempt_end(struct attempt *attempt, int fd, const char *why);
/* Frees an asker that is gone when nothing is under way for it any more. */
void asker_release(struct asker *asker);

/* ---- connect.c ---- */
/* Connects, sooner or later; the attempt is its own until attempt_end. */
void connect_begin(struct attempt *attempt);

/* ---- name.c ---- */
/* Watches the channel to the resolver. */
void names_begin(struct connector *connector, int resolver);
/* Asks for addresses of a type; found is called once, perhaps at once, with their text. */
typedef void name_found(void *context, const struct dns_answer *answer);
void name_ask(struct connector *connector, struct text name, enum dns_type type, name_found *found, void *context);
/* What was asked with this context is not wanted any more. */
void names_forget(struct connector *connector, const void *context);

/* ---- program.c ---- */
/* Runs the command; the attempt is its own until attempt_end. */
void program_begin(struct attempt *attempt);
/* Reaps those that have ended. */
void programs_reap(struct connector *connector);
/* Kills what runs for this asker. */
void programs_kill(struct connector *connector, const struct asker *asker);
#endif
