/* SPDX-License-Identifier: MIT
 * The part of a notice that people read: what became of their message, in plain sentences, with the server's own words
 * below. Called by notice.c; everything that came from outside is made harmless and bounded. */
#include "base/clock.h"
#include "runner/notice_private.h"
#include <stdio.h>
#include <string.h>

#define TOLD_IN_WORDS 10 /* recipients; the machine's part has all */

static const struct {
    const char *subject;
    const char *opening; /* behind "Your message of DATE" */
} kinds[NOTICE_KINDS] = {
    [NOTICE_FAILED] = {"Undelivered Mail Returned to Sender",
                       "could not be delivered\r\nto the recipients below. It will not be tried again.\r\n"},
    [NOTICE_DELAYED] = {"Delayed Mail (delivery is still being tried)",
                        "has not been delivered yet\r\nto the recipients below. You need not send it again.\r\n"},
    [NOTICE_EXPANDED] = {"Mail Delivery Report: passed on",
                         "has arrived for the recipients below\r\nand was passed on to those that they stand for.\r\n"},
    [NOTICE_DELIVERED] = {"Mail Delivery Report: delivered", "was delivered to the recipients below.\r\n"},
    [NOTICE_RELAYED] = {"Mail Delivery Report: handed on",
                        "was handed to the mail servers of the recipients below.\r\n"
                        "These do not confirm deliveries: unless one of them reports a failure, you will hear\r\n"
                        "no more of it.\r\n"},
};

/* RFC 3463: subject and detail of the codes that are frequent; the first that fits. */
static const struct {
    const char *code; /* behind the class; "1" stands for all of that subject */
    const char *sentence;
} sentences[] = {
    {"1.1", "There is no such user at this address."},
    {"1.2", "The domain of this address does not exist."},
    {"1.3", "This is not a valid address there."},
    {"1.6", "This mailbox has moved."},
    {"1.10", "The domain of this address takes no mail at all."},
    {"1.8", "Your address is not accepted there as a sender's."},
    {"1.7", "Your address is not accepted there as a sender's."},
    {"1", "There is something wrong with this address."},
    {"2.1", "This mailbox is not in use."},
    {"2.2", "The mailbox is full."},
    {"2.3", "The message is too large for this mailbox."},
    {"3.4", "The message is too large for the recipient's server."},
    {"3.1", "The recipient's server has no room."},
    {"4.1", "The recipient's mail server could not be reached."},
    {"4.2", "The connection to the recipient's mail server was lost."},
    {"4.3", "The mail servers of this domain could not be found out (DNS)."},
    {"4.4", "There is no way to the recipient's mail server."},
    {"4.6", "The message runs in circles."},
    {"6.3", "The recipient's server does not take messages of this kind (8-bit or binary)."},
    {"6.7", "The recipient's server does not take addresses or headers beyond ASCII."},
    {"6", "The recipient's server cannot handle what the message holds."},
    {"7.4", "A secured connection to the recipient's mail server was not to be had."},
    {"7.30", "You asked for TLS all the way, and the recipient's server does not offer that."},
    {"7", "The recipient's server refuses this message: its rules or its judgement of the sender forbid it."},
};

const char *notice_sentence(const char *status) {
    struct text code = text_from(text_of(status), 2);
    struct text subject = text_first(code, text_find(code, '.'));
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        struct text row = text_of(sentences[i].code);
        if (text_equal(row, code) || text_equal(row, subject)) {
            return sentences[i].sentence;
        }
    }
    return "";
}

const char *notice_subject(const struct notice *notice) {
    return notice->copy ? "Postmaster Copy: Undelivered Mail" : kinds[notice->kind].subject;
}

/* "5 hours", in the unit that leaves at least two of it. */
static const char *duration(int64_t seconds, char words[40]) {
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t unit = 0;
    while (unit < 3 && seconds < 2 * units[unit].seconds) {
        unit++;
    }
    snprintf(words, 40, "%lld %s", (long long)(seconds / units[unit].seconds), units[unit].name);
    return words;
}

