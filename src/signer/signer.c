/* SPDX-License-Identifier: MIT
 * The signer: SIGN_MAIL in, complete DKIM-Signature fields out, one for each key of the domain; TLS_SIGN in, one
 * signature of a handshake out. Keys for the one are in no table of the other. Forked by the listener; reads its keys,
 * drops to parcelpost-key in an empty chroot, enters its sandbox, then serves. An unreadable key ends the start; what
 * cannot be signed is answered so and never ends the process. */
#include "signer/signer.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "config/confinement.h"
#include "ipc/service.h"
#include "mail/header.h"
#include "signer/keys.h"
#include "tls/keys.h"
#include <unistd.h>

#define HEADERS_MAXIMUM (1u << 20) /* a longer header section is not signed */
#define ERROR_MAXIMUM 1024u

struct signer {
    struct keys mail;
    struct tls_keys *handshake; /* NULL: there are no certificates */
};

enum signed_outcome { SIGNED_NOT = 0, SIGNED_OK = 1 }; /* struct sign_answer */

struct cargo { /* where the message of a request lies */
    int fd;    /* -1: bytes */
    struct text bytes;
    size_t message_length, headers_length;
};

/* The request's promises about lengths, checked against what came. */
static bool open_cargo(const struct sign_mail *request, int fd, struct cargo *cargo) {
    int64_t total, held = 0;
    if (request->message_length < 0 || request->headers_length < 0 ||
        __builtin_add_overflow(request->message_length, request->headers_length, &total)) {
        return false;
    }
    cargo->message_length = (size_t)request->message_length;
    cargo->headers_length = (size_t)request->headers_length;
    cargo->bytes = request->cargo;
    cargo->fd = request->place == CARGO_INLINE ? -1 : fd;
    if (request->place == CARGO_INLINE) {
        held = (int64_t)request->cargo.length;
    } else if (fd >= 0) {
        held = file_size(fd);
    }
    return total <= held;
}

static bool append_part(const struct cargo *cargo, size_t offset, size_t length, struct buffer *target) {
    if (cargo->fd < 0) {
        return buffer_append(target, cargo->bytes.data + offset, length);
    }
    char *place = buffer_reserve(target, length);
    if (place == NULL || !file_pread_all(cargo->fd, place, length, (off_t)offset)) {
        return false;
    }
    buffer_advance(target, length);
    return true;
}

/* headers: the added fields, then the message's own. The body begins after the empty line. False when the section is
 * too long or cannot be read. */
static bool split_message(const struct cargo *cargo, struct buffer *headers, struct dkim_source *source) {
    if (cargo->headers_length > HEADERS_MAXIMUM ||
        !append_part(cargo, cargo->message_length, cargo->headers_length, headers)) {
        return false;
    }
    size_t room = HEADERS_MAXIMUM - cargo->headers_length;
    size_t looked_at = cargo->message_length < room ? cargo->message_length : room;
    if (!append_part(cargo, 0, looked_at, headers)) {
        return false;
    }
    struct text begin = text_from(buffer_text(headers), cargo->headers_length);
    size_t section = header_section_length(begin);
    if (section == looked_at && looked_at < cargo->message_length) {
        return false;
    }
    size_t body = section + (text_starts_nocase(text_from(begin, section), TEXT("\r\n")) ? 2 : 0);
    source->fd = cargo->fd;
    source->offset = body;
    source->length = cargo->message_length - body;
    if (cargo->fd < 0) {
        source->body = (struct text){cargo->bytes.data + body, (size_t)source->length};
    }
    source->headers = text_first(buffer_text(headers), cargo->headers_length + section);
    return true;
}

static bool sign_with_all(const struct keys *keys, struct text domain, const struct dkim_source *source,
                          struct buffer *fields) {
    for (size_t i = 0; i < keys->count; i++) {
        if (text_equal_nocase(text_of(dkim_key_domain(keys->items[i])), domain) &&
            !dkim_sign_message(keys->items[i], source, fields)) {
            return false;
        }
    }
    return true;
}

