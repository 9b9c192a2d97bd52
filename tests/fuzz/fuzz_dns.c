/* SPDX-License-Identifier: MIT
 * Fuzz target: DNS answers, and names to be asked. */
#include "dns/message.h"
#include "dns/name.h"
#include "fuzz.h"

static void fuzz_start(void) {
}

static void fuzz_one(struct text input) {
    static const enum dns_question_type types[] = {DNS_ASK_A, DNS_ASK_PTR, DNS_ASK_MX, DNS_ASK_TXT, DNS_ASK_AAAA};
    enum dns_question_type type = types[fuzz_byte(&input) % (sizeof types / sizeof types[0])];
    char name[DNS_NAME_SIZE];

    if (!dns_name_prepare(fuzz_piece(&input), name))
        (void)text_copy(name, sizeof name, TEXT("a.test"));
    const unsigned char *bytes = (const unsigned char *)input.data;
    struct dns_reply *reply = dns_message_read(bytes, input.length, name, type);
    FUZZ_CHECK(reply != NULL);
    FUZZ_CHECK((reply->outcome == DNS_OUTCOME_FOUND) == (reply->count > 0));
    size_t bytes_seen = 0;
    for (size_t i = 0; i < reply->count; i++)
        for (size_t k = 0; k < reply->items[i].value.length; k++)
            bytes_seen += (unsigned char)reply->items[i].value.data[k] != 0;
    FUZZ_CHECK(bytes_seen <= 20 * 65536);
    (void)dns_message_rcode(bytes, input.length);
    dns_reply_free(reply);
}
