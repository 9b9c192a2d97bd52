/* SPDX-License-Identifier: MIT
 * A preloaded library for tests: the machine has no file left to open (ENFILE) for the processes of one name. LACKING
 * names a file that all of them map, which holds that name, or nothing. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_SIZE 16

static const char *lacking;
static char name[NAME_SIZE]; /* of this process: its sandbox may not let it ask */

#define REAL(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

int prctl(int option, ...) {
    unsigned long values[4];
    va_list words;
    va_start(words, option);
    for (int i = 0; i < 4; i++)
        values[i] = va_arg(words, unsigned long);
    va_end(words);
    if (option == PR_SET_NAME)
        memcpy(name, (const char *)values[0], strnlen((const char *)values[0], NAME_SIZE - 1) + 1);
    return REAL(prctl)(option, values[0], values[1], values[2], values[3]);
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("LACKING");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd >= 0 ? mmap(NULL, NAME_SIZE, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    lacking = mapped != MAP_FAILED ? mapped : NULL;
    if (fd >= 0)
        close(fd);
}

static bool is_full(void) {
    bool full = lacking != NULL && lacking[0] != '\0' && strncmp(name, lacking, NAME_SIZE) == 0;
    if (full)
        errno = ENFILE;
    return full;
}

#define OPENS(call)                                                                                                    \
    int call(const char *path, int flags, ...) {                                                                       \
        va_list words;                                                                                                 \
        va_start(words, flags);                                                                                        \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(words, mode_t) : 0;                              \
        va_end(words);                                                                                                 \
        return is_full() ? -1 : REAL(call)(path, flags, mode);                                                         \
    }
#define OPENS_AT(call)                                                                                                 \
    int call(int folder, const char *path, int flags, ...) {                                                           \
        va_list words;                                                                                                 \
        va_start(words, flags);                                                                                        \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(words, mode_t) : 0;                              \
        va_end(words);                                                                                                 \
        return is_full() ? -1 : REAL(call)(folder, path, flags, mode);                                                 \
    }

OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

int socket(int domain, int type, int protocol) {
    return is_full() ? -1 : REAL(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int ends[2]) {
    return is_full() ? -1 : REAL(socketpair)(domain, type, protocol, ends);
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags) {
    return is_full() ? -1 : REAL(accept4)(fd, address, length, flags);
}

int memfd_create(const char *what, unsigned flags) {
    return is_full() ? -1 : REAL(memfd_create)(what, flags);
}

int pipe2(int ends[2], int flags) {
    return is_full() ? -1 : REAL(pipe2)(ends, flags);
}
