/* SPDX-License-Identifier: MIT
 * What must be true of the machine before the first process is forked: system users, directories, the lock, the pid
 * file, the operator's sockets. Runs with the caller's full privileges, before the listener reduces its own. Each step
 * gives EXIT_STATUS_OK, or the status to end with and one clear sentence in error. */
#ifndef LISTENER_STARTUP_H
#define LISTENER_STARTUP_H
#include "base/buffer.h"
#include "base/exit_status.h"
#include "base/privilege.h"
#include "config/config.h"
#include "ipc/process.h"
struct system_users {              /* known == false in all of them: not root, everything runs as the caller */
    struct privilege_user spool;   /* user_name: ledger, runner */
    struct privilege_user network; /* receivers, agents, resolver */
    struct privilege_user lookup;  /* auth_user in the spool's group: may read parcelpost.db */
    struct privilege_user key;     /* signer */
    struct privilege_user outside; /* connector, with its supplementary groups; where there is one */
};
/* Finds the users (as root; all that are needed must exist). */
enum exit_status startup_users(const struct config *config, struct system_users *users, struct buffer *error);
/* Whether what the server goes by is safe from everybody else: who writes the configuration is root by lock_command. */
enum exit_status startup_guarded(const struct config *config, struct buffer *error);
/* Makes the directories that are missing, with their owners; checks that those that exist can be used. */
enum exit_status startup_directories(const struct config *config, const struct system_users *users,
                                     struct buffer *error);
/* Of them the one that network processes are locked into: also before a reload, which brings another one. */
enum exit_status startup_chroot(const struct config *config, struct buffer *error);
/* And the one that all mailboxes lie in: the part of the pattern maildir before its first variable. */
enum exit_status startup_maildir(const struct config *config, struct buffer *error);
/* Takes the lock that only one daemon or parcelpost-queue may hold. who: the program's name, written into the file.
 * Waits (with a log line) while a parcelpost-queue or the last processes of a dead daemon hold it; a live daemon is
 * waited for only shortly. *lock: the descriptor that holds it. */
enum exit_status startup_lock(const struct config *config, const char *who, int *lock, struct buffer *error);
enum exit_status startup_pid_file(const struct config *config, struct buffer *error);
/* A listening SOCK_SEQPACKET socket control_directory/NAME, mode 0660, of the spool's user. */
enum exit_status startup_control_socket(const struct config *config, const struct system_users *users, const char *name,
                                        int *socket_fd, struct buffer *error);
/* users.db with its tables as they are today, of the lookup's user when it is new. */
enum exit_status startup_users_database(const struct config *config, const struct system_users *users,
                                        struct buffer *error);
/* srs_secret_file with a random secret, of the lookup's user, when there is none yet. */
enum exit_status startup_srs_secret(const struct config *config, const struct system_users *users,
                                    struct buffer *error);
/* As many descriptors as the system lets us have: a connection needs some in several processes. */
void startup_raise_descriptor_limit(void);
#endif
