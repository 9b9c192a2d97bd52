/* SPDX-License-Identifier: MIT
 * Packing, sending, receiving and unpacking of messages, all by the field tables of messages.c. Used by every process
 * under its own privileges. On the wire, little-endian: kind, serial (4 bytes each), then each field in the table's
 * order: 4 or 8 bytes for a number, 4 bytes of length and the bytes for a text. Unpacking is strict: bounds hold, and
 * the last field ends with the last byte. Everything that is wrong comes back as CHANNEL_BAD or CHANNEL_GONE. */
#include "ipc/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/channel_private.h"
#include "ipc/messages.h"
#include "ipc/scratch.h"
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_LENGTH 8
#define FIELDS_MAXIMUM 24
#define FIXED_MAXIMUM (HEAD_LENGTH + FIELDS_MAXIMUM * 8)
#define PASSED_MAXIMUM 4 /* descriptors we make room for; more than one is an error, the kernel drops the rest */
#define SEND_BUFFER (256 * 1024)

bool channel_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    /* A wish: the default of 212992 bytes holds one message of the largest size as well. */
    int size = SEND_BUFFER;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return true;
}

static const struct channel_type *type_of(uint32_t kind) {
    return kind < MESSAGE_KINDS && channel_types[kind].name != NULL ? &channel_types[kind] : NULL;
}

/* ---- packing ---- */

struct packer {
    unsigned char fixed[FIXED_MAXIMUM];
    size_t fixed_used;
    struct iovec parts[2 * FIELDS_MAXIMUM + 1];
    size_t part_count;
    size_t total;
};

/* Texts are sent from where they lie; the bytes between them lie in fixed[]. */
static void pack_fixed(struct packer *packer, const void *bytes, size_t length) {
    unsigned char *place = packer->fixed + packer->fixed_used;
    struct iovec *last = packer->part_count > 0 ? &packer->parts[packer->part_count - 1] : NULL;

    memcpy(place, bytes, length);
    packer->fixed_used += length;
    packer->total += length;
    if (last != NULL && (unsigned char *)last->iov_base + last->iov_len == place)
        last->iov_len += length;
    else
        packer->parts[packer->part_count++] = (struct iovec){place, length};
}

static void pack_u32(struct packer *packer, uint32_t value) {
    uint32_t wire = htole32(value);
    pack_fixed(packer, &wire, sizeof wire);
}

static bool number_fits(const struct channel_field *field, int64_t value) {
    return field->maximum == 0 || (value >= 0 && value <= (int64_t)field->maximum);
}

static bool pack_text(struct packer *packer, const struct channel_field *field, const struct text *text) {
    if (text->length > field->maximum)
        return false;
    pack_u32(packer, (uint32_t)text->length);
    if (text->length > 0) {
        packer->parts[packer->part_count++] = (struct iovec){(void *)(uintptr_t)text->data, text->length};
        packer->total += text->length;
    }
    return true;
}

static bool pack_field(struct packer *packer, const struct channel_field *field, const unsigned char *values) {
    struct text text;
    uint32_t small;
    int64_t large;
    uint64_t wire;

    switch (field->type) {
    case FIELD_U32:
        memcpy(&small, values + field->offset, sizeof small);
        pack_u32(packer, small);
        return number_fits(field, small);
    case FIELD_I64:
        memcpy(&large, values + field->offset, sizeof large);
        wire = htole64((uint64_t)large);
        pack_fixed(packer, &wire, sizeof wire);
        return number_fits(field, large);
    case FIELD_TEXT:
        memcpy(&text, values + field->offset, sizeof text);
        return pack_text(packer, field, &text);
    }
    return false;
}

static bool pack(struct packer *packer, uint32_t kind, uint32_t serial, const void *values) {
    const struct channel_type *type = type_of(kind);

    packer->fixed_used = packer->part_count = packer->total = 0;
    if (type == NULL || type->field_count > FIELDS_MAXIMUM)
        return false;
    pack_u32(packer, kind);
    pack_u32(packer, serial);
    for (size_t i = 0; i < type->field_count; i++)
        if (!pack_field(packer, &type->fields[i], values))
            return false;
    return packer->total <= CHANNEL_MESSAGE_MAXIMUM;
}

