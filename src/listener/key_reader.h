/* SPDX-License-Identifier: MIT
 * A short-lived process that reads the private keys of certificates, for the listener, which never does. */
#ifndef LISTENER_KEY_READER_H
#define LISTENER_KEY_READER_H
#include "base/buffer.h"
#include "base/exit_status.h"
#include "config/config.h"
#include "tls/tls.h"
/* Reads keys and certificates as configured, holds them against each other, and shakes hands with each, signed by that
 * process, which has ended on return. *tls: what receivers need; *keys: a sealed memory file for signers, never mapped
 * here; close-on-exec, the caller's. EXIT_STATUS_OK, or what to end with and a sentence in error. */
enum exit_status key_reader_run(const struct config *config, struct tls_server **tls, int *keys, struct buffer *error);
#endif
