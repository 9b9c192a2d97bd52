/* SPDX-License-Identifier: MIT
 * Private to ipc/: channel_receive that also tells how many bytes of the storage the message took. */
#ifndef IPC_CHANNEL_PRIVATE_H
#define IPC_CHANNEL_PRIVATE_H
#include "ipc/channel.h"
enum channel_result channel_receive_counted(int fd, int64_t deadline, char *storage, void *values,
                                            struct channel_message *message, size_t *length);
#endif
