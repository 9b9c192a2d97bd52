/* SPDX-License-Identifier: MIT
 * The signer process: holds the keys of DKIM and of certificates, signs what receivers hand it. */
#ifndef SIGNER_SIGNER_H
#define SIGNER_SIGNER_H
#include "ipc/process.h"
/* A process_main: reads keys, gives up every privilege, serves SIGN_MAIL and TLS_SIGN until the last asker is
 * gone; never returns. */
_Noreturn void signer_main(const struct process_start *start);
#endif
