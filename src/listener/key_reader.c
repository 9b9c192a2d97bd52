/* SPDX-License-Identifier: MIT
 * The key reader, at the start and at SIGHUP: a process that reads the private keys as root, writes them into a sealed
 * memory file, signs the rehearsal's handshakes as the signer will sign those of clients, and ends. What it had in
 * memory goes with it; what the listener has in memory is in every receiver's, and never was a key. Signers, also those
 * that replace one that died, have the keys that were checked with the certificates in use, whatever the files say by
 * then. */
#include "listener/key_reader.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/privilege.h"
#include "config/certificates.h"
#include "ipc/ask.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_LIMIT 30000   /* milliseconds; a file may lie on a slow disk */
#define ERROR_MAXIMUM 2048 /* bytes */

/* ---- the reader's side ---- */

static int store(const struct tls_keys *keys) {
    int fd = file_memory("keys");
    if (tls_keys_store(keys, fd) && file_seal(fd)) {
        return fd;
    }
    close(fd);
    return -1;
}

/* Until the listener has what it wants. */
static void sign_for_rehearsal(const struct tls_keys *keys, int channel) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct channel_message message;
    int64_t deadline = clock_deadline(READ_LIMIT);
    while (channel_receive(channel, deadline, storage, &values, &message) == CHANNEL_OK && message.kind == TLS_SIGN) {
        struct buffer signature;
        buffer_init(&signature, TLS_SIGNATURE_MAXIMUM);
        (void)tls_keys_sign(keys, values.tls_sign.key, values.tls_sign.scheme, values.tls_sign.content, &signature);
        const struct tls_signature answer = {.signature = buffer_text(&signature)};
        (void)channel_send(channel, TLS_SIGNATURE, message.serial, &answer, -1);
        buffer_free(&signature);
    }
}

static _Noreturn void run_reader(const struct config *config, int channel) {
    const int keep[] = {channel, log_descriptor()};
    struct buffer self_signed, error;
    privilege_close_other_descriptors(keep, sizeof(keep) / sizeof(keep[0]));
    log_set_program("key reader");
    buffer_init(&self_signed, SIGNED_MAXIMUM);
    buffer_init(&error, ERROR_MAXIMUM);
    struct tls_keys *keys = config_tls_keys(config, &self_signed, &error);
    int fd = keys != NULL ? store(keys) : -1;
    if (keys != NULL && fd < 0) {
        buffer_format(&error, "the keys of certificates cannot be stored: %s", strerror(errno));
    }
    const struct tls_keys_answer answer = {.self_signed = buffer_text(&self_signed), .error = buffer_text(&error)};
    (void)channel_send(channel, TLS_KEYS_ANSWER, 0, &answer, fd);
    if (fd >= 0) {
        sign_for_rehearsal(keys, channel);
    }
    tls_keys_free(keys);
    _exit(EXIT_STATUS_OK);
}

/* ---- the listener's side ---- */

/* False with a sentence. */
static bool receive_keys(int channel, int *keys, struct buffer *self_signed, struct buffer *error) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct channel_message message;
    enum channel_result result = channel_receive(channel, clock_deadline(READ_LIMIT), storage, &values, &message);
    const struct tls_keys_answer *answer = &values.tls_keys_answer;
    if (result != CHANNEL_OK || message.kind != TLS_KEYS_ANSWER) {
        buffer_format(error, "the keys of certificates cannot be read: their reader %s",
                      result == CHANNEL_TIMEOUT ? "is too slow" : "ended");
        return false;
    }
    *keys = message.fd;
    buffer_append_text(error, answer->error);
    return message.fd >= 0 && buffer_append_text(self_signed, answer->self_signed);
}

static bool rehearse(const struct config *config, int channel, struct tls_server **tls, int *keys,
                     struct buffer *error) {
    struct buffer self_signed;
    buffer_init(&self_signed, SIGNED_MAXIMUM);
    bool good = receive_keys(channel, keys, &self_signed, error);
    if (good) {
        tls_set_signer(ask_tls_signature, channel);
        *tls = config_tls_server(config, buffer_text(&self_signed), error);
        tls_set_signer(NULL, -1);
    }
    buffer_free(&self_signed);
    return good && *tls != NULL;
}

enum exit_status key_reader_run(const struct config *config, struct tls_server **tls, int *keys, struct buffer *error) {
    int ends[2];
    *tls = NULL;
    *keys = -1;
    if (!channel_pair(ends)) {
        buffer_format(error, "no channel: %s", strerror(errno));
        return EXIT_STATUS_SYSTEM;
    }
    pid_t pid = fork();
    if (pid == 0) {
        run_reader(config, ends[1]);
    }
    close(ends[1]);
    bool good = pid > 0 && rehearse(config, ends[0], tls, keys, error);
    close(ends[0]);
    if (pid > 0) {
        (void)kill(pid, SIGKILL); /* it has nothing to lose */
        (void)waitpid(pid, NULL, 0);
    } else {
        buffer_format(error, "the keys of certificates cannot be read: %s", strerror(errno));
    }
    if (!good && *keys >= 0) {
        close(*keys);
        *keys = -1;
    }
    return good ? EXIT_STATUS_OK : EXIT_STATUS_CONFIG;
}
