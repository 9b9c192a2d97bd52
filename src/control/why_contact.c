/* SPDX-License-Identifier: MIT
 * `parcelpost why IP`: how a contact has behaved, whether and until when it is locked out, which rules spoke, what mail
 * came from there. Reading only. */
#include "base/network.h"
#include "control/story.h"
#include "store/hold_rules.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_SHOWN 10

static bool show_contact(void *context, const struct report_row *row) {
    struct story *story = context;
    const char *contact = story_value(row, "remote_ip"), *until = story_raw(row, "expires_at");
    bool locked = story_is_ahead(until) && strcmp(story_raw(row, "violations"), "0") != 0;
    story->found = true;
    printf("%s has connected %s times since %s, the last time about %s.\n", contact, story_raw(row, "hits"),
           story_time(story_raw(row, "created_at")), story_time(story_raw(row, "updated_at")));
    if (story_raw(row, "accepted_at")[0] != '\0') {
        printf("A message of it was last accepted on %s.\n", story_time(story_raw(row, "accepted_at")));
    }
    printf("It has %s violations that count now; %ld is the most that is borne.\n", story_raw(row, "violations"),
           story->control->config->max_failed_msgs_per_period);
    if (locked) {
        printf("It is locked out until %s: its connections are closed at once, and each moves that end.\n"
               "  You can: parcelpost contacts forgive %s\n",
               story_time(until), contact);
    } else {
        printf("It is not locked out.\n  You can: parcelpost contacts lock %s\n", contact);
    }
    return true;
}

static bool show_violation(void *context, const struct report_row *row) {
    struct story *story = context;
    if (story->rows == LINES_SHOWN) {
        printf("  … and more: parcelpost contacts show %s\n", story_shown(story->word));
        return false;
    }
    if (story->rows++ == 0) {
        printf("What the rules said, the latest first:\n");
    }
    printf("  %s port %s, %s, rule %s: %s%s\n", story_raw(row, "created_at"), story_raw(row, "port"),
           story_value(row, "verb"), story_value(row, "rule"), story_value(row, "reply"),
           strcmp(story_raw(row, "counted"), "0") == 0 ? " (not counted)" : "");
    return true;
}

static bool show_sent(void *context, const struct report_row *row) {
    struct story *story = context;
    if (story->rows == LINES_SHOWN) {
        printf("  … and more: parcelpost contacts show %s\n", story_shown(story->word));
        return false;
    }
    if (story->rows++ == 0) {
        printf("Mail from there, the latest first:\n");
    }
    printf("  %s %s from <%s> to <%s>: %s\n", story_raw(row, "created_at"), story_value(row, "mail_id"),
           story_value(row, "from_url"), story_value(row, "to_url"), story_raw(row, "state"));
    return true;
}

static bool is_in(const struct config_networks *networks, const struct network_address *address) {
    for (size_t i = 0; i < networks->count; i++) {
        if (network_contains(&networks->items[i], address)) {
            return true;
        }
    }
    return false;
}

static bool show_rules(struct story *story, const struct network_address *address) {
    struct hold_rules rules = {0};
    bool good = hold_rules_read(story->database, &rules);
    for (size_t i = 0; i < rules.count; i++) {
        if (rules.rules[i].kind == HOLD_IP && network_contains(&rules.rules[i].network, address)) {
            printf("Mail from there is held: %s\n  You can: parcelpost hold-rule remove ip %s\n",
                   story_shown(rules.rules[i].reason), story_shown(rules.rules[i].pattern));
            story->found = true;
        }
    }
    hold_rules_free(&rules);
    if (is_in(&story->control->config->allow_networks, address)) {
        printf("It is on the allow list: it is never locked out.\n");
    }
    if (is_in(&story->control->config->trusted_networks, address)) {
        printf("It is in trusted_networks: members may send from there without a login.\n");
    }
    return good;
}

bool story_contact(struct story *story) {
    struct network_address address;
    char contact[NETWORK_IP_SIZE];
    struct text ip = text_first(text_of(story->word), text_find(text_of(story->word), '/'));
    if (!network_parse_ip(ip, 0, &address)) {
        return true;
    }
    network_contact(&address, (unsigned)story->control->config->contact_prefix_v6, contact);
    bool good = report_run(story->database, REPORT_CONTACT, contact, show_contact, story) &&
                show_rules(story, &address) &&
                report_run(story->database, REPORT_VIOLATIONS, contact, show_violation, story);
    story->rows = 0;
    return good && report_run(story->database, REPORT_FROM_CONTACT, contact, show_sent, story);
}
