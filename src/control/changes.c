/* SPDX-License-Identifier: MIT
 * `parcelpost changes`: what operators changed, the latest first. Reading only. */
#include "control/control.h"
#include "control/report_show.h"

int control_changes(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"TIME", "WHO", "UID", "WHAT", "HOW MANY", NULL};
    return report_show_words(control, REPORT_CHANGES, count, arguments, titles, "Nothing has been changed yet.");
}
