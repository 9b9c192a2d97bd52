/* SPDX-License-Identifier: MIT
 * `parcelpost greylist list`: whose first tries wait to come again, and whose did. Reading only. */
#include "control/control.h"
#include "control/report_show.h"

int control_greylist_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"FIRST TRY", "NETWORK", "SENDER", "RECIPIENT",
                                         "TRIES",     "PASSED",  "UNTIL",  NULL};
    return report_show_words(control, REPORT_GREYLIST, count, arguments, titles, "Nobody was asked to come again.");
}