/* What the last reply means, without the class that an expiry gives it. */
static const char *meaning(const struct notice *notice, const struct notice_recipient *recipient) {
    struct notice_recipient last = *recipient;
    char status[12];
    if (notice->kind > NOTICE_DELAYED) {
        return "";
    }
    last.expired = false;
    notice_status(notice->kind, &last, status);
    return notice_sentence(status);
}

static bool put_line(struct buffer *out, const char *words) {
    return words[0] == '\0' || buffer_format(out, "    %s\r\n", words);
}

static bool put_recipient(const struct notice *notice, const struct notice_recipient *recipient, struct buffer *out) {
    char to[NOTICE_ADDRESS_ROOM], reply[NOTICE_REPLY_ROOM], since[40];
    bool fits = buffer_format(out, "\r\n<%s>", notice_shown_utf8(to, sizeof to, recipient->to_url));
    if (strcmp(recipient->to_url, recipient->target) != 0 && recipient->target[0] != '|' &&
        notice->kind != NOTICE_EXPANDED) {
        fits =
            fits && buffer_format(out, ", which stands for <%s>", notice_shown_utf8(to, sizeof to, recipient->target));
    }
    fits = fits && buffer_append_string(out, "\r\n");
    if (recipient->expired) {
        fits = fits && buffer_format(out, "    It was tried for %s, without success.\r\n",
                                     duration(notice->now - notice->tried_since, since));
    }
    if (notice->kind == NOTICE_DELAYED) {
        fits = fits && buffer_format(out, "    It has been tried for %s so far.\r\n",
                                     duration(notice->now - notice->tried_since, since));
    }
    fits = fits && put_line(out, meaning(notice, recipient));
    if (notice->kind == NOTICE_EXPANDED || recipient->reply.length == 0) {
        return fits;
    }
    notice_shown(reply, sizeof reply, recipient->reply);
    return fits && (recipient->from_server ? buffer_format(out, "    Its server said: %s\r\n", reply)
                                           : buffer_format(out, "    (%s)\r\n", reply));
}

static bool put_closing(const struct notice *notice, struct buffer *out) {
    char date[CLOCK_MAIL_SIZE], postmaster[NOTICE_ADDRESS_ROOM];
    bool fits = true;
    if (notice->kind == NOTICE_DELAYED) {
        clock_mail_date((time_t)notice->expires_at, date);
        fits = buffer_format(out,
                             "\r\nDelivery is tried until %s.\r\n"
                             "If it has not succeeded by then, you will be told.\r\n",
                             date);
    }
    return fits && buffer_format(out,
                                 "\r\n"
                                 "The next part tells the same to programs, the last one holds %s.\r\n"
                                 "Questions: <%s>, please with the id %s.\r\n",
                                 notice->whole ? "your message" : "the headers of your\r\nmessage",
                                 notice_shown_utf8(postmaster, sizeof postmaster, notice->postmaster), notice->mail_id);
}

bool notice_put_words(const struct notice *notice, struct buffer *out, size_t room) {
    char date[CLOCK_MAIL_SIZE], title[NOTICE_REPLY_ROOM], from[NOTICE_ADDRESS_ROOM];
    clock_mail_date((time_t)notice->arrived_at, date);
    bool fits = notice_put_part(notice, out, "Notification",
                                notice_has_utf8(notice) ? "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
                                                        : "text/plain; charset=us-ascii") &&
                buffer_format(out, "\r\nThis is the mail system of %s (%s).\r\n\r\n",
                              notice_shown(title, sizeof title, text_of(notice->server_title)), notice->server_name);
    if (notice->copy) {
        fits = fits && buffer_format(out, "A copy of what <%s> is told; only the headers are returned here.\r\n\r\n",
                                     notice_shown_utf8(from, sizeof from, notice->addressee));
    }
    fits = fits && buffer_format(out, "Your message of %s %s", date, kinds[notice->kind].opening);
    size_t told = 0, start = out->length;
    while (fits && told < notice->count && told < TOLD_IN_WORDS && out->length - start < room) {
        fits = put_recipient(notice, &notice->recipients[told++], out);
    }
    if (told < notice->count) {
        fits = fits && buffer_format(out, "\r\nand %zu more, listed in the next part.\r\n", notice->count - told);
    }
    return fits && put_closing(notice, out);
}
