/* SPDX-License-Identifier: MIT
 * What the queue runner has in hand, for `parcelpost top`: a line a destination. Called by operator.c. */
#include "base/clock.h"
#include "runner/runner_private.h"

#define LINES_MAXIMUM 50

static const char *words_of(const struct destination *destination, int64_t now) {
    return standing_rests(destination, now)             ? "rests"
           : destination->paused_until > clock_now_ms() ? "paused"
           : destination->jobs > 0                      ? "delivering"
           : destination->waiting > 0                   ? "waiting"
                                                        : "idle";
}

static bool add_line(const struct destination *one, int64_t now, struct buffer *text) {
    return buffer_format(text, "%s\t%s\t%s\t%zu\t%zu\t%zu\n", one->transport, one->domain, words_of(one, now),
                         one->waiting, one->jobs, one->agents);
}

void status_write(const struct runner *runner, struct buffer *text) {
    int64_t now = (int64_t)time(NULL);
    size_t lines = 0;
    for (int busy = 1; busy >= 0; busy--) {
        for (const struct destination *one = runner->destinations; one != NULL && lines < LINES_MAXIMUM;
             one = one->next_all) {
            bool is_busy = one->jobs + one->agents > 0;
            if (is_busy == (busy == 1) && (is_busy || one->waiting > 0)) {
                lines += add_line(one, now, text);
            }
        }
    }
}
