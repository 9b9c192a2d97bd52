/* SPDX-License-Identifier: MIT
 * `parcelpost why` and `stats`: what the tables say about a message, an address or a contact. Reading only. */
#include "control/control.h"
#include "control/report_show.h"
#include "mail/mail_id.h"
#include <string.h>

int control_why(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"TIME", "MAIL ID", "FROM", "TO", "STATE", "TRIES", "ANSWER", NULL};
    const char *word = arguments[0];
    if (mail_id_is_valid(text_of(word))) {
        return control_queue_show(control, count, arguments);
    }
    if (strchr(word, '@') != NULL) {
        return report_show(control, REPORT_ADDRESS, word, titles, "Nothing is known of mail from or to that address.");
    }
    return control_contacts_show(control, count, arguments);
}

int control_stats(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"STATE", "PARCELS", "OLDEST", NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_STATES, NULL, titles, "No mail has passed yet.");
}
