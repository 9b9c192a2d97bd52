/* SPDX-License-Identifier: MIT
 * A preloaded library for tests: an attacker who has taken a process. On a signal the process makes the system call
 * that the file INSIDE_ORDERS asks for, with what rights and filters it has at that moment, and writes down what came
 * of it. tests/lib/inside.py gives the orders. Nothing of it is in the programs themselves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum state { ORDERED = 1, BEGUN, DONE };

/* The words of the file, as tests/lib/inside.py has them. pointers: bit n is set when argument n is an offset into
 * data. */
struct orders {
    atomic_long state;
    long pid, call, arguments[6], pointers, result;
    char data[4096];
};
static struct orders *orders;

static void obey(int number) {
    int saved = errno;
    long given[6];
    (void)number;
    if (orders->pid != syscall(SYS_getpid) || orders->state != ORDERED) {
        return;
    }
    for (int i = 0; i < 6; i++) {
        given[i] = orders->arguments[i] + ((orders->pointers >> i & 1) != 0 ? (long)orders->data : 0);
    }
    orders->state = BEGUN;
    long result = syscall(orders->call, given[0], given[1], given[2], given[3], given[4], given[5]);
    if (orders->pid != syscall(SYS_getpid)) {
        syscall(SYS_exit_group, 0); /* a fork succeeded, and this is the child */
    }
    orders->result = result < 0 ? -errno : result;
    orders->state = DONE;
    errno = saved;
}

__attribute__((constructor)) static void start(void) {
    struct sigaction action = {.sa_handler = obey, .sa_flags = SA_RESTART};
    const char *path = getenv("INSIDE_ORDERS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *mapped = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) {
        orders = mapped;
        sigaction(SIGRTMIN + 5, &action, NULL);
    }
}
