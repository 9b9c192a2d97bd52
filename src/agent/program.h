/* SPDX-License-Identifier: MIT
 * Running a program of the operator's: no shell, no descriptor of ours, bounded time, memory and output, nothing of it
 * left behind. Used by filter.c and transport_pipe.c. */
#ifndef AGENT_PROGRAM_H
#define AGENT_PROGRAM_H
#include "agent/delivery.h"
#include <stdbool.h>
#include <stddef.h>

struct program {
    char *const *arguments;   /* NULL-terminated; the first is found by our own PATH */
    char *const *environment; /* NULL-terminated */
    const char *directory;    /* to be in; NULL: ours. One that cannot be entered is "/" */
    int input;                /* a file, read from its start */
    long seconds;
    size_t memory_maximum;  /* bytes of address space; 0: no limit */
    bool output_is_bounded; /* it ends when the output is full; else what is too much is dropped */
};
enum program_end {
    PROGRAM_ENDED,     /* status is its exit status */
    PROGRAM_KILLED,    /* by the signal `status`, not ours */
    PROGRAM_UNSTARTED, /* status is an errno */
    PROGRAM_TIMED_OUT,
    PROGRAM_OUTPUT_FULL
};
/* Runs it to its end; output gets what it wrote to standard output and, unless output_is_bounded, to standard error.
 * The program is a session of its own; what is left of that is killed when it ends or its time is over. */
enum program_end program_run(const struct program *program, struct buffer *output, int *status);
/* Writes `top` and the message into the file, with LF line ends unless it is binary, and goes back to its start. False
 * with errno. */
bool program_write_input(int fd, struct text top, struct delivery_content *content);
#endif
