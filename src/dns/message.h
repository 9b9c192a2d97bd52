/* SPDX-License-Identifier: MIT
 * Reading a DNS message (RFC 1035 4) by hand, with bounds: untrusted bytes in, a struct dns_reply out. Private to this
 * folder. No I/O. */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H
#include "dns/dns.h"
/* What the server's answer says about this (prepared) name and type. Always gives a reply (owned): bytes that are no
 * proper answer are DNS_OUTCOME_FAILED. */
struct dns_reply *dns_message_read(const unsigned char *bytes, size_t length, const char *name,
                                   enum dns_question_type type);
/* The answer's RCODE; -1 when it is too short to have one. */
int dns_message_rcode(const unsigned char *bytes, size_t length);
#endif
