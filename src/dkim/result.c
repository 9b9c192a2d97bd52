/* SPDX-License-Identifier: MIT
 * Words for what became of a signature (RFC 8601 2.7.1), with the properties that name it. Called by verify.c. The tags
 * come from strangers: they are shown as a token or a quoted string of printable ASCII, or left out. */
#include "dkim/result.h"
#include <string.h>

#define IDENTITY_SIZE 512
#define SIGNATURE_SHOWN 8u /* RFC 6008 4 */
#define VALUE_MAXIMUM 320u

enum verdict { VERDICT_NEUTRAL, VERDICT_PASS, VERDICT_FAIL, VERDICT_POLICY, VERDICT_PERMERROR, VERDICT_TEMPERROR };
static const char *const verdict_words[] = {
    [VERDICT_NEUTRAL] = "neutral", [VERDICT_PASS] = "pass",           [VERDICT_FAIL] = "fail",
    [VERDICT_POLICY] = "policy",   [VERDICT_PERMERROR] = "permerror", [VERDICT_TEMPERROR] = "temperror",
};

/* libopendkim's errors that are not plain syntax errors of the signature, which are neutral. */
static const struct {
    DKIM_SIGERROR error;
    enum verdict verdict;
} error_verdicts[] = {
    {DKIM_SIGERROR_UNKNOWN, VERDICT_TEMPERROR},
    {DKIM_SIGERROR_KEYFAIL, VERDICT_TEMPERROR},
    {DKIM_SIGERROR_EXPIRED, VERDICT_FAIL},
    {DKIM_SIGERROR_FUTURE, VERDICT_FAIL},
    {DKIM_SIGERROR_BADSIG, VERDICT_FAIL},
    {DKIM_SIGERROR_TOOLARGE_L, VERDICT_FAIL},
    {DKIM_SIGERROR_VERSION, VERDICT_PERMERROR},
    {DKIM_SIGERROR_MISSING_V, VERDICT_PERMERROR},
    {DKIM_SIGERROR_INVALID_A, VERDICT_PERMERROR},
    {DKIM_SIGERROR_INVALID_H, VERDICT_PERMERROR},
    {DKIM_SIGERROR_DOMAIN, VERDICT_PERMERROR},
    {DKIM_SIGERROR_NOKEY, VERDICT_PERMERROR},
    {DKIM_SIGERROR_DNSSYNTAX, VERDICT_PERMERROR},
    {DKIM_SIGERROR_SUBDOMAIN, VERDICT_PERMERROR},
    {DKIM_SIGERROR_MULTIREPLY, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYVERSION, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYUNKNOWNHASH, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYHASHMISMATCH, VERDICT_PERMERROR},
    {DKIM_SIGERROR_NOTEMAILKEY, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYTYPEMISSING, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYTYPEUNKNOWN, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYREVOKED, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYDECODE, VERDICT_PERMERROR},
    {DKIM_SIGERROR_KEYTOOSMALL, VERDICT_POLICY},
};

static enum verdict verdict_of_error(DKIM_SIGERROR error) {
    for (size_t i = 0; i < sizeof error_verdicts / sizeof *error_verdicts; i++) {
        if (error_verdicts[i].error == error) {
            return error_verdicts[i].verdict;
        }
    }
    return VERDICT_NEUTRAL;
}

/* RFC 8301 3.1: such a signature has permanently failed, whatever it says. */
static bool is_historic(DKIM_SIGINFO *signature) {
    dkim_alg_t algorithm = DKIM_SIGN_UNKNOWN;
    return dkim_sig_getsignalg(signature, &algorithm) == DKIM_STAT_OK && algorithm == DKIM_SIGN_RSASHA1;
}

