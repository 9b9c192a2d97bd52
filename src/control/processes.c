/* SPDX-License-Identifier: MIT
 * Reading /proc for `parcelpost top`, see processes.h. Processes that end meanwhile are left out. */
#include "control/processes.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/network.h"
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PROC_FILE_MAXIMUM 4096
#define TABLE_MAXIMUM (64u << 20) /* of /proc/net/tcp */
#define ESTABLISHED "01"

struct seen {
    pid_t pid, parent;
    uid_t uid;
    char name[PROCESS_NAME_SIZE];
    int64_t ticks, started, pages;
    bool ours;
};

/* All of a small file; false when it cannot be read. */
static bool read_file(const char *path, struct buffer *text) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && file_read_into(fd, text);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* proc(5): "PID (NAME) STATE PARENT …": the name may hold anything. */
static bool parse_stat(struct text line, struct seen *seen) {
    const char *open = memchr(line.data, '(', line.length), *close = memrchr(line.data, ')', line.length);
    struct text rest, word;
    if (open == NULL || close == NULL || close < open) {
        return false;
    }
    (void)text_copy(seen->name, sizeof(seen->name), (struct text){open + 1, (size_t)(close - open - 1)});
    rest = text_trim(text_from(line, (size_t)(close + 1 - line.data)));
    for (unsigned field = 3; text_split(&rest, ' ', &word); field++) {
        uint64_t number = 0;
        (void)text_number(word, INT64_MAX, &number);
        switch (field) {
        case 4:
            seen->parent = (pid_t)number;
            break;
        case 14:
        case 15:
            seen->ticks += (int64_t)number;
            break;
        case 22:
            seen->started = (int64_t)number;
            break;
        case 24:
            seen->pages = (int64_t)number;
            return true;
        default:
            break;
        }
    }
    return false;
}

static bool read_process(const char *name, struct seen *seen) {
    char path[300];
    struct stat status;
    struct buffer text;
    uint64_t pid;
    *seen = (struct seen){0};
    snprintf(path, sizeof(path), "/proc/%s/stat", name);
    if (!text_number(text_of(name), INT32_MAX, &pid) || stat(path, &status) != 0) {
        return false;
    }
    buffer_init(&text, PROC_FILE_MAXIMUM);
    bool good = read_file(path, &text) && parse_stat(buffer_text(&text), seen);
    buffer_free(&text);
    seen->pid = (pid_t)pid;
    seen->uid = status.st_uid;
    return good;
}

static struct seen *read_all(size_t *count) {
    DIR *directory = opendir("/proc");
    struct seen *all = NULL;
    size_t room = 0;
    *count = 0;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (*count == room) {
            room = room == 0 ? 256 : room * 2;
            all = memory_resize(all, room, sizeof(*all));
        }
        *count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_process(entry->d_name, &all[*count]);
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return all;
}

/* The server and its descendants, generation by generation. */
static void mark_ours(struct seen *all, size_t count, pid_t server) {
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            bool ours = all[i].pid == server;
            for (size_t j = 0; j < count && !ours; j++) {
                ours = all[j].ours && all[j].pid == all[i].parent;
            }
            more = more || (ours && !all[i].ours);
            all[i].ours = all[i].ours || ours;
        }
    }
}

static struct process_group *group_of(struct processes *processes, const struct seen *one) {
    const struct passwd *user = getpwuid(one->uid);
    struct process_group fresh = {0};
    (void)text_copy(fresh.name, sizeof(fresh.name), text_of(one->name));
    if (user != NULL) {
        (void)text_copy(fresh.user, sizeof(fresh.user), text_of(user->pw_name));
    } else {
        snprintf(fresh.user, sizeof(fresh.user), "%u", (unsigned)one->uid);
    }
    for (size_t i = 0; i < processes->group_count; i++) {
        if (strcmp(processes->groups[i].name, fresh.name) == 0 && strcmp(processes->groups[i].user, fresh.user) == 0) {
            return &processes->groups[i];
        }
    }
    processes->groups = memory_resize(processes->groups, processes->group_count + 1, sizeof(*processes->groups));
    processes->groups[processes->group_count] = fresh;
    return &processes->groups[processes->group_count++];
}

static pid_t read_pid(const char *path) {
    struct buffer text;
    uint64_t pid = 0;
    buffer_init(&text, 64);
    struct text line = TEXT_NONE, rest;
    if (read_file(path, &text)) {
        rest = buffer_text(&text);
        (void)text_split(&rest, '\n', &line);
        (void)text_number(text_trim(line), INT32_MAX, &pid);
    }
    buffer_free(&text);
    return (pid_t)pid;
}

static int64_t machine_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? (int64_t)now.tv_sec : 0;
}

void processes_read(const struct config *config, struct processes *processes) {
    size_t count;
    struct seen *all = read_all(&count);
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    pid_t server = read_pid(config->pid_path);
    *processes = (struct processes){0};
    mark_ours(all, count, server);
    for (size_t i = 0; i < count && server > 0; i++) {
        if (!all[i].ours) {
            continue;
        }
        struct process_group *group = group_of(processes, &all[i]);
        group->count++;
        group->kib += all[i].pages * (page / 1024);
        group->seconds += (double)all[i].ticks / (double)ticks;
        processes->count++;
        if (all[i].pid == server) {
            processes->server = server;
            processes->up_seconds = machine_seconds() - all[i].started / ticks;
        }
    }
    free(all);
}

void processes_free(struct processes *processes) {
    free(processes->groups);
    *processes = (struct processes){0};
}

/* ---- sessions ---- */

static bool is_our_port(const struct config *config, unsigned port) {
    for (size_t i = 0; i < config->listen_count; i++) {
        for (size_t j = 0; j < config->listens[i].parsed_count; j++) {
            sa_family_t family = config->listens[i].parsed[j].storage.ss_family;
            if (family != AF_UNIX && network_port(&config->listens[i].parsed[j]) == port) {
                return true;
            }
        }
    }
    return false;
}

/* "  0: 0100007F:0019 0100007F:D2A4 01 …" */
static bool is_session(const struct config *config, struct text line) {
    struct text rest = text_trim(line), word, local = TEXT_NONE, state = TEXT_NONE;
    for (unsigned field = 0; field < 4 && text_split(&rest, ' ', &word); field++) {
        local = field == 1 ? word : local;
        state = field == 3 ? word : state;
    }
    char port[8];
    struct text digits = text_from(local, text_find(local, ':') + 1);
    return text_equal(state, TEXT(ESTABLISHED)) && text_copy(port, sizeof(port), digits) &&
           is_our_port(config, (unsigned)strtoul(port, NULL, 16));
}

unsigned processes_sessions(const struct config *config) {
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    unsigned sessions = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct buffer text;
        buffer_init(&text, TABLE_MAXIMUM);
        (void)read_file(tables[i], &text);
        struct text rest = buffer_text(&text), line;
        while (text_split(&rest, '\n', &line)) {
            sessions += is_session(config, line);
        }
        buffer_free(&text);
    }
    return sessions;
}
