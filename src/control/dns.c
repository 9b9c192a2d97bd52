/* SPDX-License-Identifier: MIT
 * `parcelpost dns query`: what the server's own name servers answer, asked the way the server asks. */
#include "base/network.h"
#include "control/control.h"
#include "control/question.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    enum dns_question_type type;
} types[] = {
    {"a", DNS_ASK_A},     {"aaaa", DNS_ASK_AAAA}, {"mx", DNS_ASK_MX},
    {"txt", DNS_ASK_TXT}, {"ptr", DNS_ASK_PTR},   {"dnsbl", DNS_ASK_A},
};

struct printing {
    enum dns_question_type type;
};

static void print_item(void *context, const struct dns_item *item) {
    const struct printing *printing = context;
    char value[1024];
    text_printable(value, sizeof(value), item->value);
    if (printing->type == DNS_ASK_MX) {
        printf("%u %s\n", item->preference, value);
    } else {
        puts(value);
    }
}

/* ptr and dnsbl take an address and ask for its reversed name. */
static bool question_name(const char *word, int count, char **arguments, char *name, size_t size) {
    if (strcmp(word, "dnsbl") == 0) {
        return count > 2 && network_reverse_name(text_of(arguments[1]), arguments[2], name, size);
    }
    if (strcmp(word, "ptr") == 0) {
        return network_reverse_name(text_of(arguments[1]), NULL, name, size);
    }
    return count == 2 && text_copy(name, size, text_of(arguments[1]));
}

int control_dns_query(struct control *control, int count, char **arguments) {
    char name[DNS_NAME_SIZE];
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].word, arguments[0]) != 0) {
            continue;
        }
        if (!question_name(types[i].word, count, arguments, name, sizeof(name))) {
            return control_fail(EXIT_STATUS_USAGE,
                                "ptr takes an IP address, dnsbl an IP address and the list's zone, the "
                                "others a name");
        }
        struct printing printing = {types[i].type};
        enum dns_outcome outcome = question_ask(control->config, name, types[i].type, print_item, &printing);
        if (outcome == DNS_OUTCOME_FOUND) {
            return EXIT_STATUS_OK;
        }
        bool passing = outcome == DNS_OUTCOME_FAILED || outcome == DNS_OUTCOME_TIMEOUT;
        return control_fail(passing ? EXIT_STATUS_TEMPFAIL : EXIT_STATUS_ERROR, "%s: %s", name,
                            question_outcome_words(outcome));
    }
    return control_fail(EXIT_STATUS_USAGE, "\"%s\" cannot be asked; a, aaaa, mx, txt, ptr or dnsbl can", arguments[0]);
}
