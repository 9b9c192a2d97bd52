/* SPDX-License-Identifier: MIT
 * check_host() of RFC 7208 4. Called by the receiver, confined, on records that anybody may have written: a record is
 * parsed as a whole before any of it is asked, and every loop is bounded. */
#include "spf/spf.h"
#include "spf/spf_private.h"
#include <string.h>

#define TERMS_MAXIMUM 10 /* RFC 7208 4.6.4 */
#define EXCHANGERS_MAXIMUM 10

const char *const spf_result_names[SPF_RESULTS] = {
    [SPF_NONE] = "none",         [SPF_NEUTRAL] = "neutral",     [SPF_PASS] = "pass",           [SPF_FAIL] = "fail",
    [SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror", [SPF_PERMERROR] = "permerror",
};

static enum spf_result check_domain(struct spf_check *check, const char *domain);

/* ---- the record ---- */

/* RFC 7208 4.3: labels of 1 to 63 bytes, more than one of them. */
static bool is_domain(const char *name) {
    struct text rest = text_of(name), label;
    size_t labels = 0;

    if (rest.length > 0 && rest.data[rest.length - 1] == '.')
        rest.length--;
    if (rest.length == 0 || rest.length > 253 || rest.data[rest.length - 1] == '.')
        return false;
    for (; text_split(&rest, '.', &label); labels++)
        if (label.length == 0 || label.length > 63)
            return false;
    return labels > 1;
}

/* The terms of the one record "v=spf1 …"; copied into record, which is the caller's. */
static enum spf_result find_record(struct spf_check *check, const char *domain, struct buffer *record) {
    struct buffer values;
    struct text rest, value;
    unsigned count = 0;

    buffer_init(&values, SPF_VALUES_MAXIMUM);
    enum spf_dns found = check->question->look_up(check->question->context, domain, SPF_TYPE_TXT, &values);
    rest = buffer_text(&values);
    while (found == SPF_DNS_FOUND && spf_next_value(&rest, &value)) {
        struct text terms = text_from(value, strlen("v=spf1"));
        if (!text_starts_nocase(value, TEXT("v=spf1")) || (terms.length > 0 && terms.data[0] != ' '))
            continue;
        if (count++ == 0)
            (void)buffer_append_text(record, terms);
    }
    buffer_free(&values);
    if (found == SPF_DNS_FAILED)
        return SPF_TEMPERROR;
    return count == 0 ? SPF_NONE : count > 1 ? SPF_PERMERROR : SPF_PASS;
}

static bool next_term(struct text *record, struct text *term) {
    while (record->length > 0 && record->data[0] == ' ')
        *record = text_from(*record, 1);
    return text_split(record, ' ', term);
}

static bool is_well_formed(struct text record) {
    struct spf_term term;
    struct text text;
    unsigned redirects = 0, explanations = 0;

    while (next_term(&record, &text)) {
        if (!spf_term_parse(text, &term))
            return false;
        redirects += term.mechanism == SPF_REDIRECT;
        explanations += term.mechanism == SPF_EXPLANATION;
    }
    return redirects <= 1 && explanations <= 1;
}

/* ---- mechanisms ---- */

enum match { MATCH_NO, MATCH_YES, MATCH_TEMPERROR, MATCH_PERMERROR };

static enum match match_include(struct spf_check *check, const char *name) {
    static const enum match matches[SPF_RESULTS] = {[SPF_NONE] = MATCH_PERMERROR,     [SPF_NEUTRAL] = MATCH_NO,
                                                    [SPF_PASS] = MATCH_YES,           [SPF_FAIL] = MATCH_NO,
                                                    [SPF_SOFTFAIL] = MATCH_NO,        [SPF_TEMPERROR] = MATCH_TEMPERROR,
                                                    [SPF_PERMERROR] = MATCH_PERMERROR};

    return matches[check_domain(check, name)];
}

static enum match match_a(struct spf_check *check, const char *name, const struct spf_term *term) {
    bool match = false;

    if (spf_name_has_client(check, name, term, &match) == SPF_DNS_FAILED)
        return MATCH_TEMPERROR;
    return match ? MATCH_YES : MATCH_NO;
}

static enum match match_mx(struct spf_check *check, const char *name, const struct spf_term *term) {
    struct buffer values;
    struct text rest, value;
    char exchanger[SPF_NAME_SIZE];
    enum match match = MATCH_NO;
    unsigned count = 0;

    buffer_init(&values, SPF_VALUES_MAXIMUM);
    if (spf_ask(check, name, SPF_TYPE_MX, &values) == SPF_DNS_FAILED)
        match = MATCH_TEMPERROR;
    for (rest = buffer_text(&values); spf_next_value(&rest, &value);)
        count++;
    if (count > EXCHANGERS_MAXIMUM)
        match = MATCH_PERMERROR;
    for (rest = buffer_text(&values); match == MATCH_NO && !check->too_many && spf_next_value(&rest, &value);)
        if (text_copy(exchanger, sizeof exchanger, value))
            match = match_a(check, exchanger, term);
    buffer_free(&values);
    return match;
}

static bool is_wanted_name(void *context, struct text name) {
    return spf_is_below(name, text_of(context));
}

static enum match match_exists(struct spf_check *check, const char *name) {
    struct buffer values;

    buffer_init(&values, SPF_VALUES_MAXIMUM);
    enum spf_dns found = spf_ask(check, name, SPF_TYPE_A, &values);
    buffer_free(&values);
    return found == SPF_DNS_FAILED ? MATCH_TEMPERROR : found == SPF_DNS_FOUND ? MATCH_YES : MATCH_NO;
}

static enum match match_term(struct spf_check *check, const struct spf_term *term, const char *domain) {
    char name[SPF_NAME_SIZE];
    bool asks = term->mechanism != SPF_MECHANISM_ALL && term->mechanism != SPF_MECHANISM_IP4 &&
                term->mechanism != SPF_MECHANISM_IP6;

    if (asks && ++check->terms > TERMS_MAXIMUM)
        return MATCH_PERMERROR;
    if (asks && term->domain.length > 0)
        spf_macro_expand(check, term->domain, domain, name);
    else
        (void)text_copy(name, sizeof name, text_of(domain));
    switch (term->mechanism) {
    case SPF_MECHANISM_ALL:
        return MATCH_YES;
    case SPF_MECHANISM_INCLUDE:
        return match_include(check, name);
    case SPF_MECHANISM_A:
        return match_a(check, name, term);
    case SPF_MECHANISM_MX:
        return match_mx(check, name, term);
    case SPF_MECHANISM_PTR:
        return spf_client_names(check, is_wanted_name, name) ? MATCH_YES : MATCH_NO;
    case SPF_MECHANISM_EXISTS:
        return match_exists(check, name);
    default: /* ip4, ip6 */
        return network_contains(&term->network, check->question->client) ? MATCH_YES : MATCH_NO;
    }
}

/* ---- evaluation ---- */

static enum spf_result redirect(struct spf_check *check, struct text spec, const char *domain) {
    char name[SPF_NAME_SIZE];

    if (++check->terms > TERMS_MAXIMUM)
        return SPF_PERMERROR;
    spf_macro_expand(check, spec, domain, name);
    enum spf_result result = check_domain(check, name);
    return result == SPF_NONE ? SPF_PERMERROR : result;
}

static enum spf_result evaluate(struct spf_check *check, struct text record, const char *domain) {
    struct text text, target = TEXT_NONE;
    struct spf_term term;

    while (next_term(&record, &text)) {
        (void)spf_term_parse(text, &term);
        if (term.mechanism == SPF_REDIRECT)
            target = term.domain;
        if (term.mechanism >= SPF_MECHANISMS)
            continue;
        enum match match = match_term(check, &term, domain);
        if (match == MATCH_PERMERROR || check->too_many)
            return SPF_PERMERROR;
        if (match == MATCH_TEMPERROR)
            return SPF_TEMPERROR;
        if (match == MATCH_YES)
            return term.result;
    }
    return target.length > 0 ? redirect(check, target, domain) : SPF_NEUTRAL;
}

static enum spf_result check_domain(struct spf_check *check, const char *domain) {
    struct buffer record;

    if (!is_domain(domain))
        return SPF_NONE;
    buffer_init(&record, SPF_VALUES_MAXIMUM);
    enum spf_result result = find_record(check, domain, &record);
    if (result == SPF_PASS)
        result = is_well_formed(buffer_text(&record)) ? evaluate(check, buffer_text(&record), domain) : SPF_PERMERROR;
    buffer_free(&record);
    return result;
}

enum spf_result spf_check(const struct spf_question *question) {
    bool null = question->domain[0] == '\0';
    struct spf_check check = {
        .question = question,
        .local = null || question->local[0] == '\0' ? "postmaster" : question->local,
        .domain = null ? question->helo : question->domain,
    };

    network_ip_text(question->client, check.ip);
    check.v6 = strchr(check.ip, ':') != NULL;
    return check_domain(&check, check.domain);
}
