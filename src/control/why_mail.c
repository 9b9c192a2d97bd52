/* SPDX-License-Identifier: MIT
 * `parcelpost why MAIL_ID`: a message's story: when it came and from whom, what was refused beside it, each recipient
 * with every attempt, what happens next, and what the operator can do. Reading only, by indexes alone. */
#include "control/story.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool show_destination(void *context, const struct report_row *row) {
    struct story *story = context;
    const char *retry_at = story_raw(row, "retry_at"), *name = story_value(row, "destination");
    if (story_is_ahead(retry_at)) {
        printf("    %s%s rests until %s: %s attempt%s in a row found no server there; the last said: %s\n",
               name[0] == '\0' ? "Local delivery" : "Its destination ", name, story_time(retry_at),
               story_raw(row, "failures"), strcmp(story_raw(row, "failures"), "1") == 0 ? "" : "s",
               story_value(row, "reason"));
        story->rows++;
    }
    return true;
}

bool story_destination(struct story *story, const char *domain) {
    return report_run(story->database, REPORT_DESTINATION, domain, show_destination, story);
}

/* ---- how it came ---- */

static void show_arrival(const struct report_row *row) {
    const char *ehlo = story_value(row, "ehlo"), *name = story_value(row, "remote_name");
    const char *tls = story_value(row, "tls"), *account = story_value(row, "account");
    const char *ip = story_value(row, "remote_ip");
    const char *role = story_raw(row, "role");
    printf("  It came on %s", story_time(story_raw(row, "received_at")));
    if (ip[0] != '\0') {
        printf(" from %s%s%s%s", ip, name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
    }
    if (ehlo[0] != '\0') {
        printf(", which called itself \"%s\"", ehlo);
    }
    if (strcmp(role, "notice") == 0) {
        printf(": a notice that this server wrote.\n");
    } else if (strcmp(role, "vacation") == 0) {
        printf(": an answer that this server wrote for %s, who is away.\n", account);
    } else {
        printf(",\n  on port %s (%s) over %s, %s, %s%s.\n", story_raw(row, "local_port"), story_value(row, "role"),
               story_value(row, "protocol"), tls[0] != '\0' ? tls : "without TLS",
               account[0] != '\0' ? "logged in as " : "not logged in", account);
    }
    if (story_raw(row, "hold_until")[0] != '\0') {
        printf("  Its sender asked for it to be released at %s.\n", story_time(story_raw(row, "hold_until")));
    }
    if (story_raw(row, "verdicts")[0] != '\0') {
        printf("  Signatures and origin: %s\n", story_value(row, "verdicts"));
    }
    if (story_raw(row, "listed_in")[0] != '\0') {
        printf("  DNS lists that name its client: %s; a score of %s in all.\n", story_value(row, "listed_in"),
               story_raw(row, "dnsbl_score"));
    }
    if (strcmp(story_raw(row, "auto_generated"), "1") == 0) {
        printf("  It is automatic: %s.\n", story_raw(row, "from_url")[0] == '\0'
                                               ? "nobody gets notices about it"
                                               : "its sender is told when it fails, but not when it is late");
    }
}

static bool show_mail(void *context, const struct report_row *row) {
    struct story *story = context;
    story->found = true;
    printf("%s: a message from <%s>, %s bytes.\n", story->word, story_value(row, "from_url"), story_raw(row, "size"));
    show_arrival(row);
    if (strcmp(story_raw(row, "place"), "gone") == 0) {
        printf("  It has left the spool: nobody waits for it any more.\n");
    }
    return true;
}

static bool show_violation(void *context, const struct report_row *row) {
    struct story *story = context;
    if (story->rows++ == 0) {
        printf("  In the same session the rules said no:\n");
    }
    printf("    %s, rule %s: %s%s\n", story_value(row, "verb"), story_value(row, "rule"), story_value(row, "reply"),
           strcmp(story_raw(row, "counted"), "0") == 0 ? " (not counted against the contact)" : "");
    return true;
}

/* ---- recipients ---- */

static bool show_attempt(void *context, const struct report_row *row) {
    struct story *story = context;
    const char *tls = story_value(row, "tls"), *host = story_value(row, "host"), *address = story_value(row, "address");
    story->rows++;
    bool other = address[0] != '\0' && strcmp(address, host) != 0;
    printf("    %s, %s: %s%s%s%s, %s, %s ms:\n      %s\n", story_raw(row, "started_at"), story_value(row, "route"),
           host[0] != '\0' ? host : "no server", other ? " [" : "", other ? address : "", other ? "]" : "",
           tls[0] != '\0' ? tls : "without TLS", story_raw(row, "milliseconds"), story_value(row, "reply"));
    return true;
}

static void show_next(const struct report_row *row) {
    const char *state = story_raw(row, "state"), *at = story_raw(row, "delivery_at");
    if (story_raw(row, "bounce")[0] != '\0' && (strcmp(state, "queued") == 0 || strcmp(state, "deferred") == 0)) {
        printf("    An operator gave it up: the sender is told \"%s\".\n", story_value(row, "bounce"));
    } else if (strcmp(state, "held") == 0) {
        printf("    It is held: it waits until an operator releases it.\n");
    } else if (strcmp(state, "queued") == 0) {
        printf("    It has not been tried%s, and is due since %s.\n",
               strcmp(story_raw(row, "attempts"), "0") == 0 ? " yet" : " again",
               story_time(story_raw(row, "retry_at")));
    } else if (strcmp(state, "deferred") == 0) {
        printf("    It is tried again %s, and given up %s.\n", story_time(story_raw(row, "retry_at")),
               story_time(story_raw(row, "expires_at")));
        if (story_raw(row, "delayed_at")[0] != '\0') {
            printf("    Its sender was told of the delay on %s.\n", story_time(story_raw(row, "delayed_at")));
        }
    } else {
        printf("    That was on %s; nothing more happens.\n", story_time(at));
    }
}

static void show_advice(const struct report_row *row, const char *mail_id) {
    const char *state = story_raw(row, "state");
    bool held = strcmp(state, "held") == 0;
    if (held || strcmp(state, "deferred") == 0 || strcmp(state, "queued") == 0) {
        printf("    You can: parcelpost queue %s %s\n", held ? "release" : "retry", mail_id);
        printf("             parcelpost queue bounce %s\n", mail_id);
        printf("             parcelpost queue remove %s\n", mail_id);
    }
}

/* As the queue runner names it: what waits for our own mailboxes rests together, but for transports that an alias leads
 * to and domains with a route block. */
static const char *destination_of(const struct story *story, const struct report_row *row) {
    const struct config *config = story->control->config;
    const char *target = story_raw(row, "target"), *domain = story_raw(row, "domain");
    if (strcmp(story_raw(row, "delivery"), "local") != 0) {
        return domain;
    }
    if (target[0] == '|') {
        return strcmp(target + 1, config->local_transport) == 0 ? "" : target;
    }
    return config_route_of(config, text_of(domain), false) != NULL ? domain : "";
}

static bool show_parcel(void *context, const struct report_row *row) {
    struct story *story = context;
    const char *to = story_value(row, "to_url"), *target = story_value(row, "target");
    bool refused = strcmp(story_raw(row, "state"), "refused") == 0;
    story->found = true;
    story->rows = 0;
    printf("\n  To <%s>%s%s: %s%s%s\n", to, strcmp(to, target) != 0 ? ", delivered to " : "",
           strcmp(to, target) != 0 ? target : "", story_value(row, "state"),
           story_raw(row, "delivery_msg")[0] != '\0' ? ": " : "", story_value(row, "delivery_msg"));
    if (refused) {
        printf("    The client was told so when it named the recipient; nothing was stored for it.\n");
        return true;
    }
    if (!report_run(story->database, REPORT_PARCEL_ATTEMPTS, story_raw(row, "id"), show_attempt, story)) {
        return false;
    }
    show_next(row);
    if (strcmp(story_raw(row, "state"), "deferred") == 0 || strcmp(story_raw(row, "state"), "queued") == 0) {
        (void)story_destination(story, destination_of(story, row));
    }
    show_advice(row, story->word);
    return true;
}

bool story_mail(struct story *story) {
    if (!report_run(story->database, REPORT_MAIL, story->word, show_mail, story)) {
        return false;
    }
    story->rows = 0;
    return (!story->found || report_run(story->database, REPORT_MAIL_VIOLATIONS, story->word, show_violation, story)) &&
           report_run(story->database, REPORT_MAIL_PARCELS, story->word, show_parcel, story);
}
