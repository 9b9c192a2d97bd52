/* SPDX-License-Identifier: MIT
 * Answering for those who are away, when a message has reached their mailbox. Called with a job's outcomes before its
 * content is let go. Who was answered is what the tables say: mail of the role vacation, in his name, to this
 * correspondent; answers on their way to the tables are remembered here. A database error means no answer. */
#include "base/log.h"
#include "mail/header.h"
#include "runner/asked.h"
#include "runner/notice_route.h"
#include "runner/runner_private.h"
#include "runner/vacation.h"
#include "store/aliases.h"
#include <stdio.h>
#include <string.h>

#define DAY 86400
#define ROWS_MAXIMUM (32u * 1024) /* bytes of one row */
#define ANSWER_MAXIMUM (48u * 1024)
#define NOTICES_MOST 8 /* of one MAIL_RESULT */
#define OWNER_SIZE 512
#define ON_ITS_WAY 600 /* seconds: later it is in the tables, or never will be */

struct away { /* one recipient who is */
    const struct parcel *parcel;
    char account[OWNER_SIZE];
    struct vacation_row row;
    struct buffer text; /* the row's strings */
};

static const char *const verdicts[] = {
    [VACATION_NO_SENDER] = "its sender is a program's",
    [VACATION_LIST] = "it came by a list",
    [VACATION_AUTOMATIC] = "it is automatic",
    [VACATION_NOT_ADDRESSED] = "it is not addressed to him",
};

static bool is_away(struct runner *runner, const struct record_outcome *outcome, struct away *away) {
    const struct parcel *parcel = outcome->parcel;
    if (outcome->item.kind != RESULT_DELIVERED || parcel->target[0] == '|') {
        return false;
    }
    away->parcel = parcel;
    vacation_owner(parcel->target, runner->config->recipient_delimiter, away->account, sizeof away->account);
    enum aliases_found found =
        vacations_find(runner->database, text_of(away->account), (int64_t)time(NULL), &away->text, &away->row);
    if (found == ALIASES_ERROR) {
        log_error("whether %s is away cannot be read: %s", away->account, database_error(runner->database));
    }
    return found == ALIASES_YES;
}

/* FNV-1a over both, without case. */
static uint64_t pair_of(const char *account, const char *correspondent) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *const both[] = {account, correspondent};
    for (size_t i = 0; i < 2; i++) {
        for (const char *byte = both[i]; *byte != '\0'; byte++) {
            hash =
                (hash ^ (unsigned char)(*byte >= 'A' && *byte <= 'Z' ? *byte + 32 : *byte)) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* In the tables, or on its way there. */
static bool was_answered(struct runner *runner, const struct away *away, const char *correspondent) {
    int64_t now = (int64_t)time(NULL);
    uint64_t pair = pair_of(away->account, correspondent);
    for (size_t i = 0; i < VACATION_MEMORY; i++) {
        if (runner->answered[i].pair == pair && runner->answered[i].at > now - ON_ITS_WAY) {
            return true;
        }
    }
    return vacations_answered(runner->database, text_of(away->account), text_of(correspondent),
                              now - away->row.days * DAY) != ALIASES_NO;
}

static void remember(struct runner *runner, const struct away *away, const char *correspondent) {
    runner->answered[runner->answered_next++ % VACATION_MEMORY] =
        (struct answered){.pair = pair_of(away->account, correspondent), .at = (int64_t)time(NULL)};
}

static size_t count_notices(const struct job *job) {
    struct text list = buffer_text(&job->notices);
    struct notice_item item;
    size_t count = 0;
    bool bad = false;
    while (list_next_notice(&list, &item, &bad)) {
        count++;
    }
    return count;
}

static bool add_answer(struct job *job, const struct vacation_answer *answer) {
    struct notice_lengths lengths = {0};
    struct buffer cargo;
    buffer_init(&cargo, ANSWER_MAXIMUM);
    bool good = count_notices(job) < NOTICES_MOST && vacation_build(answer, &cargo, &lengths) &&
                record_add_mail(job, &cargo, &lengths);
    buffer_free(&cargo);
    return good;
}

static void answer(struct runner *runner, struct job *job, const struct away *away, struct text header) {
    const struct envelope *envelope = &job->envelope;
    struct vacation_answer answer = {
        .server_name = runner->config->server_name,
        .account = away->account,
        .correspondent = envelope->from_url,
        .subject = away->row.subject,
        .message = away->row.message,
        .header = header,
        .requiretls = envelope->requiretls != 0,
        .tls_optional = envelope->tls_optional != 0,
        .now = (int64_t)time(NULL),
    };
    struct buffer targets;
    char kind[40];
    buffer_init(&targets, NOTICE_ROUTE_MAXIMUM);
    if (envelope->sender_targets[0] != '\0') {
        (void)buffer_append_string(&targets, envelope->sender_targets);
    } else {
        notice_route(runner->config, runner->database, envelope->from_url, &targets);
    }
    answer.targets = buffer_text(&targets);
    (void)snprintf(kind, sizeof kind, "vacation %u", away->parcel->recipient);
    mail_id_derive(job->mail_id, 0, kind, (unsigned)runner->config->mail_id_base, answer.id);
    if (add_answer(job, &answer)) {
        remember(runner, away, envelope->from_url);
        log_info("%s: %s is away: answer %s to <%s>", job->mail_id, away->account, answer.id, envelope->from_url);
    } else {
        log_warn("%s: %s is away, but the answer to <%s> does not fit beside the notices", job->mail_id, away->account,
                 envelope->from_url);
    }
    buffer_free(&targets);
}

static void consider(struct runner *runner, struct job *job, const struct away *away) {
    const struct envelope_recipient *recipient = &job->envelope.recipients[away->parcel->recipient];
    const char *const addresses[] = {away->account, recipient->target, recipient->to_url};
    struct buffer header;
    enum vacation_verdict verdict = VACATION_LIST;
    buffer_init(&header, NOTICE_HEADERS_MAXIMUM);
    if (!envelope_has_owner(recipient) && record_read_header(job, &header)) {
        const struct vacation_question question = {.sender = job->envelope.from_url,
                                                   .header = buffer_text(&header),
                                                   .addresses = addresses,
                                                   .count = sizeof addresses / sizeof addresses[0]};
        verdict = job->envelope.auto_generated != 0 ? VACATION_AUTOMATIC : vacation_judge(&question);
    }
    if (verdict != VACATION_ANSWERS) {
        log_info("%s: %s is away, but is not answered for: %s", job->mail_id, away->account, verdicts[verdict]);
    } else if (!was_answered(runner, away, job->envelope.from_url)) {
        answer(runner, job, away, buffer_text(&header));
    }
    buffer_free(&header);
}

void record_vacations(struct runner *runner, struct job *job, const struct record_outcome *outcomes) {
    struct away away;
    if (job->destination->elsewhere || !job->has_content || job->envelope.from_url[0] == '\0') {
        return;
    }
    buffer_init(&away.text, ROWS_MAXIMUM);
    for (size_t i = 0; i < job->count; i++) {
        if (is_away(runner, &outcomes[i], &away)) {
            consider(runner, job, &away);
        }
    }
    buffer_free(&away.text);
}
