/* SPDX-License-Identifier: MIT
 * The spool while no server runs: opened here, under its lock and as its user. */
#ifndef CONTROL_CHANGE_OFFLINE_H
#define CONTROL_CHANGE_OFFLINE_H
#include "base/buffer.h"
#include "config/config.h"
#include "spool/spool.h"
struct change_offline;
/* NULL after saying why, with *status: EXIT_STATUS_TEMPFAIL when somebody holds the lock. From here on the process runs
 * as the spool's user. */
struct change_offline *change_offline_open(const struct config *config, int *status);
struct spool *change_offline_spool(struct change_offline *offline);
/* As change_step. */
int change_offline_step(struct change_offline *offline, const char *verb, const char *argument, const char *detail,
                        struct buffer *answer, int64_t *affected);
/* NULL is fine. */
void change_offline_close(struct change_offline *offline);
#endif