/* ---- sending ---- */

union passed { /* aligned as cmsg(3) wants it */
    struct cmsghdr head;
    char bytes[CMSG_SPACE(PASSED_MAXIMUM * sizeof(int))];
};

static void attach_descriptor(struct msghdr *message, union passed *control, int fd) {
    memset(control, 0, sizeof *control);
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof fd);
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
}

static enum channel_result send_packed(int fd, struct packer *packer, int pass_fd, int flags) {
    struct msghdr message = {.msg_iov = packer->parts, .msg_iovlen = packer->part_count};
    union passed control;
    ssize_t sent;

    if (pass_fd >= 0)
        attach_descriptor(&message, &control, pass_fd);
    do
        sent = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return CHANNEL_OK; /* a packet goes whole or not at all */
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS: /* too many descriptors under way: the other side has to read first */
        return CHANNEL_AGAIN;
    case EMSGSIZE:
    case EBADF: /* the descriptor to pass */
        return CHANNEL_BAD;
    default:
        return CHANNEL_GONE;
    }
}

enum channel_result channel_send(int fd, uint32_t kind, uint32_t serial, const void *values, int pass_fd) {
    struct packer packer;

    if (!pack(&packer, kind, serial, values))
        return CHANNEL_BAD;
    return send_packed(fd, &packer, pass_fd, 0);
}

/* Waits for events; false when the deadline passed. */
static bool wait_for(int fd, short events, int64_t deadline) {
    struct pollfd wanted = {.fd = fd, .events = events};
    int ready;

    do
        ready = poll(&wanted, 1, clock_remaining(deadline));
    while (ready < 0 && errno == EINTR);
    return ready != 0; /* an error shows in the call that follows */
}

enum channel_result scratch_send(int fd, uint32_t kind, uint32_t serial, const void *values, int pass_fd,
                                 int64_t deadline) {
    struct packer packer;

    if (!pack(&packer, kind, serial, values))
        return CHANNEL_BAD;
    for (;;) {
        enum channel_result result = send_packed(fd, &packer, pass_fd, MSG_DONTWAIT);
        if (result != CHANNEL_AGAIN)
            return result;
        if (!wait_for(fd, POLLOUT, deadline))
            return CHANNEL_TIMEOUT;
    }
}

/* ---- unpacking ---- */

struct unpacker {
    const char *bytes;
    size_t left;
};

static bool unpack_bytes(struct unpacker *unpacker, void *destination, size_t length) {
    if (unpacker->left < length)
        return false;
    memcpy(destination, unpacker->bytes, length);
    unpacker->bytes += length;
    unpacker->left -= length;
    return true;
}

static bool unpack_u32(struct unpacker *unpacker, uint32_t *value) {
    uint32_t wire;

    if (!unpack_bytes(unpacker, &wire, sizeof wire))
        return false;
    *value = le32toh(wire);
    return true;
}

static bool unpack_text(struct unpacker *unpacker, const struct channel_field *field, struct text *text) {
    uint32_t length;

    if (!unpack_u32(unpacker, &length) || length > field->maximum || length > unpacker->left)
        return false;
    *text = (struct text){unpacker->bytes, length};
    unpacker->bytes += length;
    unpacker->left -= length;
    return true;
}

static bool unpack_field(struct unpacker *unpacker, const struct channel_field *field, unsigned char *values) {
    struct text text;
    uint32_t small;
    uint64_t wire;
    int64_t large;

    switch (field->type) {
    case FIELD_U32:
        if (!unpack_u32(unpacker, &small) || !number_fits(field, small))
            return false;
        memcpy(values + field->offset, &small, sizeof small);
        return true;
    case FIELD_I64:
        if (!unpack_bytes(unpacker, &wire, sizeof wire))
            return false;
        large = (int64_t)le64toh(wire);
        memcpy(values + field->offset, &large, sizeof large);
        return number_fits(field, large);
    case FIELD_TEXT:
        if (!unpack_text(unpacker, field, &text))
            return false;
        memcpy(values + field->offset, &text, sizeof text);
        return true;
    }
    return false;
}

