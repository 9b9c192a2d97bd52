/* SPDX-License-Identifier: MIT
 * The fields that final delivery puts on top of a message (RFC 5321 4.4). Used by the maildir and pipe transports; LMTP
 * servers add their own. */
#ifndef AGENT_TRACE_FIELDS_H
#define AGENT_TRACE_FIELDS_H
#include "agent/delivery.h"
#define TRACE_FIELDS_MAXIMUM 4096
/* Where it is delivered: the target, or the address as given when the target is a transport ("|NAME"). Borrowed. */
const char *trace_fields_mailbox(const struct delivery_recipient *recipient);
/* Return-Path, Delivered-To with the mailbox at hand and no other, X-Original-To with the address as given where that
 * is another; with CRLF. False when they do not fit. */
bool trace_fields_write(const struct delivery *delivery, const struct delivery_recipient *recipient,
                        struct buffer *fields);
#endif
