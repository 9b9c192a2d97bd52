/* SPDX-License-Identifier: MIT
 * The addresses of host names in listen blocks, asked of the system (hosts file, DNS) at the start and at SIGHUP. In a
 * process of its own, as the user of network processes: the listener parses no bytes of the network. A name without an
 * address stops the start. */
#include "listener/listen_name.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct answer {
    char problem[128]; /* "": none */
    size_t count;
    struct network_address addresses[CONFIG_LISTEN_ADDRESSES];
};

static void add(struct answer *answer, const struct addrinfo *found) {
    struct network_address address = {.length = found->ai_addrlen};
    memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->addresses[i].length == address.length &&
            memcmp(&answer->addresses[i].storage, &address.storage, address.length) == 0) {
            return;
        }
    }
    if (answer->count < CONFIG_LISTEN_ADDRESSES) {
        answer->addresses[answer->count++] = address;
    } else {
        text_copy(answer->problem, sizeof(answer->problem), TEXT("it has more addresses than a listen block may have"));
    }
}

static void ask(const struct config_listen *listen, struct answer *answer) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char name[256], service[8];
    const char *colon = strrchr(listen->address, ':');
    snprintf(name, sizeof(name), "%.*s", (int)(colon - listen->address), listen->address);
    snprintf(service, sizeof(service), "%u", network_port(&listen->parsed[0]));
    int result = getaddrinfo(name, service, &hints, &list);
    if (result != 0) {
        text_copy(answer->problem, sizeof(answer->problem), text_of(gai_strerror(result)));
        return;
    }
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
        add(answer, one);
    }
    freeaddrinfo(list);
}

static _Noreturn void run(const struct config_listen *listen, const struct privilege_user *user, int result) {
    struct answer answer;
    const int keep[] = {result, log_descriptor()};
    memset(&answer, 0, sizeof(answer));
    privilege_close_other_descriptors(keep, sizeof(keep) / sizeof(keep[0]));
    privilege_drop(user, NULL);
    ask(listen, &answer);
    _exit(file_write_all(result, &answer, sizeof(answer)) ? EXIT_STATUS_OK : EXIT_STATUS_SYSTEM);
}

static bool find(struct config_listen *listen, const struct privilege_user *user, struct buffer *error) {
    struct answer answer;
    struct buffer bytes;
    int ends[2], wait_status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        buffer_format(error, "no pipe: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        run(listen, user, ends[1]);
    }
    close(ends[1]);
    buffer_init(&bytes, sizeof(answer));
    bool ended = pid > 0 && file_read_into(ends[0], &bytes) && waitpid(pid, &wait_status, 0) == pid;
    close(ends[0]);
    bool good = ended && wait_status == 0 && bytes.length == sizeof(answer);
    if (good) {
        memcpy(&answer, bytes.data, sizeof(answer));
        good = answer.problem[0] == '\0' && answer.count > 0 && answer.count <= CONFIG_LISTEN_ADDRESSES;
        answer.problem[sizeof(answer.problem) - 1] = '\0';
        listen->parsed_count = good ? answer.count : 0;
        memcpy(listen->parsed, answer.addresses, listen->parsed_count * sizeof(answer.addresses[0]));
    }
    if (!good) {
        buffer_format(error, "listen \"%s\": no addresses of that name: %s", listen->address,
                      bytes.length == sizeof(answer) ? answer.problem : "they could not be asked for");
    }
    buffer_free(&bytes);
    return good;
}

enum exit_status listen_names_find(struct config *config, const struct system_users *users, struct buffer *error) {
    for (size_t i = 0; i < config->listen_count; i++) {
        if (config->listens[i].by_name && !find(&config->listens[i], &users->network, error)) {
            return EXIT_STATUS_UNAVAILABLE;
        }
    }
    return EXIT_STATUS_OK;
}