static bool unpack(const char *storage, size_t length, void *values, struct channel_message *message) {
    struct unpacker unpacker = {storage, length};

    if (!unpack_u32(&unpacker, &message->kind) || !unpack_u32(&unpacker, &message->serial))
        return false;
    const struct channel_type *type = type_of(message->kind);
    if (type == NULL)
        return false;
    memset(values, 0, type->size);
    for (size_t i = 0; i < type->field_count; i++)
        if (!unpack_field(&unpacker, &type->fields[i], values))
            return false;
    message->values = values;
    return unpacker.left == 0;
}

/* ---- receiving ---- */

/* Takes the first passed descriptor, closes all others; false when there were others. */
static bool take_descriptors(struct msghdr *received, int *fd) {
    bool one = true;

    *fd = -1;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(received); head != NULL; head = CMSG_NXTHDR(received, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int passed;
            memcpy(&passed, CMSG_DATA(head) + i * sizeof passed, sizeof passed);
            if (*fd == -1) {
                *fd = passed;
                continue;
            }
            (void)close(passed);
            one = false;
        }
    }
    return one;
}

/* Nothing taken although something was sent: this process has no room for descriptors. The message counts, as one
 * without: what it is about is refused, and the service goes on. Otherwise there were more than anybody may send. */
static bool lost_some(const struct msghdr *received, int fd) {
    if ((received->msg_flags & MSG_CTRUNC) == 0)
        return false;
    if (fd < 0)
        log_error("a descriptor sent to this process is lost: it has too many open");
    return fd >= 0;
}

static enum channel_result receive_now(int fd, char *storage, void *values, struct channel_message *message,
                                       size_t *length) {
    struct iovec part = {storage, CHANNEL_MESSAGE_MAXIMUM};
    union passed control;
    struct msghdr received = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;

    *message = (struct channel_message){.fd = -1};
    *length = 0;
    do
        got = recvmsg(fd, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET)); /* said once, of who left something unread */
    if (got < 0)
        return errno == EAGAIN ? CHANNEL_AGAIN : CHANNEL_GONE;
    bool one = take_descriptors(&received, &message->fd) && !lost_some(&received, message->fd);
    *length = (size_t)got;
    if (got > 0 && one && (received.msg_flags & MSG_TRUNC) == 0 && unpack(storage, (size_t)got, values, message))
        return CHANNEL_OK;
    if (message->fd >= 0)
        (void)close(message->fd);
    message->fd = -1;
    return got == 0 ? CHANNEL_GONE : CHANNEL_BAD;
}

static enum channel_result receive_until(int fd, int64_t deadline, char *storage, void *values,
                                         struct channel_message *message, size_t *length) {
    *message = (struct channel_message){.fd = -1};
    *length = 0;
    for (;;) {
        if (deadline != 0 && fd >= 0 &&
            !wait_for(fd, POLLIN, deadline)) /* who waits has just asked: there is nothing yet */
            return CHANNEL_TIMEOUT;
        enum channel_result result = receive_now(fd, storage, values, message, length);
        if (result != CHANNEL_AGAIN || deadline == 0)
            return result;
    }
}

enum channel_result channel_receive(int fd, int64_t deadline, char *storage, void *values,
                                    struct channel_message *message) {
    size_t length;

    return receive_until(fd, deadline, storage, values, message, &length);
}

enum channel_result channel_receive_counted(int fd, int64_t deadline, char *storage, void *values,
                                            struct channel_message *message, size_t *length) {
    return receive_until(fd, deadline, storage, values, message, length);
}
