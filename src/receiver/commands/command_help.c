/* SPDX-License-Identifier: MIT
 * HELP: the verbs of this port's protocol, from the table. Called by the dispatcher, confined; cannot fail. */
#include "receiver/commands/command.h"

/* help = "HELP" [ SP String ] CRLF */
void command_help(struct session *session, struct text argument) {
    struct buffer verbs;

    (void)argument;
    buffer_init(&verbs, REPLY_TEXT_SIZE);
    for (size_t i = 0; i < command_count; i++)
        if (command_is_spoken(session, &commands[i]))
            (void)buffer_format(&verbs, "%s%s", verbs.length > 0 ? " " : "", commands[i].verb);
    session_reply(session, 214, "2.0.0", "%s", buffer_string(&verbs));
    buffer_free(&verbs);
}
