/* SPDX-License-Identifier: MIT
 * The machine that the crash matrix gives the spool: every system call that changes a file below one directory is
 * counted, at a chosen one the process ends as by kill -9, and what a power failure would have left can be made: a file
 * holds what it held at its last fsync, a directory the names of its last fsync. The functions of the C library are
 * replaced in this program (SQLite's calls come here too), so that no privilege and no kernel feature is needed.
 * tests/crash/machine/ has a whole server's processes share one such disk: there messages to others count as well. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum disk_crash {
    DISK_KILL,   /* what was written is there: the process died, the machine goes on */
    DISK_TEAR,   /* the same, and half of the write in hand is there */
    DISK_FORGET, /* nothing is there that was not flushed */
    DISK_MIX,    /* of what was not flushed some is there, by chance */
    /* These do not end the process; it comes to its end by itself, and is looked at then. */
    DISK_EIO,    /* the call fails, once */
    DISK_ENOSPC, /* from that call on nothing can be written or made */
    DISK_EMFILE, /* nor opened, for three calls */
    DISK_EINTR,  /* the call is interrupted, once */
    DISK_SHORT,  /* the write writes half of what it was asked to, once */
    DISK_ENOMEM, /* allocations are counted instead; one of them fails */
    DISK_CRASHES
};
#define DISK_FRAMES 24
#define DISK_FILES 4096
#define DISK_EXIT 86 /* status of a process that was ended at its call */

struct disk { /* shared by the process that is ended and the one that looks */
    char directory[40], shadow[56];
    enum disk_crash crash;
    long crash_at; /* number of the call; 0: never */
    atomic_long calls;
    unsigned seed;
    /* A server of several processes: which of them counts (its name; empty: each), and whether all of them end at the
     * call. pthread_mutex_t: of the table below. */
    char role[16];
    bool is_server, all_end;
    pthread_mutex_t mutex;
    /* the call it ended at, or that failed */
    char call[16];
    void *frames[DISK_FRAMES], *base; /* base: where the program lies */
    int frame_count;
    /* which shadow is whose: an inode's number may come again */
    struct {
        ino_t inode;
        unsigned shadow;
    } files[DISK_FILES];
    unsigned file_count, shadow_count;
};
/* Counts calls from now on in this process and its threads; NULL: no more. */
void disk_watch(struct disk *disk);
/* Makes the directory what it would be after the power failure (DISK_FORGET, DISK_MIX). The watched process has ended.
 */
bool disk_forget(struct disk *disk);
/* What is there now counts as flushed, as after sync(2); no process of the server is there. */
bool disk_sync(struct disk *disk);
/* For a server's calls that change no file but tell others something: counts, and ends the process when it is the one.
 */
void disk_tell(const char *call);
/* True when this allocation is to fail. */
bool disk_lacks_memory(const char *call);
#endif
