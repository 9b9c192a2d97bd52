/* SPDX-License-Identifier: MIT
 * A preloaded library for `make bench`: a slow disk for whoever it is loaded into, as far as flushes go. Each of them
 * takes 5 ms longer, in every process alike, whichever server it is of. */
#include <dlfcn.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const struct timespec delay = {0, 5000000};

static int flush(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    nanosleep(&delay, NULL);
    return real(fd);
}

int fsync(int fd) {
    return flush("fsync", fd);
}
int fdatasync(int fd) {
    return flush("fdatasync", fd);
}
int syncfs(int fd) {
    return flush("syncfs", fd);
}
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    int (*real)(int, off64_t, off64_t, unsigned) =
        (int (*)(int, off64_t, off64_t, unsigned))dlsym(RTLD_NEXT, "sync_file_range");
    if (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) {
        nanosleep(&delay, NULL);
    }
    return real(fd, offset, length, flags);
}
