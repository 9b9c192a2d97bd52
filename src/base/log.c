/* SPDX-License-Identifier: MIT
 * Log lines and ending the process. Called by every process under any privilege, also inside the sandbox: needs
 * nothing but write and clock_gettime after log_start. A line that cannot be written is lost, never waited for. */
#include "base/log.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/text.h"
#include <errno.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#define LINE_SIZE 4096
#define BACKTRACE_DEPTH 64

static struct {
    int fd;
    enum log_level lowest;
    char program[32];
    char tag[64];
} state = {.fd = STDERR_FILENO, .lowest = LOG_LEVEL_INFO, .program = "parcelpost"};

static const char *const level_words[] = {
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info ",  [LOG_LEVEL_WARN] = "warn ",
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_FATAL] = "fatal",
};

void log_start(int fd, const char *program, enum log_level lowest) {
    state.fd = fd;
    state.lowest = lowest;
    log_set_program(program);
    tzset(); /* opens a file when it is first used, which a sandbox would not forgive later */
}

void log_set_program(const char *program) {
    text_copy(state.program, sizeof state.program, text_of(program));
    prctl(PR_SET_NAME, state.program, 0, 0, 0);
}

int log_set_descriptor(int fd) {
    int former = state.fd;
    state.fd = fd;
    return former;
}

int log_descriptor(void) {
    return state.fd;
}

void log_set_level(enum log_level lowest) {
    state.lowest = lowest;
}

bool log_wants(enum log_level level) {
    return level >= state.lowest;
}

void log_set_tag(const char *tag) {
    text_copy(state.tag, sizeof state.tag, text_of(tag));
}

/* "2026-11-22 01:02:03.456 warn  receiver[1234] TAG: " */
static size_t write_prefix(char *line, size_t size, const char *word) {
    struct timespec now;
    char date[CLOCK_TEXT_SIZE];
    clock_gettime(CLOCK_REALTIME, &now);
    clock_text(now.tv_sec, date);
    int length = text_format(line, size, "%s.%03u %s %s[%d]%s%s: ", date, (unsigned)(now.tv_nsec / 1000000) % 1000,
                             word, state.program, (int)getpid(), state.tag[0] != '\0' ? " " : "", state.tag);
    return length < 0 ? 0 : (size_t)length;
}

__attribute__((format(printf, 2, 0))) static void write_line(const char *word, const char *format, va_list list) {
    int reason = errno;
    char text[LINE_SIZE];
    char line[LINE_SIZE + 256];
    int formatted = text_format_list(text, sizeof text, format, list);
    size_t length = formatted < 0 ? 0 : (size_t)formatted;
    if (length >= sizeof text) {
        length = sizeof text - 1;
        memset(text + length - 3, '.', 3);
    }
    size_t prefix = write_prefix(line, sizeof line - LINE_SIZE, word);
    text_printable(line + prefix, sizeof line - prefix - 1, (struct text){text, length});
    size_t end = strlen(line);
    line[end] = '\n';
    ssize_t written;
    do {
        written = write(state.fd, line, end + 1);
    } while (written < 0 && errno == EINTR);
    errno = reason;
}

#define LOG_AT(level, format)                                                                                          \
    do {                                                                                                               \
        if (log_wants(level)) {                                                                                        \
            va_list list;                                                                                              \
            va_start(list, format);                                                                                    \
            write_line(level_words[level], format, list);                                                              \
            va_end(list);                                                                                              \
        }                                                                                                              \
    } while (0)

void log_debug(const char *format, ...) {
    LOG_AT(LOG_LEVEL_DEBUG, format);
}

void log_info(const char *format, ...) {
    LOG_AT(LOG_LEVEL_INFO, format);
}

void log_warn(const char *format, ...) {
    LOG_AT(LOG_LEVEL_WARN, format);
}

void log_error(const char *format, ...) {
    LOG_AT(LOG_LEVEL_ERROR, format);
}

/* _exit: a forked child must not run its parent's exit handlers or write its parent's stdio buffers. */
_Noreturn void die_fatal(int exit_status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    write_line(level_words[LOG_LEVEL_FATAL], format, list);
    va_end(list);
    _exit(exit_status);
}

struct trace {
    void *frames[BACKTRACE_DEPTH];
    int depth;
};

/* Not backtrace(3), which loads a library for it: one more to map in every process. */
static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *argument) {
    struct trace *trace = argument;
    if (trace->depth == BACKTRACE_DEPTH) {
        return _URC_END_OF_STACK;
    }
    trace->frames[trace->depth++] = (void *)_Unwind_GetIP(context); /* NOLINT(performance-no-int-to-ptr) */
    return _URC_NO_REASON;
}

_Noreturn void die_panic(const char *format, ...) {
    struct trace trace = {.depth = 0};
    va_list list;
    va_start(list, format);
    write_line("panic", format, list);
    va_end(list);
    (void)_Unwind_Backtrace(take_frame, &trace);
    backtrace_symbols_fd(trace.frames, trace.depth, state.fd);
    abort();
}

_Noreturn void die_out_of_memory(void) {
    die_fatal(EXIT_STATUS_OUT_OF_MEMORY, "out of memory");
}
