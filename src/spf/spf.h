/* SPDX-License-Identifier: MIT
 * Sender Policy Framework (RFC 7208): may this address send mail in this domain's name? DNS is the caller's. */
#ifndef SPF_SPF_H
#define SPF_SPF_H
#include "base/buffer.h"
#include "base/network.h"

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR, SPF_RESULTS };
extern const char *const spf_result_names[SPF_RESULTS]; /* as in Authentication-Results (RFC 8601 2.7.2) */

enum spf_type { SPF_TYPE_A = 1, SPF_TYPE_PTR = 12, SPF_TYPE_MX = 15, SPF_TYPE_TXT = 16, SPF_TYPE_AAAA = 28 };
enum spf_dns {
    SPF_DNS_FOUND,
    SPF_DNS_NONE,  /* no such name, no such record, or a name that cannot be asked */
    SPF_DNS_FAILED /* it cannot be known now */
};
/* Appends each record's value by spf_add_value: the address as text, the name, a TXT's strings joined. */
typedef enum spf_dns spf_look_up(void *context, const char *name, enum spf_type type, struct buffer *values);
bool spf_add_value(struct buffer *values, struct text value);
struct spf_question {
    const struct network_address *client;
    const char *helo;           /* "" when it said nothing */
    const char *local, *domain; /* of the sender; both "" for <>: then the HELO name is asked about */
    spf_look_up *look_up;
    void *context;
};
/* Asks about ten names and a few times as many addresses at most (RFC 7208 4.6.4), one after the other. */
enum spf_result spf_check(const struct spf_question *question);
#endif
