/* SPDX-License-Identifier: MIT
 * The actions of Postfix's access(5) that a policy server may answer. Called by receivers, confined, on what the
 * operator's server said; no I/O. What is not understood is POLICY_WRONG, never consent. */
#include "smtp/policy_action.h"
#include "base/text.h"
#include <string.h>

/* needs_text: nothing can be done without. code and enhanced: of the reply that the text is put into. */
static const struct row {
    const char *word;
    enum policy_verdict verdict;
    bool needs_text;
    unsigned code;
    const char *enhanced, *standard;
} rows[] = {
    {"DUNNO", POLICY_DUNNO, false, 0, "", ""},
    {"OK", POLICY_OK, false, 0, "", ""},
    {"PERMIT", POLICY_OK, false, 0, "", ""},
    {"REJECT", POLICY_REPLY, false, 554, "5.7.1", "Access denied"},
    {"DEFER", POLICY_REPLY, false, 450, "4.7.1", "Access denied, try again later"},
    {"DEFER_IF_PERMIT", POLICY_DEFER_IF_PERMIT, false, 450, "4.7.1", "Access denied, try again later"},
    {"DEFER_IF_REJECT", POLICY_DEFER_IF_REJECT, false, 450, "4.7.1", "Access denied, try again later"},
    {"PREPEND", POLICY_PREPEND, true, 0, "", ""},
    {"HOLD", POLICY_HOLD, false, 0, "", "held by a policy server"},
    {"DISCARD", POLICY_DISCARD, false, 0, "", "discarded by a policy server"},
    {"REDIRECT", POLICY_REDIRECT, true, 0, "", ""},
    {"BCC", POLICY_BCC, true, 0, "", ""},
    {"WARN", POLICY_WARN, false, 0, "", ""},
    {"INFO", POLICY_INFO, false, 0, "", ""},
};

static bool is_number(struct text text) {
    uint64_t value;
    return text_number(text, UINT64_MAX, &value);
}

/* "4NN text" and "5NN text" */
static unsigned reply_code(struct text word) {
    uint64_t code;
    bool good = word.length == 3 && text_number(word, 599, &code) && code >= 400;
    return good ? (unsigned)code : 0;
}

/* An enhanced code of another class than the reply's would tell the client two things at once. */
static void take_reply(struct policy_action *action, unsigned code, const char *enhanced, const char *standard) {
    struct text text = action->text;
    char own[12];
    reply_split_enhanced(&text, own);
    reply_set(&action->reply, code, own[0] != '\0' ? own : enhanced, "%.*s",
              TEXT_ARGS(text_trim(text).length > 0 ? text_trim(text) : text_of(standard)));
    action->reply.enhanced[0] = (char)('0' + code / 100);
    for (char *at = action->reply.text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            *at = '?';
}

static const struct row *find_row(struct text word) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text_equal_nocase(word, text_of(rows[i].word)))
            return &rows[i];
    return NULL;
}

void policy_action_parse(struct text value, struct policy_action *action) {
    value = text_trim(value);
    struct text word = text_first(value, text_find(value, ' ') < text_find(value, '\t') ? text_find(value, ' ')
                                                                                        : text_find(value, '\t'));
    *action = (struct policy_action){.verdict = POLICY_WRONG, .text = text_trim(text_from(value, word.length))};
    const struct row *row = find_row(word);
    unsigned code = reply_code(word);
    if (is_number(value)) {
        action->verdict = POLICY_OK; /* access(5): pop-before-smtp's time stamps */
    } else if (code != 0) {
        action->verdict = POLICY_REPLY;
        take_reply(action, code, code < 500 ? "4.7.1" : "5.7.1", "Access denied");
    } else if (row != NULL && !(row->needs_text && action->text.length == 0)) {
        action->verdict = row->verdict;
        if (row->code != 0)
            take_reply(action, row->code, row->enhanced, row->standard);
        else if (action->text.length == 0)
            action->text = text_of(row->standard);
    }
}
