/* SPDX-License-Identifier: MIT
 * One signature's result in the words of RFC 8601. Private to this folder. */
#ifndef DKIM_RESULT_H
#define DKIM_RESULT_H
#include "dkim/library.h"
/* Appends "dkim=RESULT (why) header.d=… header.i=… header.s=… header.b=…", after "; " when it is not the first. All or
 * nothing: false past the buffer's maximum. */
bool result_append(DKIM *dkim, DKIM_SIGINFO *signature, bool further, struct buffer *results);
#endif
