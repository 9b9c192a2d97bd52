/* SPDX-License-Identifier: MIT
 * A TLS connection: OpenSSL reads and writes the descriptor through a BIO of our own (never SIGPIPE), the stream reads
 * and writes through OpenSSL. Called by receivers and agents, confined, on untrusted peers; needs no file once its
 * context exists. A failed handshake or a broken record comes back by value. */
#include "tls/session.h"
#include "base/clock.h"
#include "base/memory.h"
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct tls_session {
    SSL *ssl;
    int fd;
    struct buffer early; /* of the handshake, read before it began */
    bool ended;          /* the peer has closed its side */
    bool failed;         /* after a fatal error nothing may be sent, not even close_notify */
};

static BIO_METHOD *bio_method; /* one a process and its children */

/* ---- between OpenSSL and the descriptor ---- */

static int bio_result(BIO *bio, ssize_t moved, int retry_flag) {
    BIO_clear_retry_flags(bio);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    return (int)moved;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
    const struct tls_session *session = BIO_get_data(bio);

    return bio_result(bio, send(session->fd, bytes, (size_t)length, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int take_early(struct tls_session *session, char *bytes, int length) {
    size_t taken = session->early.length < (size_t)length ? session->early.length : (size_t)length;

    memcpy(bytes, session->early.data, taken);
    buffer_consume(&session->early, taken);
    if (session->early.length == 0)
        buffer_free(&session->early);
    return (int)taken;
}

static int bio_read(BIO *bio, char *bytes, int length) {
    struct tls_session *session = BIO_get_data(bio);

    if (session->early.length > 0)
        return take_early(session, bytes, length);
    ssize_t got = recv(session->fd, bytes, (size_t)length, 0);

    session->ended = got == 0;
    return bio_result(bio, got, BIO_FLAGS_READ);
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    const struct tls_session *session = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return session->ended;
    return command == BIO_CTRL_FLUSH;
}

static bool make_bio_method(void) {
    if (bio_method != NULL)
        return true;
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "parcelpost");
    return bio_method != NULL && BIO_meth_set_write(bio_method, bio_write) == 1 &&
           BIO_meth_set_read(bio_method, bio_read) == 1 && BIO_meth_set_ctrl(bio_method, bio_control) == 1;
}

bool session_prepare_context(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CLEANSE_PLAINTEXT |     /* a password must not outlast its login */
                                     SSL_OP_IGNORE_UNEXPECTED_EOF); /* SMTP has its own end: QUIT */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1); /* one read(2) a record instead of two */
    return make_bio_method() && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
}

/* ---- errors ---- */

const char *session_error(const char *otherwise) {
    unsigned long code = ERR_peek_last_error();
    const char *words = code != 0 ? ERR_reason_error_string(code) : NULL;

    return words != NULL ? words : otherwise;
}

/* What a call that returned result waits for: POLLIN, POLLOUT, or 0 when it has failed. */
static short wanted_by(struct tls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    case SSL_ERROR_ZERO_RETURN:
        session->ended = true;
        return 0;
    default:
        session->failed = true;
        return 0;
    }
}

/* ---- the stream's transport ---- */

static ssize_t transport_read(void *context, void *bytes, size_t length, short *wanted) {
    struct tls_session *session = context;
    size_t got;

    ERR_clear_error();
    int result = SSL_read_ex(session->ssl, bytes, length, &got);
    if (result == 1)
        return (ssize_t)got;
    *wanted = wanted_by(session, result);
    return *wanted == 0 && !session->failed ? 0 : -1;
}

static ssize_t transport_write(void *context, const void *bytes, size_t length, short *wanted) {
    struct tls_session *session = context;
    size_t sent;

    ERR_clear_error();
    int result = SSL_write_ex(session->ssl, bytes, length, &sent);
    if (result == 1)
        return (ssize_t)sent;
    *wanted = wanted_by(session, result);
    return -1;
}

static void transport_close(void *context) {
    struct tls_session *session = context;

    ERR_clear_error();
    if (!session->failed && SSL_is_init_finished(session->ssl))
        (void)SSL_shutdown(session->ssl); /* says close_notify, does not wait for the answer */
    SSL_free(session->ssl);
    buffer_free(&session->early);
    free(session);
    ERR_clear_error();
}

SSL *session_ssl(const struct stream *stream) {
    const struct tls_session *session = stream->transport.context;

    return stream->transport.close == transport_close ? session->ssl : NULL;
}

/* ---- handshake ---- */

static enum stream_result wait_for(int fd, short wanted, int64_t deadline) {
    struct pollfd polled = {.fd = fd, .events = wanted};

    for (;;) {
        int ready = poll(&polled, 1, clock_remaining(deadline));
        if (ready > 0)
            return STREAM_OK;
        if (ready < 0 && errno != EINTR)
            return STREAM_BROKEN;
        if (clock_remaining(deadline) == 0)
            return STREAM_TIMEOUT;
    }
}

static enum stream_result shake_hands(struct tls_session *session, int64_t deadline, char *reason, size_t size) {
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_do_handshake(session->ssl);
        if (result == 1)
            return STREAM_OK;
        int failure = errno;
        short wanted = wanted_by(session, result);
        if (wanted == 0) {
            const char *otherwise =
                session->ended || failure == 0 ? "the peer closed the connection" : strerror(failure);
            (void)text_copy(reason, size, text_of(session_error(otherwise)));
            return session->ended ? STREAM_CLOSED : STREAM_BROKEN;
        }
        enum stream_result waited = wait_for(session->fd, wanted, deadline);
        if (waited != STREAM_OK) {
            (void)text_copy(reason, size, text_of(waited == STREAM_TIMEOUT ? "the peer is too slow" : strerror(errno)));
            return waited;
        }
    }
}

static void take_facts(const SSL *ssl, struct tls_facts *facts) {
    (void)text_copy(facts->version, sizeof facts->version, text_of(SSL_get_version(ssl)));
    (void)text_copy(facts->cipher, sizeof facts->cipher, text_of(SSL_get_cipher_name(ssl)));
    facts->cipher_bits = (unsigned)SSL_get_cipher_bits(ssl, NULL);
}

static BIO *new_bio(struct tls_session *session) {
    BIO *bio = BIO_new(bio_method);

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}

enum stream_result session_start(struct stream *stream, SSL *ssl, int64_t deadline, struct tls_facts *facts,
                                 char *reason, size_t size) {
    struct tls_session *session = memory_new(1, sizeof *session);
    BIO *bio = new_bio(session);

    *session = (struct tls_session){.ssl = ssl, .fd = stream->fd};
    if (stream->input.length > 0) {
        session->early = buffer_take(&stream->input);
    }
    enum stream_result result = STREAM_BROKEN;
    (void)text_copy(reason, size, TEXT("out of memory"));
    if (bio != NULL) {
        SSL_set_bio(ssl, bio, bio);
        result = shake_hands(session, deadline, reason, size);
    }
    if (result != STREAM_OK) {
        session->failed = true;
        transport_close(session);
        return result;
    }
    (void)text_copy(reason, size, TEXT_NONE);
    take_facts(ssl, facts);
    stream->transport = (struct stream_transport){transport_read, transport_write, transport_close, session};
    return STREAM_OK;
}
