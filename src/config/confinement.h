/* SPDX-License-Identifier: MIT
 * What each process may still do, once it holds what it needs: its system calls, the files and TCP ports that it
 * reaches, whom it may signal. One table, confinement.c; SECURITY.md says what comes of it. */
#ifndef CONFIG_CONFINEMENT_H
#define CONFIG_CONFINEMENT_H
#include "config/config.h"

enum confinement {
    CONFINED_LEDGER,
    CONFINED_LOOKUP,
    CONFINED_RUNNER,
    CONFINED_RESOLVER,
    CONFINED_SIGNER,
    CONFINED_RECEIVER,
    CONFINED_CONNECTOR,
    CONFINED_NETWORK_AGENT,
    CONFINED_FOLDER_AGENT,
    CONFINED_PROGRAM, /* of the operator's: the child that becomes one */
    CONFINEMENTS
};
/* For good; after privilege_drop, and after the filters were prepared (confinement_prepare). mailboxes: the Maildir
 * pattern of a folder agent, else NULL. Paths and ports are those of this configuration. Dies on failure. */
void confinement_enter(enum confinement who, const struct config *config, const char *mailboxes);
/* Files, ports and signals alone, which is Landlock's part of it; without Landlock nothing. */
void confinement_limit(enum confinement who, const struct config *config, const char *mailboxes);
/* In the parent, once: compiles the filters of the table, and logs what the kernel can not do. */
void confinement_prepare(bool receivers);
#endif
