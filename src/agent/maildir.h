/* SPDX-License-Identifier: MIT
 * Maildir folders: which directory an address has, making it, writing one file durably. Used by the maildir transport.
 */
#ifndef AGENT_MAILDIR_H
#define AGENT_MAILDIR_H
#include "agent/delivery.h"
#include <limits.h>
#include <stdbool.h>
/* The directory of an address: pattern with %u (local part), %d (domain), %% replaced. False when the address cannot
 * be a folder's name: '/', a leading '.', control bytes, empty, too long. */
bool maildir_path(const char *pattern, const char *address, char path[PATH_MAX]);
/* Makes the directory, its missing parents and tmp, new, cur (0700), each durable. False with errno. */
bool maildir_make(const char *path);
enum maildir_outcome { MAILDIR_STORED, MAILDIR_UNREADABLE /* the message */, MAILDIR_FAILED /* errno */ };
/* Writes `top` (complete header fields with CRLF) and the content as one file into new/: tmp/, fsync, rename, fsync of
 * new/. Line ends become LF, but in a binary message (RFC 3030), which stays byte for byte as it came. */
enum maildir_outcome maildir_store(const char *path, const char *host, struct text top,
                                   struct delivery_content *content);
#endif
