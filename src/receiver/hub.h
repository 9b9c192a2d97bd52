/* SPDX-License-Identifier: MIT
 * The receiver's end of its channel to the listener. */
#ifndef RECEIVER_HUB_H
#define RECEIVER_HUB_H
#include "ipc/messages.h"
/* Waits for the next client. False when the listener is gone or wants this process to end. *fd is the caller's; the
 * addresses in *client are borrowed until the next call. */
bool hub_next_client(int hub, struct hub_client *client, int *fd);
/* Gives back what the work until now took: who waits may wait for minutes. */
void hub_rest(void);
/* The hub became readable during a session: takes a reopened log. False when the listener is gone. */
bool hub_goes_on(int hub);
#endif
