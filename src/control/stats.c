/* SPDX-License-Identifier: MIT
 * `parcelpost stats`: how many parcels are in which state. Reading only. */
#include "control/control.h"
#include "control/report_show.h"

int control_stats(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"STATE", "PARCELS", "OLDEST", NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_STATES, NULL, titles, "No mail has passed yet.");
}
