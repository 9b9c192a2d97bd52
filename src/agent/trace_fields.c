/* SPDX-License-Identifier: MIT
 * Return-Path, Delivered-To, X-Original-To; see trace_fields.h. Values only. */
#include "agent/trace_fields.h"

const char *trace_fields_mailbox(const struct delivery_recipient *recipient) {
    return recipient->target[0] == '|' ? recipient->to_url : recipient->target;
}

bool trace_fields_write(const struct delivery *delivery, const struct delivery_recipient *recipient,
                        struct buffer *fields) {
    const char *mailbox = trace_fields_mailbox(recipient);
    bool same = text_equal_nocase(text_of(mailbox), text_of(recipient->to_url));
    return buffer_format(fields, "Return-Path: <%s>\r\nDelivered-To: %s\r\n", delivery->from_url, mailbox) &&
           (same || buffer_format(fields, "X-Original-To: %s\r\n", recipient->to_url));
}
