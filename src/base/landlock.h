/* SPDX-License-Identifier: MIT
 * Landlock: files and TCP ports that this process and its children may still reach, and whom they may signal. Stands
 * behind users and modes: it takes away, and never gives. Kernels without it, or with less of it, confine less. Who
 * gets what is the table in config/confinement.c. Sanitizer builds link sandbox_empty.c instead. */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum landlock_access {
    LANDLOCK_READ,  /* files; not the names in a folder */
    LANDLOCK_WRITE, /* files and folders: read, made, written, renamed, removed */
    LANDLOCK_FILL   /* folders and files: made, written, renamed, removed; no file is read */
};
struct landlock_path { /* a file, or a folder with all below it; one that is not there is left out */
    const char *path;
    enum landlock_access access;
};
struct landlock_rules {
    bool files; /* nothing but paths; false: files are not confined */
    const struct landlock_path *paths;
    size_t path_count;
    bool ports; /* TCP: connect to ports alone, and listen nowhere; false: not confined */
    const uint16_t *connect;
    size_t connect_count;
};
enum {
    LANDLOCK_FILES = 2, /* from this version on: files */
    LANDLOCK_PORTS = 4,
    LANDLOCK_SIGNALS = 6 /* and abstract Unix sockets */
};
/* The version that this kernel knows; 0 when it has none that is of use. */
int landlock_version(void);
/* Confines this process, for good. Signals reach nobody who was not confined by this call or after it, nor do calls
 * that look into processes; abstract Unix sockets of others are out of reach where ports are confined. Needs
 * no_new_privs. Dies on failure; without Landlock does nothing. */
void landlock_enter(const struct landlock_rules *rules);
#endif
