/* SPDX-License-Identifier: MIT
 * Linked into the server's programs for the crash matrix of processes: all of them share the disk that the file
 * CRASH_DISK holds. What they tell each other and the network counts beside what they write, and so do allocations
 * when one is to fail. Nothing of it is in the programs that are installed. */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#include "../matrix/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CRASH_DISK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct disk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped != MAP_FAILED)
        disk_watch(mapped);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    disk_tell("send");
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, __CONST_SOCKADDR_ARG address, socklen_t size) {
    disk_tell("sendto");
    return syscall(SYS_sendto, fd, bytes, length, flags, address.__sockaddr__, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    disk_tell("sendmsg");
    return syscall(SYS_sendmsg, fd, message, flags);
}

int shutdown(int fd, int how) {
    disk_tell("shutdown");
    return (int)syscall(SYS_shutdown, fd, how);
}

int memfd_create(const char *name, unsigned flags) {
    disk_tell("memfd_create");
    return (int)syscall(SYS_memfd_create, name, flags);
}

/* ---- memory: the C library's own functions under names that it keeps for those who replace them ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool is_lacking(const char *call) {
    bool lacking = disk_lacks_memory(call);

    if (lacking)
        errno = ENOMEM;
    return lacking;
}

void *malloc(size_t size) {
    return is_lacking("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return is_lacking("calloc") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return is_lacking("realloc") ? NULL : __libc_realloc(memory, size);
}
