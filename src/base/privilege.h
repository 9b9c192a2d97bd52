/* SPDX-License-Identifier: MIT
 * Dropping privileges for good: groups, gid, uid, capabilities; verified; failure ends the process. Without root the
 * process runs as its caller and nothing is dropped. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#define PRIVILEGE_GROUPS_MAXIMUM 32
struct privilege_user {
    uid_t uid;
    gid_t gid;
    bool known;                             /* false: run as the caller */
    gid_t groups[PRIVILEGE_GROUPS_MAXIMUM]; /* supplementary */
    size_t group_count;
};
/* Looks a system user up by name; group may be "" for the user's own. False when either does not exist. */
bool privilege_find(const char *user, const char *group, struct privilege_user *found);
/* Adds the groups that /etc/group puts this user into. False when they are too many, or root's is one of them. */
bool privilege_find_groups(const char *user, struct privilege_user *found);
bool privilege_is_root(void);
/* chroot to directory (when root and directory is not NULL), set groups (none but those of user), gid, uid, clear all
 * capabilities, set no_new_privs, make the process undumpable, and verify that root cannot come back. Dies on failure.
 */
void privilege_drop(const struct privilege_user *user, const char *directory);
/* No core files of this process and its children; as root nobody who is not root with SYS_PTRACE may look into its
 * memory either. Dies on failure. */
void privilege_forbid_core_files(void);
/* The listener's own: keeps only SETUID, SETGID, SYS_CHROOT, KILL, NET_BIND_SERVICE (and what chown of sockets needs
 * before). Dies on failure. */
void privilege_keep_listener_capabilities(void);
/* Root's rights over other users' files, which the listener does not keep: false puts them aside, so that files can be
 * tried as the server would, true takes them up again. Without root nothing. */
void privilege_use_file_rights(bool use);
/* Closes every descriptor from 3 on except those listed (ascending order not needed). */
void privilege_close_other_descriptors(const int *keep, size_t count);
#endif
