/* SPDX-License-Identifier: MIT
 * Rule: on the port for strangers the EHLO domain is in the DNS. A name that exists without an address is accepted.
 * Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_ehlo_domain(const struct rule_facts *facts, struct reply *reply) {
    if (facts->ehlo_domain == NAME_MISSING) {
        reply_set(reply, 550, "5.1.8", "EHLO domain \"%s\" was not found in the DNS system", facts->ehlo);
        return RULE_MATCH;
    }
    if (facts->ehlo_domain == NAME_TEMPFAIL) {
        reply_set(reply, 450, "4.4.3", "EHLO domain \"%s\" could not be looked up in the DNS system", facts->ehlo);
        return RULE_TEMPFAIL;
    }
    return RULE_NO_MATCH;
}
