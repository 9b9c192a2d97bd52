/* SPDX-License-Identifier: MIT
 * Replaces the C library's calls that change files; counts, ends the process, and keeps the shadow of what was flushed.
 * While a disk is watched, flushes cost nothing: only the machine could tell the difference, and it stays up. */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#include "disk.h"
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct disk *watched;
extern char __executable_start; /* the linker's */

void disk_watch(struct disk *disk) {
    void *warm[2];

    (void)backtrace(warm, 2); /* loads its library now, not at the crash */
    watched = disk;
}

/* ---- which calls count ---- */

static bool is_below(const char *path) {
    size_t length = strlen(watched->directory);

    return strncmp(path, watched->directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool fd_path(int fd, char path[PATH_MAX]) {
    char link[32];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = '\0';
    return length > 0 && is_below(path);
}

static bool has_the_role(void) {
    char name[16] = "";

    return watched->role[0] == '\0' || (prctl(PR_GET_NAME, name) == 0 && strcmp(name, watched->role) == 0);
}

/* True when this call is the one, or with a fault that lasts, one behind it. */
static bool is_chosen(const char *call) {
    static const long lasting[DISK_CRASHES] = {[DISK_ENOSPC] = LONG_MAX, [DISK_EMFILE] = 3};

    if (watched->is_server && (watched->crash_at == 0 || !has_the_role()))
        return false;
    long number = atomic_fetch_add(&watched->calls, 1) + 1;

    if (watched->crash_at == 0 || number < watched->crash_at)
        return false;
    if (number > watched->crash_at)
        return number - watched->crash_at < lasting[watched->crash];
    (void)snprintf(watched->call, sizeof watched->call, "%s", call);
    watched->frame_count = backtrace(watched->frames, DISK_FRAMES);
    watched->base = &__executable_start;
    return true;
}

/* A process group is killed in one call. */
static _Noreturn void end_here(void) {
    if (watched->is_server)
        (void)kill(watched->all_end ? 0 : getpid(), SIGKILL);
    _exit(DISK_EXIT);
}

void disk_tell(const char *call) {
    if (watched != NULL && watched->is_server && watched->crash < DISK_EIO && is_chosen(call))
        end_here();
}

bool disk_lacks_memory(const char *call) {
    return watched != NULL && watched->crash == DISK_ENOMEM && is_chosen(call);
}

enum kind { KIND_WRITE, KIND_MAKE, KIND_NAME, KIND_FLUSH };

/* Counts. True when the call is to fail, with errno; does not come back when the process is to end. */
static bool fails(const char *call, enum kind kind) {
    if (watched->crash == DISK_ENOMEM || !is_chosen(call))
        return false;
    if (watched->crash < DISK_EIO)
        end_here();
    errno = 0;
    if (watched->crash == DISK_EIO)
        errno = EIO;
    else if (watched->crash == DISK_ENOSPC && (kind == KIND_WRITE || kind == KIND_MAKE))
        errno = ENOSPC;
    else if (watched->crash == DISK_EMFILE && kind == KIND_MAKE)
        errno = EMFILE;
    else if (watched->crash == DISK_EINTR && kind != KIND_NAME)
        errno = EINTR;
    return errno != 0;
}

/* ---- the shadow ---- */

static unsigned shadow_of(ino_t inode, bool anew) {
    for (unsigned i = 0; i < watched->file_count; i++)
        if (watched->files[i].inode == inode) {
            if (anew)
                watched->files[i].shadow = ++watched->shadow_count;
            return watched->files[i].shadow;
        }
    if (watched->file_count == DISK_FILES)
        abort();
    watched->files[watched->file_count].inode = inode;
    return watched->files[watched->file_count++].shadow = ++watched->shadow_count;
}

static bool copy_file(const char *from, const char *to) {
    int source = (int)syscall(SYS_openat, AT_FDCWD, from, O_RDONLY | O_CLOEXEC),
        target = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t moved = source >= 0 && target >= 0 ? 1 : -1;

    while (moved > 0)
        moved = sendfile(target, source, NULL, 1 << 20);
    if (source >= 0)
        (void)close(source);
    if (target >= 0)
        (void)close(target);
    return moved == 0;
}

/* Whole or not at all: in a server another process may end everybody meanwhile. */
static bool keep_file(const char *path, const char *kept) {
    char fresh[PATH_MAX + 8];

    (void)snprintf(fresh, sizeof fresh, "%s.new", kept);
    return copy_file(path, fresh) && syscall(SYS_rename, fresh, kept) == 0;
}

static void shadow_path(unsigned number, char path[PATH_MAX]) {
    (void)snprintf(path, PATH_MAX, "%s/%u", watched->shadow, number);
}

/* A directory's flush: its names, and whose shadow each is. */
static void keep_names(const char *path, ino_t directory) {
    char kept[PATH_MAX], fresh[PATH_MAX + 8], inner[PATH_MAX + NAME_MAX + 2];
    struct stat status;

    (void)snprintf(kept, sizeof kept, "%s/names-%lu", watched->shadow, (unsigned long)directory);
    (void)snprintf(fresh, sizeof fresh, "%s.new", kept);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    DIR *names = opendir(path);
    for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(inner, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        int length = snprintf(inner, sizeof inner, "%u %s\n", shadow_of(status.st_ino, false), entry->d_name);
        if (syscall(SYS_write, fd, inner, (size_t)length) != length)
            abort();
    }
    if (names != NULL)
        (void)closedir(names);
    (void)close(fd);
    if (syscall(SYS_rename, fresh, kept) != 0)
        abort();
}

/* Whoever held it may have been ended at its call: what it wrote is whole or not there at all. */
static void lock_table(void) {
    if (pthread_mutex_lock(&watched->mutex) == EOWNERDEAD)
        (void)pthread_mutex_consistent(&watched->mutex);
}

/* Only then is it looked at what was flushed. */
static bool is_power_failure(void) {
    return watched->crash == DISK_FORGET || watched->crash == DISK_MIX;
}

static int flush(int fd, const char *call) {
    char path[PATH_MAX], kept[PATH_MAX];
    struct stat status;

    if (watched == NULL || !fd_path(fd, path))
        return (int)syscall(SYS_fdatasync, fd);
    if (fails(call, KIND_FLUSH))
        return -1;
    if (!is_power_failure())
        return 0;
    lock_table();
    if (fstat(fd, &status) != 0)
        abort();
    if (S_ISDIR(status.st_mode)) {
        keep_names(path, status.st_ino);
    } else if (status.st_nlink > 0) {
        shadow_path(shadow_of(status.st_ino, false), kept);
        if (!keep_file(path, kept))
            abort();
    }
    (void)pthread_mutex_unlock(&watched->mutex);
    return 0;
}

/* ---- the calls ---- */

int fsync(int fd) {
    return flush(fd, "fsync");
}

int fdatasync(int fd) {
    return flush(fd, "fdatasync");
}

/* A socket, or memory that is handed on. */
static bool tells_others(int fd, const char *path) {
    struct stat status;

    return strncmp(path, "/memfd:", 7) == 0 || (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
}

/* How much of a write is to be done; -1: it fails. *ends: and then the process ends. */
static ssize_t allowed(int fd, size_t length, const char *call, bool *ends) {
    char path[PATH_MAX];

    *ends = false;
    if (watched == NULL)
        return (ssize_t)length;
    if (!fd_path(fd, path)) {
        if (watched->is_server && tells_others(fd, path))
            disk_tell(call);
        return (ssize_t)length;
    }
    if (watched->crash != DISK_TEAR && watched->crash != DISK_SHORT)
        return fails(call, KIND_WRITE) ? -1 : (ssize_t)length;
    if (!is_chosen(call))
        return (ssize_t)length;
    *ends = watched->crash == DISK_TEAR;
    return (ssize_t)(length > 1 ? length / 2 : length);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    bool ends;
    ssize_t now = allowed(fd, length, "write", &ends);
    ssize_t done = now < 0 ? -1 : syscall(SYS_write, fd, bytes, now);

    if (ends)
        end_here();
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    bool ends;
    ssize_t now = allowed(fd, length, "pwrite", &ends);
    ssize_t done = now < 0 ? -1 : syscall(SYS_pwrite64, fd, bytes, now, offset);

    if (ends)
        end_here();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset);
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int piece_count) {
    char path[PATH_MAX];

    if (watched != NULL && fd_path(fd, path) && fails("writev", KIND_WRITE))
        return -1;
    return syscall(SYS_writev, fd, pieces, piece_count);
}

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];

    if (watched != NULL && fd_path(fd, path) && fails("ftruncate", KIND_NAME))
        return -1;
    return (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate64(int fd, off_t length);
int ftruncate64(int fd, off_t length) {
    return ftruncate(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    char path[PATH_MAX];

    if (watched != NULL && fd_path(fd, path) && fails("fallocate", KIND_WRITE))
        return -1;
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    char path[PATH_MAX];

    if (watched != NULL && fd_path(to, path) && fails("copy_file_range", KIND_WRITE))
        return -1;
    return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
}

int rename(const char *from, const char *to) {
    if (watched != NULL && is_below(to) && fails("rename", KIND_NAME))
        return -1;
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path) {
    struct stat status;

    if (watched != NULL && is_below(path) && lstat(path, &status) == 0 && fails("unlink", KIND_NAME))
        return -1;
    return (int)syscall(SYS_unlink, path);
}

int mkdir(const char *path, mode_t mode) {
    struct stat status;

    if (watched != NULL && is_below(path) && lstat(path, &status) != 0 && fails("mkdir", KIND_MAKE))
        return -1;
    return (int)syscall(SYS_mkdir, path, mode);
}

/* Only a call that makes the file changes anything. */
static int open_counted(const char *path, int flags, mode_t mode) {
    struct stat status;
    bool makes = watched != NULL && (flags & O_CREAT) && is_below(path) && lstat(path, &status) != 0;
    bool empties = watched != NULL && !makes && (flags & O_TRUNC) && is_below(path);

    if ((makes || empties) && fails(makes ? "open" : "open(O_TRUNC)", KIND_MAKE))
        return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (makes && fd >= 0 && is_power_failure() && fstat(fd, &status) == 0) {
        lock_table();
        (void)shadow_of(status.st_ino, true);
        (void)pthread_mutex_unlock(&watched->mutex);
    }
    return fd;
}

#define OPEN_FUNCTION(name)                                                                                            \
    int name(const char *path, int flags, ...);                                                                        \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                                        \
        va_end(list);                                                                                                  \
        return open_counted(path, flags, mode);                                                                        \
    }
OPEN_FUNCTION(open)
OPEN_FUNCTION(open64)

/* ---- after the power failure ---- */

static bool by_chance(struct disk *disk) {
    return disk->crash == DISK_MIX && rand_r(&disk->seed) % 2 == 0;
}

/* Of a file whose name was not flushed; 0: nor was any of its bytes. */
static unsigned known_shadow(const struct disk *disk, ino_t inode) {
    for (unsigned i = 0; i < disk->file_count; i++)
        if (disk->files[i].inode == inode)
            return disk->files[i].shadow;
    return 0;
}

/* What is there of one file that the directory names: by chance what was written, else what was flushed. */
static bool restore(struct disk *disk, unsigned shadow, const char *now, const char *to) {
    char kept[PATH_MAX];
    struct stat status;

    (void)snprintf(kept, sizeof kept, "%s/%u", disk->shadow, shadow);
    if (by_chance(disk) && lstat(now, &status) == 0)
        return copy_file(now, to);
    if (access(kept, F_OK) == 0)
        return copy_file(kept, to);
    return close(creat(to, 0600)) == 0; /* its name was flushed, none of its bytes */
}

/* The directory anew, beside itself: its flushed names, and by chance those of later. */
static bool restore_directory(struct disk *disk, const char *path, const char *to) {
    char inner[PATH_MAX + NAME_MAX + 2], target[PATH_MAX + NAME_MAX + 2], kept[PATH_MAX], name[NAME_MAX + 1];
    struct stat status;
    unsigned shadow;
    bool good = stat(path, &status) == 0 && (mkdir(to, 0700) == 0 || errno == EEXIST);

    (void)snprintf(kept, sizeof kept, "%s/names-%lu", disk->shadow, (unsigned long)status.st_ino);
    FILE *names = fopen(kept, "re");
    while (good && names != NULL && fscanf(names, "%u %255s", &shadow, name) == 2) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, name);
        (void)snprintf(target, sizeof target, "%s/%s", to, name);
        if (!by_chance(disk) || access(inner, F_OK) == 0) /* by chance its removal is there, too */
            good = restore(disk, shadow, inner, target);
    }
    if (names != NULL)
        (void)fclose(names);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; good && directory != NULL && (entry = readdir(directory)) != NULL;) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(inner, &status) != 0 || strstr(entry->d_name, "-shm") != NULL)
            continue;
        if (S_ISDIR(status.st_mode))
            good = restore_directory(disk, inner, target); /* made durable by whoever made it */
        else if (access(target, F_OK) != 0 && by_chance(disk))
            good = restore(disk, known_shadow(disk, status.st_ino), inner, target);
    }
    if (directory != NULL)
        (void)closedir(directory);
    return good;
}

