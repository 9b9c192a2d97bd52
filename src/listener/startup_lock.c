/* SPDX-License-Identifier: MIT
 * The lock on the spool: flock on lock_file_path, held by the listener and by the ledger it forks, so that it lasts as
 * long as anybody may write. The file names its holder. Called by the listener's start. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "listener/startup.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LIVE_HOLDER_WAIT_MS 5000 /* a daemon that is just stopping */
#define POLL_MS 100

struct holder {
    char program[32];
    pid_t pid;
};

/* "parcelpostd 1234"; false when the file does not say. */
static bool read_holder(int fd, struct holder *holder) {
    char text[64];
    ssize_t length = pread(fd, text, sizeof(text), 0);
    if (length <= 0) {
        return false;
    }
    struct text rest = {text, (size_t)length}, program;
    uint64_t pid;
    rest = text_first(rest, text_find(rest, '\n'));
    if (!text_split(&rest, ' ', &program) || !text_copy(holder->program, sizeof(holder->program), program) ||
        !text_number(rest, INT32_MAX, &pid)) {
        return false;
    }
    holder->pid = (pid_t)pid;
    return true;
}

static bool is_alive(pid_t pid) {
    return kill(pid, 0) == 0 || errno == EPERM;
}

static bool write_holder(int fd, const char *who) {
    char text[64];
    int length = snprintf(text, sizeof(text), "%s %ld\n", who, (long)getpid());
    return ftruncate(fd, 0) == 0 && file_pwrite_all(fd, text, (size_t)length, 0);
}

/* Waits for the lock; who holds it decides how long. */
static enum exit_status wait_for_lock(const char *path, const char *who, int fd, struct buffer *error) {
    int64_t began = clock_now_ms();
    bool told = false;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            buffer_format(error, "lock_file_path \"%s\" cannot be locked: %s", path, strerror(errno));
            return EXIT_STATUS_CANT_CREATE;
        }
        struct holder holder = {"another process", 0};
        bool alive = read_holder(fd, &holder) && is_alive(holder.pid);
        bool same = alive && strcmp(holder.program, who) == 0;
        bool daemon = alive && strcmp(holder.program, "parcelpostd") == 0;
        if ((same || daemon) && clock_now_ms() - began > LIVE_HOLDER_WAIT_MS) {
            buffer_format(error, "%s already runs (pid %ld): it holds the lock %s", holder.program, (long)holder.pid,
                          path);
            return daemon && !same ? EXIT_STATUS_TEMPFAIL : EXIT_STATUS_UNAVAILABLE;
        }
        if (!told) {
            log_info("waiting for the lock %s: %s %ld%s holds it", path, holder.program, (long)holder.pid,
                     alive ? "" : " is gone, but a process of it still");
            told = true;
        }
        const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return EXIT_STATUS_OK;
}

enum exit_status startup_lock(const struct config *config, const char *who, int *lock, struct buffer *error) {
    const char *path = config->lock_file_path;
    *lock = file_open_lock(path);
    if (*lock < 0) {
        buffer_format(error, "lock_file_path \"%s\" cannot be opened: %s", path, strerror(errno));
        return EXIT_STATUS_CANT_CREATE;
    }
    enum exit_status result = wait_for_lock(path, who, *lock, error);
    if (result == EXIT_STATUS_OK && !write_holder(*lock, who)) {
        buffer_format(error, "lock_file_path \"%s\" cannot be written: %s", path, strerror(errno));
        result = EXIT_STATUS_CANT_CREATE;
    }
    return result;
}
