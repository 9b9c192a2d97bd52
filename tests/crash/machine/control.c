/* SPDX-License-Identifier: MIT
 * The disk that a server's processes share, from outside: tests/lib/machine.py calls it. The file's first argument is
 * the disk's own file.
 *
 *   control FILE new DIRECTORY       makes it, for what lies below the directory
 *   control FILE sync                what is there now is flushed; no server runs
 *   control FILE arm ROLE WAY N ALL  from now on: the Nth call of the processes of that name (- for each), in that way
 *   control FILE tell                calls so far, the one that was chosen or -, addresses of its callers
 *   control FILE forget              after the end of all: what a power failure leaves */
#include "../matrix/disk.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const ways[DISK_CRASHES] = {"kill",   "tear",   "forget", "mix",   "eio",
                                               "enospc", "emfile", "eintr",  "short", "enomem"};

static struct disk *map_disk(const char *path, bool make) {
    int fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT | O_EXCL : 0), 0666);

    if (fd < 0 || (make && (ftruncate(fd, sizeof(struct disk)) != 0 || fchmod(fd, 0666) != 0)))
        return NULL;
    void *mapped = mmap(NULL, sizeof(struct disk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return mapped != MAP_FAILED ? mapped : NULL;
}

static bool begin(struct disk *disk, const char *directory) {
    disk->is_server = true;
    return snprintf(disk->directory, sizeof disk->directory, "%s", directory) < (int)sizeof disk->directory &&
           snprintf(disk->shadow, sizeof disk->shadow, "%s.shadow", directory) < (int)sizeof disk->shadow &&
           disk_sync(disk);
}

static bool arm(struct disk *disk, char **words) {
    int way = 0;

    while (way < DISK_CRASHES && strcmp(ways[way], words[1]) != 0)
        way++;
    disk->crash_at = 0;
    disk->crash = way;
    disk->call[0] = '\0';
    disk->frame_count = 0;
    disk->all_end = strcmp(words[3], "all") == 0;
    (void)snprintf(disk->role, sizeof disk->role, "%s", strcmp(words[0], "-") != 0 ? words[0] : "");
    atomic_store(&disk->calls, 0);
    disk->seed = (unsigned)strtoul(words[2], NULL, 10);
    disk->crash_at = strtol(words[2], NULL, 10);
    return way < DISK_CRASHES;
}

static bool tell(const struct disk *disk) {
    (void)printf("%ld %s", atomic_load(&disk->calls), disk->call[0] != '\0' ? disk->call : "-");
    for (int i = 0; i < disk->frame_count; i++)
        (void)printf(" %tx", (char *)disk->frames[i] - (char *)disk->base);
    return printf("\n") > 0;
}

int main(int argc, char **argv) {
    bool makes = argc == 4 && strcmp(argv[2], "new") == 0, good = false;
    struct disk *disk = argc > 2 ? map_disk(argv[1], makes) : NULL;

    if (disk == NULL)
        return 64;
    if (makes)
        good = begin(disk, argv[3]);
    else if (strcmp(argv[2], "sync") == 0)
        good = disk_sync(disk);
    else if (strcmp(argv[2], "arm") == 0 && argc == 7)
        good = arm(disk, argv + 3);
    else if (strcmp(argv[2], "tell") == 0)
        good = tell(disk);
    else if (strcmp(argv[2], "forget") == 0)
        good = disk_forget(disk);
    return good ? 0 : 1;
}
