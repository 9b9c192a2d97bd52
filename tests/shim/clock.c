/* SPDX-License-Identifier: MIT
 * A preloaded library for tests: the machine's clock as somebody set it. CLOCK_OFFSET names a file that all processes
 * map: by how many seconds, and how many the machine slept. The monotonic clock goes on, as it does. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_long *offset; /* and behind it: slept */

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CLOCK_OFFSET");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *mapped = mmap(NULL, 2 * sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    offset = mapped == MAP_FAILED ? NULL : mapped;
    close(fd);
}

static int real_clock(clockid_t clock, struct timespec *now) {
    typedef int clock_function(clockid_t, struct timespec *);
    static clock_function *real;
    if (real == NULL) {
        real = (clock_function *)dlsym(RTLD_NEXT, "clock_gettime");
    }
    return real(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = real_clock(clock, now);
    if (result == 0 && offset != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += atomic_load(offset) + atomic_load(offset + 1);
    } else if (result == 0 && offset != NULL && clock == CLOCK_BOOTTIME) {
        now->tv_sec += atomic_load(offset + 1);
    }
    return result;
}

time_t time(time_t *place) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (place != NULL) {
        *place = now.tv_sec;
    }
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise = {0};
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return 0;
}
