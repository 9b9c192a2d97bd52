/* SPDX-License-Identifier: MIT
 * Why a process ended: the exit statuses that the listener and the operator read. sysexits.h values where one fits. */
#ifndef BASE_EXIT_STATUS_H
#define BASE_EXIT_STATUS_H
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_ERROR = 1,        /* parcelpost-queue: an error; otherwise: unspecified */
    EXIT_STATUS_USAGE = 64,       /* wrong command line */
    EXIT_STATUS_NO_USER = 67,     /* a system user is missing */
    EXIT_STATUS_UNAVAILABLE = 69, /* a port is taken, a service died for good */
    EXIT_STATUS_BUG = 70,
    EXIT_STATUS_SYSTEM = 71,      /* fork, socket, … failed */
    EXIT_STATUS_CANT_CREATE = 73, /* spool, database or log cannot be written */
    EXIT_STATUS_IO = 74,
    EXIT_STATUS_TEMPFAIL = 75,      /* try again later; parcelpost-queue: something was deferred */
    EXIT_STATUS_PROTOCOL = 76,      /* an asker asked what its table does not allow */
    EXIT_STATUS_NO_PERMISSION = 77, /* privileges could not be dropped, a file not be read */
    EXIT_STATUS_CONFIG = 78,        /* wrong configuration */
    EXIT_STATUS_PEER_GONE = 79,     /* the process this one works for is gone */
    EXIT_STATUS_OUT_OF_MEMORY = 80
};
/* A word for the status, for log lines; "status N" wording is the caller's. */
const char *exit_status_name(int status);
#endif
