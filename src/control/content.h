/* SPDX-License-Identifier: MIT
 * A message as the spool has it, for `parcelpost queue show`: asked of the ledger, which knows where mail in motion
 * lies; read from the spool itself, under its lock, while no server runs. */
#ifndef CONTROL_CONTENT_H
#define CONTROL_CONTENT_H
#include "control/control.h"
enum content_part { CONTENT_HEADERS, CONTENT_ALL };
/* Prints the message as it is delivered, our headers in front, or its header section alone. To a terminal bytes outside
 * printable ASCII go as \xNN, to anything else as they are. The exit status; EXIT_STATUS_NO_USER when it has left the
 * spool, or was never there. */
int content_show(struct control *control, const char *mail_id, enum content_part part);
#endif