/* What cannot be signed by its nature goes unsigned; only what may work later is an error. */
static enum signed_outcome sign(const struct keys *keys, const struct cargo *cargo, struct text domain,
                                struct buffer *fields) {
    struct buffer headers;
    struct dkim_source source = {.fd = -1, .body = TEXT_NONE};
    struct header_field from;
    enum signed_outcome outcome = SIGNED_OK;
    buffer_init(&headers, HEADERS_MAXIMUM);
    if (!split_message(cargo, &headers, &source)) {
        log_warn("a message for %.*s goes unsigned: its header section cannot be read or is too long",
                 TEXT_ARGS(domain));
    } else if (!header_find(source.headers, "From", &from)) {
        log_warn("a message for %.*s goes unsigned: it has no From field", TEXT_ARGS(domain));
    } else if (!sign_with_all(keys, domain, &source, fields)) {
        buffer_clear(fields);
        outcome = SIGNED_NOT;
    }
    buffer_free(&headers);
    return outcome;
}

static bool handle_sign(void *context, struct service_peer *peer, struct channel_message *message) {
    const struct keys *keys = &((const struct signer *)context)->mail;
    const struct sign_mail *request = &message->values->sign_mail;
    struct cargo cargo;
    struct buffer fields;
    enum signed_outcome outcome = SIGNED_OK;
    if (!open_cargo(request, message->fd, &cargo)) {
        log_warn("process %u asks to sign a message that it did not send: closed", peer->pid);
        return false;
    }
    buffer_init(&fields, CARGO_INLINE_MAXIMUM);
    struct text domain = keys_domain(keys, request->domain);
    if (domain.length > 0) {
        outcome = sign(keys, &cargo, domain, &fields);
    }
    const struct sign_answer answer = {.outcome = outcome, .headers = buffer_text(&fields)};
    service_answer(peer, SIGN_ANSWER, message->serial, &answer, -1);
    buffer_free(&fields);
    return true;
}

/* Who asks for anything but a handshake's signature was taken over. */
static bool handle_tls_sign(void *context, struct service_peer *peer, struct channel_message *message) {
    const struct signer *signer = context;
    const struct tls_sign *request = &message->values->tls_sign;
    struct buffer signature;
    enum tls_signed outcome = TLS_SIGN_REFUSED;
    buffer_init(&signature, TLS_SIGNATURE_MAXIMUM);
    if (signer->handshake != NULL) {
        outcome = tls_keys_sign(signer->handshake, request->key, request->scheme, request->content, &signature);
    }
    const struct tls_signature answer = {.signature = buffer_text(&signature)};
    if (outcome == TLS_SIGN_REFUSED) {
        log_warn("process %u asks for a signature that no TLS handshake needs: closed", peer->pid);
    } else {
        service_answer(peer, TLS_SIGNATURE, message->serial, &answer, -1);
    }
    if (outcome == TLS_SIGN_FAILED) {
        log_error("a TLS handshake cannot be signed with key %u and scheme %04x", request->key, request->scheme);
    }
    buffer_free(&signature);
    return outcome != TLS_SIGN_REFUSED;
}

static const struct service_row rows[] = {{SIGN_MAIL, handle_sign}, {TLS_SIGN, handle_tls_sign}};
static const struct service_definition definition = {
    .kind = SERVICE_SIGNER, .rows = rows, .row_count = sizeof rows / sizeof *rows};

/* The listener has them checked before it starts a signer (listener/key_reader.c). */
static struct tls_keys *load_handshake_keys(int fd, const struct config *config) {
    if (fd < 0) {
        return NULL;
    }
    struct tls_keys *keys = tls_keys_load(fd, (enum tls_preset)config->tls_preset);
    if (keys == NULL) {
        die_fatal(EXIT_STATUS_SYSTEM, "the keys of certificates cannot be read back");
    }
    close(fd);
    return keys;
}

_Noreturn void signer_main(const struct process_start *start) {
    struct signer signer;
    struct buffer error;
    log_set_program("signer");
    buffer_init(&error, ERROR_MAXIMUM);
    dkim_prepare();
    if (!keys_read(&signer.mail, start->config, &error)) {
        die_fatal(EXIT_STATUS_CONFIG, "%s", buffer_string(&error));
    }
    signer.handshake = load_handshake_keys(start->keys, start->config);
    struct service *service = service_new(&definition, start->hub, &signer);
    privilege_drop(&start->user, start->chroot);
    confinement_enter(CONFINED_SIGNER, start->config, NULL);
    log_info("%zu DKIM keys, %zu of certificates", signer.mail.count,
             signer.handshake != NULL ? tls_keys_count(signer.handshake) : 0);
    service_run(service);
}
