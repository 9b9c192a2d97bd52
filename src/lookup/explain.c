/* SPDX-License-Identifier: MIT
 * One question answered on standard output, with lookup's own functions and settings; what is wrong on the way is
 * logged to standard error. Reading only. */
#include "lookup/explain.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "lookup/alias.h"
#include "lookup/rules.h"
#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *words;
    enum exit_status status;
} outcomes[] = {
    [STANDING_REMOTE] = {"is in no domain of ours", EXIT_STATUS_OK},
    [STANDING_MEMBER] = {"goes to", EXIT_STATUS_OK},
    [STANDING_UNKNOWN] = {"is no user here: refused with 550 5.1.1", EXIT_STATUS_NO_USER},
    [STANDING_RETURN] = {"is a sender that we rewrote, and goes back to", EXIT_STATUS_OK},
    [STANDING_TEMPFAIL] = {"cannot be answered now: put off with 451 4.3.0", EXIT_STATUS_TEMPFAIL},
};

int lookup_explain(const struct config *config, const char *address, const char *sender) {
    struct lookup lookup = {.postmaster = ""};
    struct sql_rules files = {0};
    struct rules rules = {.config = config, .rules = &files};
    struct buffer error;
    struct targets targets;
    char canonical[ANSWER_ADDRESS_SIZE];
    log_start(STDERR_FILENO, "parcelpost", LOG_LEVEL_WARN);
    buffer_init(&error, 4096);
    if (!sql_rules_read(config->rules_directory, &files, &error) ||
        !sql_rules_check(&files, config->database, &error)) {
        log_error("the operator's rules are not asked: %s", buffer_string(&error));
    }
    buffer_free(&error);
    lookup_take_settings(&lookup, config);
    lookup.rules = &rules;
    targets_init(&targets, &lookup, text_of(sender));
    enum address_standing standing = alias_follow(&targets, text_of(address), canonical);
    printf("%s %s\n", address, outcomes[standing].words);
    for (size_t i = 0; i < targets.count; i++) {
        const struct target *target = &targets.items[i];
        printf("  %-6s  %s%s%s\n", target->delivery == DELIVERY_REMOTE ? "remote" : "local", target->address,
               target->sender[0] != '\0' ? "  from " : "", target->sender);
    }
    targets_free(&targets);
    source_close(&lookup.main);
    source_close(&lookup.users);
    rules_close(&rules);
    sql_rules_free(&files);
    return outcomes[standing].status;
}
