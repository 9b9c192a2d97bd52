/* SPDX-License-Identifier: MIT
 * DMARC (RFC 7489): does what SPF and DKIM passed belong to the domain of the From field, and what does that domain
 * want done when not? DNS is the caller's. The only user of the public suffix list, which libpsl has built in. */
#ifndef SPF_DMARC_H
#define SPF_DMARC_H
#include "spf/spf.h"

enum dmarc_result {
    DMARC_NOT_ASKED,
    DMARC_NONE,
    DMARC_PASS,
    DMARC_FAIL,
    DMARC_TEMPERROR,
    DMARC_PERMERROR,
    DMARC_RESULTS
};
enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT, DMARC_POLICIES };
extern const char *const dmarc_result_names[DMARC_RESULTS], *const dmarc_policy_names[DMARC_POLICIES];
struct dmarc_question {
    const char *from;         /* the From field's domain */
    const char *spf;          /* the domain that SPF passed, "" for none */
    struct text dkim_results; /* "dkim=pass header.d=…; …" */
    spf_look_up *look_up;     /* asked for TXT records, twice at most */
    void *context;
};
/* policy: what the domain wants done with a message that fails; its percentage (pct) is left to the reader. */
enum dmarc_result dmarc_check(const struct dmarc_question *question, enum dmarc_policy *policy);
/* The domain that was registered, "example.co.uk" of "a.b.example.co.uk"; itself where there is none. Borrowed. */
const char *dmarc_organisation(const char *domain);
#endif
