/* SPDX-License-Identifier: MIT
 * Private to ipc/: receiving into the storage that every process has once, and serials. The storage is mapped on first
 * use and given back before the next one when a large message has touched it: a thousand idle receivers each hold one.
 */
#ifndef IPC_SCRATCH_H
#define IPC_SCRATCH_H
#include "ipc/channel.h"
/* As channel_receive. What text fields point to lasts until the next call, in this process, of this or channel_ask. */
enum channel_result scratch_receive(int fd, int64_t deadline, void *values, struct channel_message *message);
/* A new serial; they grow, so that an older one is known to be of a question given up. */
uint32_t scratch_serial(void);
/* True when serial was given out before the other one. */
bool scratch_serial_is_older(uint32_t serial, uint32_t than);
/* As channel_send, but waits for room until the deadline and no longer. */
enum channel_result scratch_send(int fd, uint32_t kind, uint32_t serial, const void *values, int pass_fd,
                                 int64_t deadline);
/* The second half of channel_ask: waits for the answer to what was sent with this serial. */
enum channel_result scratch_answer(int fd, uint32_t serial, uint32_t answer_kind, void *answer, int *answer_fd,
                                   int64_t deadline);
#endif
