/* SPDX-License-Identifier: MIT
 * Changes while no server runs: the spool is opened here, under its lock and as its user. */
#ifndef CONTROL_CHANGE_OFFLINE_H
#define CONTROL_CHANGE_OFFLINE_H
#include "control/control.h"
/* As change_ask. EXIT_STATUS_TEMPFAIL when somebody holds the lock. */
int change_offline(struct control *control, const char *verb, const char *argument, const char *detail);
#endif
