/* SPDX-License-Identifier: MIT
 * `parcelpost why ADDRESS` and `why DOMAIN`: what waits for them, what became of the newest mail, what stands in the
 * way. Reading only; what has no index is looked for among the newest parcels alone, and the story says so. */
#include "control/story.h"
#include "mail/envelope.h"
#include "store/hold_rules.h"
#include "store/report_parcels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAITING_SHOWN 10

static bool show_waiting(void *context, const struct report_row *row) {
    struct story *story = context;
    story->found = true;
    if (story->rows++ == WAITING_SHOWN) {
        printf("  … and more: parcelpost queue list %s%s\n",
               strchr(story->word, '@') != NULL ? "recipient=" : "domain=", story_shown(story->word));
        return false;
    }
    if (story->rows == 1) {
        printf("What waits, the next first:\n");
    }
    printf("  %s from <%s> to <%s>, %s since %s, %s tries: %s\n", story_value(row, "mail_id"),
           story_value(row, "from_url"), story_value(row, "to_url"), story_raw(row, "state"),
           story_time(story_raw(row, "created_at")), story_raw(row, "attempts"),
           story_raw(row, "delivery_msg")[0] != '\0' ? story_value(row, "delivery_msg") : "not tried yet");
    return true;
}

static bool show_past(void *context, const struct report_row *row) {
    struct story *story = context;
    story->found = true;
    if (story->rows++ == 0) {
        printf("The newest mail from and to it:\n");
    }
    printf("  %s %s from <%s> to <%s>: %s%s%s\n", story_raw(row, "created_at"), story_value(row, "mail_id"),
           story_value(row, "from_url"), story_value(row, "to_url"), story_raw(row, "state"),
           story_raw(row, "delivery_msg")[0] != '\0' ? ": " : "", story_value(row, "delivery_msg"));
    return true;
}

static bool show_alias(void *context, const struct report_row *row) {
    struct story *story = context;
    story->found = true;
    printf("It is an alias: its mail goes to %s%s%s.\n", story_value(row, "target"),
           story_raw(row, "owner")[0] != '\0' ? ", failures to " : "", story_value(row, "owner"));
    return true;
}

/* Rules that would hold mail from or to this address, or for this domain. */
static bool show_hold_rules(struct story *story, const char *sender, const char *recipient) {
    struct hold_rules rules = {0};
    struct envelope envelope;
    bool good = hold_rules_read(story->database, &rules);
    envelope_init(&envelope);
    envelope_set(&envelope.from_url, text_of(sender));
    envelope_set(&envelope.account, text_of(sender));
    (void)envelope_add(&envelope, text_of(recipient), text_of(recipient), DELIVERY_REMOTE);
    const struct hold_rule *rule = hold_rules_find(&rules, &envelope, 0);
    if (rule != NULL) {
        char *words = hold_rule_words(rule);
        printf("New mail %s it is %s.\n  You can: parcelpost hold-rule remove %s '%s'\n",
               sender[0] != '\0' ? "from" : "to", story_shown(words), hold_kind_name(rule->kind),
               story_shown(rule->pattern));
        free(words);
        story->found = true;
    }
    envelope_free(&envelope);
    hold_rules_free(&rules);
    return good;
}

static bool show_all_waiting(struct story *story, const struct report_filter *filter) {
    story->rows = 0;
    bool good = report_parcels(story->database, filter, (int64_t)time(NULL), show_waiting, story);
    if (good && story->rows == 0) {
        printf("Nothing waits for it.\n");
    }
    return good;
}

static bool show_history(struct story *story, enum report_kind kind) {
    story->rows = 0;
    bool good = report_run(story->database, kind, story->word, show_past, story);
    if (good) {
        printf("(of the newest %d parcels; an older one is found by its id)\n", STORY_NEWEST);
    }
    return good;
}

bool story_address(struct story *story) {
    const char *domain = strrchr(story->word, '@') + 1;
    const struct report_filter here = {.recipient = story->word, .domain = domain, .limit = WAITING_SHOWN + 1};
    printf("%s\n", story_shown(story->word));
    bool good = report_run(story->database, REPORT_ALIAS, story->word, show_alias, story) &&
                show_hold_rules(story, story->word, "") && show_hold_rules(story, "", story->word) &&
                show_all_waiting(story, &here);
    if (good && story->found) {
        printf("  You can: parcelpost why MAIL_ID, parcelpost queue retry recipient=%s\n", story_shown(story->word));
    }
    return good && show_history(story, REPORT_ADDRESS);
}

/* ---- domains ---- */

static bool show_standing(void *context, const struct report_row *row) {
    struct story *story = context;
    const char *tls = story_raw(row, "tls");
    story->found = true;
    if (!story_is_ahead(story_raw(row, "retry_at")) && strcmp(story_raw(row, "failures"), "0") != 0) {
        printf("The last %s attempts found no server there: %s\n", story_raw(row, "failures"),
               story_value(row, "reason"));
    }
    if (tls[0] != '\0') {
        printf("It has shown %s TLS, last on %s; mail waits when that is gone.\n  You can: parcelpost tls forgive %s\n",
               strcmp(tls, "verified") == 0 ? "verified" : "unverified", story_time(story_raw(row, "tls_at")),
               story_shown(story->word));
    }
    return true;
}

static bool show_count(void *context, const struct report_row *row) {
    struct story *story = context;
    story->found = true;
    printf("%s %s, the oldest since %s%s%s.\n", story_raw(row, "parcels"), story_raw(row, "state"),
           story_time(story_raw(row, "oldest")),
           strcmp(story_raw(row, "state"), "deferred") == 0 ? ", the next try " : "",
           strcmp(story_raw(row, "state"), "deferred") == 0 ? story_time(story_raw(row, "next")) : "");
    return true;
}

static bool show_reason(void *context, const struct report_row *row) {
    struct story *story = context;
    if (story->rows++ == 0) {
        printf("Why, most often:\n");
    }
    printf("  %s times: %s\n", story_raw(row, "parcels"), story_value(row, "reason"));
    return true;
}

bool story_domain(struct story *story) {
    const struct report_filter here = {.domain = story->word, .limit = WAITING_SHOWN + 1};
    char anybody[600], *lower = strdup(story->word);
    snprintf(anybody, sizeof(anybody), "anybody@%s", story->word);
    printf("%s\n", story_shown(story->word));
    if (config_domain_is_local(story->control->config, text_of(story->word))) {
        story->found = true;
        printf("It is one of ours (local_domains).\n");
    }
    text_lower(lower);
    bool good = report_run(story->database, REPORT_DESTINATION, story->word, show_standing, story) &&
                story_destination(story, story->word) && show_hold_rules(story, "", anybody) &&
                report_run(story->database, REPORT_DOMAIN_WAITING, lower, show_count, story);
    story->rows = 0;
    good = good && report_run(story->database, REPORT_DOMAIN_REASONS, lower, show_reason, story) &&
           show_all_waiting(story, &here);
    if (good && story->rows > 0) {
        printf("  You can: parcelpost queue retry domain=%s, parcelpost queue hold domain=%s\n",
               story_shown(story->word), story_shown(story->word));
    }
    good = good && report_run(story->database, REPORT_DOMAIN, lower, show_past, story);
    free(lower);
    return good;
}
