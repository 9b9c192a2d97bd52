/* SPDX-License-Identifier: MIT
 * A preloaded library for tests: counts fsync(2) and fdatasync(2) in every process of an instance, can make each
 * longer, and can make them fail on demand. FLUSH_COUNTER names a file that all processes map; its words: flushes so
 * far, milliseconds to add to each, and how many of the next flushes fail with EIO. Only those of files fail whose path
 * has in it what FLUSH_FAILING says, or that are the journal's segments: others', as the checkpoint's, come at any
 * time. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counter {
    atomic_ulong flushes, delay_ms, failures;
};
static struct counter *counter;
static const char *failing = "/journal/0";
static int (*real_fsync)(int), (*real_fdatasync)(int);

__attribute__((constructor)) static void start(void) {
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("FLUSH_COUNTER");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (getenv("FLUSH_FAILING")) {
        failing = getenv("FLUSH_FAILING");
    }
    if (fd < 0) {
        return;
    }
    if (ftruncate(fd, sizeof *counter) == 0) {
        void *mapped = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        counter = mapped == MAP_FAILED ? NULL : mapped;
    }
    close(fd);
}

static bool may_fail(int fd) {
    char link[64], path[PATH_MAX + 1] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, PATH_MAX) > 0 && strstr(path, failing);
}

static int flush(int (*real)(int), int fd) {
    if (!counter) {
        return real(fd);
    }
    atomic_fetch_add(&counter->flushes, 1);
    unsigned long left = atomic_load(&counter->failures);
    while (left > 0 && may_fail(fd)) {
        if (atomic_compare_exchange_weak(&counter->failures, &left, left - 1)) {
            errno = EIO;
            return -1;
        }
    }
    unsigned long delay = atomic_load(&counter->delay_ms);
    struct timespec pause = {(time_t)(delay / 1000), (long)(delay % 1000) * 1000000};
    if (delay > 0) {
        nanosleep(&pause, NULL);
    }
    return real(fd);
}

int fsync(int fd) {
    return flush(real_fsync, fd);
}
int fdatasync(int fd) {
    return flush(real_fdatasync, fd);
}
