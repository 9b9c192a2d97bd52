/* SPDX-License-Identifier: MIT
 * Evaluating DMARC (RFC 7489 6.6). Called by the receiver, confined, on records of anybody's DNS; a record that is
 * malformed is a permanent error, and asks nothing of anybody. */
#include "spf/dmarc.h"
#include <libpsl.h>
#include <stdio.h>

#define NAME_SIZE 512
#define RECORD_MAXIMUM (64u * 1024)

const char *const dmarc_result_names[DMARC_RESULTS] = {
    [DMARC_NOT_ASKED] = "", [DMARC_NONE] = "none",           [DMARC_PASS] = "pass",
    [DMARC_FAIL] = "fail",  [DMARC_TEMPERROR] = "temperror", [DMARC_PERMERROR] = "permerror",
};
const char *const dmarc_policy_names[DMARC_POLICIES] = {
    [DMARC_POLICY_NONE] = "none", [DMARC_POLICY_QUARANTINE] = "quarantine", [DMARC_POLICY_REJECT] = "reject"};

struct record {
    bool strict_dkim, strict_spf;
    bool has_policy, has_below, bad;
    enum dmarc_policy policy, below; /* p, sp */
};

const char *dmarc_organisation(const char *domain) {
    const char *registered = psl_registrable_domain(psl_builtin(), domain);

    return registered != NULL ? registered : domain;
}

/* ---- the record ---- */

static bool take_policy(struct text value, enum dmarc_policy *policy) {
    for (size_t i = 0; i < DMARC_POLICIES; i++)
        if (text_equal_nocase(value, text_of(dmarc_policy_names[i]))) {
            *policy = (enum dmarc_policy)i;
            return true;
        }
    return false;
}

/* RFC 7489 6.3. Tags that it does not name are ignored. */
static void take_tag(struct record *record, struct text tag) {
    size_t equals = text_find(tag, '=');
    struct text name = text_trim(text_first(tag, equals)), value = text_trim(text_from(tag, equals + 1));

    if (text_equal_nocase(name, TEXT("p"))) {
        record->has_policy = take_policy(value, &record->policy);
        record->bad = record->bad || !record->has_policy;
    } else if (text_equal_nocase(name, TEXT("sp"))) {
        record->has_below = take_policy(value, &record->below);
        record->bad = record->bad || !record->has_below;
    } else if (text_equal_nocase(name, TEXT("adkim"))) {
        record->strict_dkim = text_equal_nocase(value, TEXT("s"));
    } else if (text_equal_nocase(name, TEXT("aspf"))) {
        record->strict_spf = text_equal_nocase(value, TEXT("s"));
    }
}

static bool is_record(struct text value) {
    struct text version = text_trim(text_first(value, text_find(value, ';')));
    size_t equals = text_find(version, '=');

    return text_equal(text_trim(text_first(version, equals)), TEXT("v")) &&
           text_equal(text_trim(text_from(version, equals + 1)), TEXT("DMARC1"));
}

/* DMARC_PASS: there is one, and it was read. */
static enum dmarc_result find_record(const struct dmarc_question *question, const char *domain, struct record *record) {
    char name[NAME_SIZE];
    struct buffer values;
    struct text rest, value, tags = TEXT_NONE, tag;
    unsigned count = 0;

    buffer_init(&values, RECORD_MAXIMUM);
    (void)snprintf(name, sizeof name, "_dmarc.%s", domain);
    enum spf_dns found = question->look_up(question->context, name, SPF_TYPE_TXT, &values);
    rest = buffer_text(&values);
    while (found == SPF_DNS_FOUND && text_split(&rest, '\0', &value))
        if (is_record(value)) {
            tags = text_from(value, text_find(value, ';') + 1);
            count++;
        }
    *record = (struct record){.policy = DMARC_POLICY_NONE};
    while (count == 1 && text_split(&tags, ';', &tag))
        take_tag(record, tag);
    buffer_free(&values);
    if (found == SPF_DNS_FAILED)
        return DMARC_TEMPERROR;
    if (count != 1) /* RFC 7489 6.6.3: several are none */
        return DMARC_NONE;
    return record->bad || !record->has_policy ? DMARC_PERMERROR : DMARC_PASS;
}

/* ---- alignment ---- */

static bool is_aligned(struct text domain, const char *from, bool strict) {
    char name[NAME_SIZE];

    if (domain.length == 0 || !text_copy(name, sizeof name, domain))
        return false;
    text_lower(name);
    if (text_equal_nocase(text_of(name), text_of(from)))
        return true;
    return !strict && text_equal_nocase(text_of(dmarc_organisation(name)), text_of(dmarc_organisation(from)));
}

/* Up to the next semicolon outside quotes: a signature's identity (i=) may hold anything, also what looks like results.
 */
static bool next_result(struct text *results, struct text *result) {
    bool quoted = false;
    size_t end = 0;

    for (; end < results->length && (quoted || results->data[end] != ';'); end++) {
        quoted = quoted != (results->data[end] == '"');
        end += quoted && results->data[end] == '\\' ? 1 : 0;
    }
    *result = text_trim(text_first(*results, end));
    *results = text_from(*results, end + 1);
    return result->length > 0 || results->length > 0;
}

static bool is_signed(struct text results, const char *from, bool strict) {
    static const struct text pass = {"dkim=pass header.d=", sizeof "dkim=pass header.d=" - 1};
    struct text result;

    while (next_result(&results, &result)) {
        struct text domain = text_from(result, pass.length);
        if (text_starts_nocase(result, pass) && is_aligned(text_first(domain, text_find(domain, ' ')), from, strict))
            return true;
    }
    return false;
}

enum dmarc_result dmarc_check(const struct dmarc_question *question, enum dmarc_policy *policy) {
    char from[NAME_SIZE];
    struct record record;

    *policy = DMARC_POLICY_NONE;
    if (!text_copy(from, sizeof from, text_of(question->from)) || from[0] == '\0')
        return DMARC_NONE;
    text_lower(from);
    const char *organisation = dmarc_organisation(from);
    bool below = !text_equal(text_of(organisation), text_of(from)), inherited = false;
    enum dmarc_result result = find_record(question, from, &record);
    if (result == DMARC_NONE && below) {
        result = find_record(question, organisation, &record);
        inherited = true;
    }
    if (result != DMARC_PASS)
        return result;
    *policy = inherited && record.has_below ? record.below : record.policy;
    bool aligned = is_aligned(text_of(question->spf), from, record.strict_spf) ||
                   is_signed(question->dkim_results, from, record.strict_dkim);
    return aligned ? DMARC_PASS : DMARC_FAIL;
}
