/* SPDX-License-Identifier: MIT
 * local_filter: mail on its way to a local mailbox is passed through a program of the operator's, such as spamc. Used
 * by the agent before a local transport. */
#ifndef AGENT_FILTER_H
#define AGENT_FILTER_H
#include "agent/delivery.h"
#include "config/config.h"
/* The message with LF line ends on the program's standard input; what it writes takes the message's place. When
 * anything about it fails (its exit status, its time, no or too much output, output that does not begin with a header)
 * a warning is logged and the content is as before. Returns whether the content was replaced. */
bool filter_apply(const struct config *config, struct delivery_content *content);
#endif
