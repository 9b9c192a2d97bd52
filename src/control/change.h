/* SPDX-License-Identifier: MIT
 * Changes to queue and contacts: asked of the ledger, the only writer; while no server runs, done here under the
 * spool's lock and as the spool's user. */
#ifndef CONTROL_CHANGE_H
#define CONTROL_CHANGE_H
#include "control/control.h"
/* verb: "queue hold|release|retry|remove", argument: a mail id ("all" for retry); "contacts lock" with the seconds as
 * detail, "contacts forgive"; argument: a contact's name, or "all" to forgive. Prints what was done; the exit status.
 */
int change_ask(struct control *control, const char *verb, const char *argument, const char *detail);
/* Makes the database anew from the spool; the server must be stopped. */
int change_rebuild(struct control *control);
#endif
