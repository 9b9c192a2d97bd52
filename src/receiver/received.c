/* SPDX-License-Identifier: MIT
 * Making trace fields (RFC 5321 4.4). Called by transaction_store.c, confined; every value in them was checked when it
 * came in. Fails only when the buffer is full. */
#include "receiver/received.h"
#include "base/clock.h"
#include "mail/header.h"
#include <string.h>

const char *received_protocol(bool lmtp, bool extended, bool tls, bool authenticated, bool utf8) {
    static const char *const words[][4] = {
        {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
        {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
        {"LMTP", "LMTPS", "LMTPA", "LMTPSA"},
        {"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"},
    };

    if (!extended && !tls && !authenticated)
        return "SMTP";
    return words[(lmtp ? 2u : 0u) + (utf8 ? 1u : 0u)][(tls ? 1u : 0u) + (authenticated ? 2u : 0u)];
}

/* TCP-info = address-literal / ( Domain FWS address-literal ) */
static bool append_from(struct buffer *headers, const struct envelope *envelope) {
    bool v6 = strchr(envelope->remote_ip, ':') != NULL;
    char literal[96];

    (void)text_format(literal, sizeof literal, "[%s%.64s]", v6 ? "IPv6:" : "", envelope->remote_ip);
    return buffer_format(headers, "Received: from %s (%s%s%s)\r\n",
                         envelope->ehlo[0] != '\0' ? envelope->ehlo : literal, envelope->remote_name,
                         envelope->remote_name[0] != '\0' ? " " : "", literal);
}

/* One RCPT, wherever an alias made it lead: nobody learns of other recipients by it. */
static bool is_for_one(const struct envelope *envelope) {
    for (size_t i = 1; i < envelope->recipient_count; i++)
        if (strcmp(envelope->recipients[i].to_url, envelope->recipients[0].to_url) != 0)
            return false;
    return envelope->recipient_count > 0;
}

bool received_format(struct buffer *headers, const struct envelope *envelope, const char *server_name,
                     int64_t local_uid) {
    char date[CLOCK_MAIL_SIZE];
    bool fits;

    clock_mail_date((time_t)envelope->received_at, date);
    if (local_uid >= 0)
        fits = buffer_format(headers, "Received: from %s (uid %lld)\r\n",
                             strcmp(envelope->role, "lmtp") == 0 ? envelope->ehlo : server_name, (long long)local_uid);
    else
        fits = append_from(headers, envelope);
    fits = fits && buffer_format(headers, "\tby %s (Parcelpost) with %s", server_name, envelope->protocol);
    if (envelope->solicit[0] != '\0') /* RFC 3865 2.6 */
        fits = fits && buffer_format(headers, " (SOLICIT=%s)\r\n\t", envelope->solicit);
    else
        fits = fits && buffer_append_byte(headers, ' ');
    fits = fits && buffer_format(headers, "id %s", envelope->mail_id);
    if (envelope->tls[0] != '\0')
        fits = fits && buffer_format(headers, "\r\n\t(%s)", envelope->tls);
    if (is_for_one(envelope))
        fits = fits && buffer_format(headers, "\r\n\tfor <%s>", envelope->recipients[0].to_url);
    return fits && buffer_format(headers, ";\r\n\t%s\r\n", date);
}

bool received_add_missing(struct buffer *headers, struct text section, struct envelope *envelope,
                          const char *server_name) {
    struct header_field field;
    char date[CLOCK_MAIL_SIZE];
    char made[512];

    if (!header_find(section, "Date", &field)) {
        clock_mail_date((time_t)envelope->received_at, date);
        if (!buffer_format(headers, "Date: %s\r\n", date))
            return false;
    }
    if (header_find(section, "Message-ID", &field))
        return true;
    (void)text_format(made, sizeof made, "<%s@%s>", envelope->mail_id, server_name);
    envelope_set(&envelope->message_id, text_of(made));
    return buffer_format(headers, "Message-ID: %s\r\n", made);
}

bool received_results(struct buffer *headers, const char *server_name, struct text results) {
    bool fits = buffer_format(headers, "Authentication-Results: %s", server_name);
    struct text result;

    while (fits && text_split(&results, ';', &result))
        fits = buffer_format(headers, ";\r\n\t%.*s", TEXT_ARGS(text_trim(result)));
    return fits && buffer_append_string(headers, "\r\n");
}