static enum verdict verdict_of(DKIM_SIGINFO *signature, const char **why) {
    DKIM_SIGERROR error = dkim_sig_geterror(signature);
    *why = "";
    if ((error == DKIM_SIGERROR_OK || error == DKIM_SIGERROR_BADSIG) && is_historic(signature)) {
        *why = "rsa-sha1 is historic";
        return VERDICT_PERMERROR;
    }
    if (error != DKIM_SIGERROR_OK) {
        *why = error == DKIM_SIGERROR_UNKNOWN ? "could not be checked" : dkim_sig_geterrorstr(error);
        return verdict_of_error(error);
    }
    if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_PASSED) == 0) {
        *why = "signature verification failed";
        return VERDICT_FAIL;
    }
    if (dkim_sig_getbh(signature) != DKIM_SIGBH_MATCH) {
        *why = "the body was changed";
        return VERDICT_FAIL;
    }
    if (dkim_sig_gettagvalue(signature, false, (u_char *)"l") != NULL) {
        *why = "only the beginning of the body is signed";
    }
    return VERDICT_PASS;
}

/* RFC 2045 5.1 token, and '@', which RFC 8601 2.2 allows in a pvalue. */
static bool is_plain(char byte) {
    return byte > ' ' && byte < 127 && strchr("()<>,;:\\\"/[]?=", byte) == NULL;
}

static bool append_value(struct buffer *results, struct text value) {
    bool plain = true, good = true;
    for (size_t i = 0; i < value.length; i++) {
        plain = plain && is_plain(value.data[i]);
    }
    if (plain) {
        return buffer_append_text(results, value);
    }
    good = buffer_append_byte(results, '"');
    for (size_t i = 0; good && i < value.length; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\') {
            good = buffer_append_byte(results, '\\');
        }
        good = good && buffer_append_byte(results, value.data[i]);
    }
    return good && buffer_append_byte(results, '"');
}

/* Filters look for "dmarc=pass" without minding quotes. An identity (i=) can hold any byte, and so can other tags most.
 */
static bool looks_like_results(struct text value) {
    return text_find(value, ';') < value.length || text_find(value, '=') < value.length;
}

static bool append_property(struct buffer *results, const char *name, struct text value) {
    if (value.length == 0 || value.length > VALUE_MAXIMUM || !text_is_printable(value) || looks_like_results(value)) {
        return true;
    }
    return buffer_format(results, " header.%s=", name) && append_value(results, value);
}

/* The signature's first characters without the blanks it may be folded with. */
static struct text signature_start(DKIM_SIGINFO *signature, char start[SIGNATURE_SHOWN]) {
    const u_char *tag = dkim_sig_gettagvalue(signature, false, (u_char *)"b");
    size_t used = 0;
    for (; tag != NULL && *tag != '\0' && used < SIGNATURE_SHOWN; tag++) {
        if (*tag > ' ' && *tag < 127) {
            start[used++] = (char)*tag;
        }
    }
    return (struct text){start, used};
}

static bool append_identity(DKIM *dkim, DKIM_SIGINFO *signature, struct text domain, struct buffer *results) {
    u_char identity[IDENTITY_SIZE] = "";
    if (dkim_sig_gettagvalue(signature, false, (u_char *)"i") == NULL ||
        dkim_sig_getidentity(dkim, signature, identity, sizeof identity) != DKIM_STAT_OK) {
        return true;
    }
    struct text value = text_of((const char *)identity);
    if (value.length > 0 && value.data[0] == '@' && text_equal_nocase(text_from(value, 1), domain)) {
        return true;
    }
    return append_property(results, "i", value);
}

static bool append_all(DKIM *dkim, DKIM_SIGINFO *signature, struct buffer *results) {
    char start[SIGNATURE_SHOWN];
    const char *why;
    enum verdict verdict = verdict_of(signature, &why);
    struct text domain = text_of((const char *)dkim_sig_gettagvalue(signature, false, (u_char *)"d"));
    struct text selector = text_of((const char *)dkim_sig_gettagvalue(signature, false, (u_char *)"s"));
    return buffer_format(results, "dkim=%s", verdict_words[verdict]) &&
           (why == NULL || why[0] == '\0' || buffer_format(results, " (%s)", why)) &&
           append_property(results, "d", domain) && append_identity(dkim, signature, domain, results) &&
           append_property(results, "s", selector) && append_property(results, "b", signature_start(signature, start));
}

bool result_append(DKIM *dkim, DKIM_SIGINFO *signature, bool further, struct buffer *results) {
    size_t before = results->length;
    if ((!further || buffer_append_string(results, "; ")) && append_all(dkim, signature, results)) {
        return true;
    }
    results->length = before;
    return false;
}
