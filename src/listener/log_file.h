/* SPDX-License-Identifier: MIT
 * The log file: opened by the listener before it reduces its privileges, inherited by every process, renamed when its
 * period (day, week, month) is over, opened again on SIGUSR1. */
#ifndef LISTENER_LOG_FILE_H
#define LISTENER_LOG_FILE_H
#include "base/buffer.h"
#include "config/config.h"
#include <stdbool.h>
#include <time.h>
#define LOG_PERIOD_SIZE 16
/* The name of the period that a local time lies in: "2026-11-22", "2026-W47", "2026-11"; "" when logs live for ever. */
void log_file_period(enum log_life life, time_t seconds, char period[LOG_PERIOD_SIZE]);
/* True when the configuration writes to standard error. */
bool log_file_is_standard_error(const struct config *config);
/* Opens (or creates) the configured file for appending, mode 0640; 2 for standard error; -1 with a sentence in error.
 */
int log_file_open(const struct config *config, struct buffer *error);
/* The period that an opened log's last line was written in (now's when it is empty): rotation compares with it. */
void log_file_written_period(const struct config *config, int descriptor, time_t now, char period[LOG_PERIOD_SIZE]);
/* Renames the file to PATH.PERIOD (PATH.PERIOD.1 and so on where that exists) when now lies in another period than
 * `written`. True when it was renamed: the caller opens a new one. When it cannot be, that is logged and `written` set
 * to now's period. */
bool log_file_rotate(const struct config *config, char written[LOG_PERIOD_SIZE], time_t now);
#endif
