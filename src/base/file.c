/* SPDX-License-Identifier: MIT
 * Whole reads and writes, copies, memory files, durability of names. Called by any process under its own privilege;
 * fails by return value with errno, but file_memory, which ends the process. */
#include "base/file.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/privilege.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define COPY_CHUNK 16384
#define READ_CHUNK 16384

bool file_write_all(int fd, const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = write(fd, at, length);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? EIO : errno;
            return false;
        }
        at += done;
        length -= (size_t)done;
    }
    return true;
}

bool file_pwrite_all(int fd, const void *bytes, size_t length, off_t offset) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = pwrite(fd, at, length, offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? EIO : errno;
            return false;
        }
        at += done;
        offset += done;
        length -= (size_t)done;
    }
    return true;
}

bool file_pread_all(int fd, void *bytes, size_t length, off_t offset) {
    char *at = bytes;
    while (length > 0) {
        ssize_t done = pread(fd, at, length, offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? 0 : errno;
            return false;
        }
        at += done;
        offset += done;
        length -= (size_t)done;
    }
    return true;
}

/* At the maximum: is there anything more? */
static bool is_at_end(int fd) {
    char byte;
    ssize_t got;
    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        errno = EFBIG;
    }
    return got == 0;
}

bool file_read_into(int fd, struct buffer *buffer) {
    for (;;) {
        size_t room = buffer->maximum - buffer->length;
        if (room == 0) {
            return is_at_end(fd);
        }
        room = room < READ_CHUNK ? room : READ_CHUNK;
        char *at = buffer_reserve(buffer, room);
        ssize_t got = read(fd, at, room);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0;
        }
        buffer_advance(buffer, (size_t)got);
    }
}

/* For file systems and descriptors that copy_file_range refuses. */
static bool copy_by_hand(int from, off_t from_offset, int to, off_t to_offset, uint64_t length) {
    char chunk[COPY_CHUNK];
    while (length > 0) {
        size_t count = length < sizeof chunk ? (size_t)length : sizeof chunk;
        if (!file_pread_all(from, chunk, count, from_offset)) {
            errno = errno == 0 ? ENODATA : errno;
            return false;
        }
        if (!file_pwrite_all(to, chunk, count, to_offset)) {
            return false;
        }
        from_offset += (off_t)count;
        to_offset += (off_t)count;
        length -= count;
    }
    return true;
}

bool file_copy(int from, off_t from_offset, int to, off_t to_offset, uint64_t length) {
    while (length > 0) {
        size_t count = length < SSIZE_MAX ? (size_t)length : SSIZE_MAX;
        ssize_t done = copy_file_range(from, &from_offset, to, &to_offset, count, 0);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
            return false;
        }
        if (done <= 0) { /* EXDEV, EINVAL, ENOSYS, …, or 0 from file systems that give no reason */
            return copy_by_hand(from, from_offset, to, to_offset, length);
        }
        length -= (uint64_t)done;
    }
    return true;
}

int file_open_lock(const char *path) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR | S_IRGRP);
    if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
        (void)fchmod(fd, status.st_mode & (S_IRWXU | S_IRWXG)); /* another owner's stays as it is */
    }
    return fd;
}

int file_memory(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "memfd_create %s: %s", name, strerror(errno));
    }
    return fd;
}

bool file_seal(int fd) {
    return fcntl(fd, F_ADD_SEALS, ALL_SEALS) == 0;
}

bool file_is_sealed(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}

int64_t file_size(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? (int64_t)status.st_size : -1;
}

bool file_is_private(const char *what, const char *path, struct buffer *error) {
    struct stat status;
    if (stat(path, &status) != 0 || (status.st_mode & (S_IROTH | S_IWOTH)) == 0) {
        return true;
    }
    buffer_format(error, "%s %s is open to everybody on this host (mode %04o); try: chmod o= %s", what, path,
                  (unsigned)(status.st_mode & 07777), path);
    return false;
}

bool file_is_guarded(const char *what, const char *path, struct buffer *error) {
    struct stat status;
    if (stat(path, &status) != 0 || (status.st_mode & S_IWOTH) == 0) {
        return true;
    }
    buffer_format(error, "%s %s can be written by everybody on this host (mode %04o); try: chmod o-w %s", what, path,
                  (unsigned)(status.st_mode & 07777), path);
    return false;
}

bool file_is_regular(const char *what, const char *path, struct buffer *error) {
    struct stat status;
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) {
        return true;
    }
    buffer_format(error, "%s %s is no regular file", what, path);
    return false;
}

void file_say_problem(const char *path, int problem, struct buffer *error) {
    struct stat status;
    buffer_format(error, "%s", strerror(problem));
    if (problem == EACCES && privilege_is_root() && stat(path, &status) == 0 && status.st_uid != 0) {
        buffer_format(error, "; try: chown root %s", path);
    }
}

bool file_sync_directory(const char *directory) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    int reason = errno;
    close(fd);
    errno = reason;
    return synced;
}

bool file_set_nonblocking(int fd, bool nonblocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return false;
    }
    int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted == flags || fcntl(fd, F_SETFL, wanted) == 0;
}
