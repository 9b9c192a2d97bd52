/* SPDX-License-Identifier: MIT
 * The dialogue in the log: " -> " from the client, "<-  " to it. Never a password. */
#ifndef RECEIVER_DIALOG_H
#define RECEIVER_DIALOG_H
#include "base/text.h"
#include "config/config.h"
void dialog_from_client(const struct config *config, struct text line);
/* Wire form of a reply, one or more lines. */
void dialog_to_client(const struct config *config, struct text wire);
/* "<-> (handshake) …", " -> (data)", or any other note. */
void dialog_note(const struct config *config, const char *direction, const char *note);
/* Mail data line by line, when show_incoming_data is on. */
void dialog_data(const struct config *config, struct text piece);
#endif
