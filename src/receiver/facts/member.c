/* SPDX-License-Identifier: MIT
 * Asking about logins: the ledger about rates, lookup about addresses. Called by facts.c, confined, on headers from
 * anybody. A ledger that cannot be asked limits nobody; a lookup that cannot gives the temporary outcome. */
#include "receiver/facts/member.h"
#include "mail/header.h"
#include "mail/mailbox_list.h"
#include "receiver/session.h"
#include <string.h>

#define FROM_MAXIMUM 8192 /* bytes of a field that are read; one that is longer is refused */
#define ADDRESSES_MAXIMUM 50

static bool is_over(const struct session *session, enum contact_event event, long limit) {
    const struct contact_count question = {.contact = text_of(session->account), .network = TEXT_NONE, .event = event};

    return limit > 0 && session->account[0] != '\0' &&
           ask_contact_count(session->start->ledger, &question) != CONTACT_WITHIN;
}

void member_count_message(struct session *session) {
    session->facts.account_is_over = is_over(session, ACCOUNT_MESSAGE, session->config->account_message_rate);
}

void member_count_recipient(struct session *session) {
    session->facts.account_is_over = is_over(session, ACCOUNT_RECIPIENT, session->config->account_recipient_rate);
}

/* The worst of its addresses; a field with none, or with what is no address, is refused. */
static enum login_outcome check_field(struct session *session, const struct header_field *field, unsigned *asked) {
    char value[FROM_MAXIMUM], mailbox[MAILBOX_SIZE];
    enum login_outcome outcome = LOGIN_OK;
    unsigned before = *asked;
    struct address address;
    bool bad = !header_value(field, value, sizeof value);
    struct text rest = text_of(value);

    while (!bad && outcome == LOGIN_OK && mailbox_list_next(&rest, mailbox, &bad)) {
        bad = ++*asked > ADDRESSES_MAXIMUM || address_parse(text_of(mailbox), true, &address) != ADDRESS_OK;
        if (!bad)
            outcome = ask_may_send(session->start->lookup, session->account, mailbox);
        if (!bad && outcome == LOGIN_REFUSED)
            (void)text_printable(session->facts.header_from_shown, sizeof session->facts.header_from_shown,
                                 text_of(mailbox));
    }
    return bad || *asked == before ? LOGIN_REFUSED : outcome;
}

void member_check_header(struct session *session) {
    struct text section = message_header(&session->transaction.message);
    struct header_field field;
    unsigned asked = 0;

    session->facts.header_from = LOGIN_OK;
    session->facts.header_from_shown[0] = '\0';
    if (!session->config->header_from_check || session->account[0] == '\0')
        return;
    if (session->transaction.message.author_hidden)
        session->facts.header_from = LOGIN_REFUSED;
    while (session->facts.header_from == LOGIN_OK && header_next(&section, &field))
        if (text_equal_nocase(field.name, TEXT("From")))
            session->facts.header_from = check_field(session, &field, &asked);
}