static void remove_all(const char *path) {
    char inner[PATH_MAX + NAME_MAX + 2];
    DIR *directory = opendir(path);

    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(inner) != 0)
            remove_all(inner);
    }
    if (directory != NULL)
        (void)closedir(directory);
    (void)rmdir(path);
}

bool disk_forget(struct disk *disk) {
    char after[PATH_MAX];

    (void)snprintf(after, sizeof after, "%s.after", disk->directory);
    if (disk->crash != DISK_FORGET && disk->crash != DISK_MIX)
        return true;
    if (!restore_directory(disk, disk->directory, after))
        return false;
    remove_all(disk->directory);
    return rename(after, disk->directory) == 0;
}

/* ---- a server that runs on ---- */

static bool keep_tree(struct disk *disk, const char *path) {
    char inner[PATH_MAX + NAME_MAX + 2], kept[PATH_MAX];
    struct stat status;
    DIR *directory = opendir(path);
    bool good = directory != NULL && stat(path, &status) == 0;

    for (const struct dirent *entry; good && (entry = readdir(directory)) != NULL;) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(inner, &status) != 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            good = keep_tree(disk, inner);
        } else if (S_ISREG(status.st_mode)) {
            shadow_path(shadow_of(status.st_ino, true), kept);
            good = copy_file(inner, kept);
        }
    }
    if (directory != NULL)
        (void)closedir(directory);
    if (good && stat(path, &status) == 0)
        keep_names(path, status.st_ino);
    return good;
}

bool disk_sync(struct disk *disk) {
    struct disk *before = watched;

    pthread_mutexattr_t shared;

    watched = disk;
    if (pthread_mutexattr_init(&shared) != 0 || pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST) != 0 ||
        pthread_mutex_init(&disk->mutex, &shared) != 0)
        return false;
    remove_all(disk->shadow);
    disk->file_count = disk->shadow_count = 0;
    bool good = mkdir(disk->shadow, 0700) == 0 && keep_tree(disk, disk->directory);
    watched = before;
    return good;
}
