/* SPDX-License-Identifier: MIT
 * Log lines: "2026-11-22 01:02:03.456 warn  receiver[1234] TAG: text". One write(2) a line to an inherited O_APPEND
 * descriptor, so that lines of several processes never mix. Bytes outside printable ASCII are shown as \xNN.
 * Severities: info (normal events), warn (the peer or the operator should look), error (this work failed), fatal
 * (this process ends), panic (a bug: ends with a backtrace). debug is off unless asked for. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };

/* Lines go to fd (not owned; may be 2). program: the process's name in each line, copied. */
void log_start(int fd, const char *program, enum log_level lowest);
/* Changes the name, e.g. after a fork; also calls prctl(PR_SET_NAME). */
void log_set_program(const char *program);
/* From now on lines go to this descriptor (reopen after rotation). Returns the former one. */
int log_set_descriptor(int fd);
int log_descriptor(void);
void log_set_level(enum log_level lowest);
bool log_wants(enum log_level level);
/* What stands before the text, usually a mail id; "" for none. Copied, at most 63 bytes. */
void log_set_tag(const char *tag);
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Logs as fatal and ends the process with this exit status (base/exit_status.h). */
_Noreturn void die_fatal(int exit_status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A bug: logs with a backtrace and aborts. */
_Noreturn void die_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die_out_of_memory(void);
#endif
