/* SPDX-License-Identifier: MIT
 * The one storage a process receives answers into, and channel_ask. Called by processes that ask and wait (receivers,
 * agents, the operator's program), under their own privileges. The storage costs no memory before the first answer,
 * and after a large one only until the next question. Failure to map it is running out of memory. */
#include "ipc/scratch.h"
#include "base/log.h"
#include "ipc/channel_private.h"
#include "ipc/messages.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEPT_MAXIMUM (8u * 1024) /* bytes that may stay touched while the process is idle */

static char *storage;
static size_t touched;
static uint32_t last_serial;

/* Unmapped and mapped again rather than madvise(2)d: these two calls malloc needs too, so every sandbox has them. */
static char *take_storage(void) {
    if (storage != NULL && touched > KEPT_MAXIMUM) {
        (void)munmap(storage, CHANNEL_MESSAGE_MAXIMUM);
        storage = NULL;
    }
    if (storage == NULL) {
        void *mapped = mmap(NULL, CHANNEL_MESSAGE_MAXIMUM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED)
            die_out_of_memory();
        storage = mapped;
        touched = 0;
    }
    return storage;
}

enum channel_result scratch_receive(int fd, int64_t deadline, void *values, struct channel_message *message) {
    size_t length;
    enum channel_result result = channel_receive_counted(fd, deadline, take_storage(), values, message, &length);

    if (length > touched)
        touched = length;
    return result;
}

uint32_t scratch_serial(void) {
    return ++last_serial;
}

/* Serials may wrap: compared as RFC 1982 does. */
bool scratch_serial_is_older(uint32_t serial, uint32_t than) {
    return serial != than && than - serial < UINT32_C(1) << 31;
}

static void close_passed(struct channel_message *message) {
    if (message->fd >= 0)
        (void)close(message->fd);
    message->fd = -1;
}

/* The answer to this serial. Answers to questions that were given up (their time limit passed) are dropped. */
static enum channel_result receive_answer(int fd, uint32_t serial, int64_t deadline, union channel_values *values,
                                          struct channel_message *message) {
    for (;;) {
        enum channel_result result = scratch_receive(fd, deadline, values, message);
        if (result != CHANNEL_OK || !scratch_serial_is_older(message->serial, serial))
            return result;
        close_passed(message);
    }
}

enum channel_result scratch_answer(int fd, uint32_t serial, uint32_t answer_kind, void *answer, int *answer_fd,
                                   int64_t deadline) {
    union channel_values received;
    struct channel_message message;
    enum channel_result result = receive_answer(fd, serial, deadline, &received, &message);

    if (result != CHANNEL_OK)
        return result;
    if (message.kind != answer_kind || message.serial != serial) {
        close_passed(&message);
        return CHANNEL_BAD;
    }
    memcpy(answer, &received, channel_types[answer_kind].size);
    if (answer_fd != NULL)
        *answer_fd = message.fd;
    else
        close_passed(&message);
    return CHANNEL_OK;
}

enum channel_result channel_ask(int fd, uint32_t kind, const void *values, int pass_fd, uint32_t answer_kind,
                                void *answer, int *answer_fd, int64_t deadline) {
    uint32_t serial = scratch_serial();

    if (answer_fd != NULL)
        *answer_fd = -1;
    enum channel_result result = scratch_send(fd, kind, serial, values, pass_fd, deadline);
    return result == CHANNEL_OK ? scratch_answer(fd, serial, answer_kind, answer, answer_fd, deadline) : result;
}
