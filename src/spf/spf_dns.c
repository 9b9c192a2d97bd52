/* SPDX-License-Identifier: MIT
 * What SPF asks of DNS, counted (RFC 7208 4.6.4). Called by spf.c and spf_macro.c; the questions themselves are the
 * caller's of spf_check. */
#include "spf/spf_private.h"
#include <stdio.h>
#include <string.h>

#define VOIDS_MAXIMUM 2
#define NAMES_MAXIMUM 10
#define TIMES_MAXIMUM 10 /* that they are asked for: macros do not count as terms, and a record holds many */

/* A name that is too long, which macros may come to in one label, has no records. */
enum spf_dns spf_ask(struct spf_check *check, const char *name, enum spf_type type, struct buffer *values) {
    enum spf_dns found = strlen(name) > SPF_NAME_MAXIMUM
                             ? SPF_DNS_NONE
                             : check->question->look_up(check->question->context, name, type, values);

    if (found == SPF_DNS_NONE && ++check->voids > VOIDS_MAXIMUM)
        check->too_many = true;
    return found;
}

/* Values end in NUL; one within a TXT becomes what no record may hold either. */
bool spf_add_value(struct buffer *values, struct text value) {
    for (size_t i = 0; i < value.length; i++)
        if (!buffer_append_byte(values, value.data[i] == '\0' ? '\x01' : value.data[i]))
            return false;
    return buffer_append_byte(values, '\0');
}

bool spf_next_value(struct text *values, struct text *value) {
    return text_split(values, '\0', value);
}

static bool is_client(const struct spf_check *check, struct text ip, unsigned prefix) {
    char written[NETWORK_IP_SIZE + 8];
    struct network network;

    (void)snprintf(written, sizeof written, "%.*s/%u", TEXT_ARGS(text_first(ip, NETWORK_IP_SIZE - 1)), prefix);
    return network_parse(text_of(written), &network) && network_contains(&network, check->question->client);
}

enum spf_dns spf_name_has_client(struct spf_check *check, const char *name, const struct spf_term *term, bool *match) {
    struct buffer values;
    struct text rest, ip;
    unsigned prefix = check->v6 ? term->prefix6 : term->prefix4;

    buffer_init(&values, SPF_VALUES_MAXIMUM);
    enum spf_dns found = spf_ask(check, name, check->v6 ? SPF_TYPE_AAAA : SPF_TYPE_A, &values);
    rest = buffer_text(&values);
    while (found == SPF_DNS_FOUND && !*match && spf_next_value(&rest, &ip))
        *match = is_client(check, ip, prefix);
    buffer_free(&values);
    return found;
}

bool spf_is_below(struct text name, struct text domain) {
    if (text_equal_nocase(name, domain))
        return true;
    return name.length > domain.length && text_ends_nocase(name, domain) &&
           name.data[name.length - domain.length - 1] == '.';
}

/* RFC 7208 5.5: errors on the way are no match. */
bool spf_client_names(struct spf_check *check, spf_visit_name *visit, void *context) {
    static const struct spf_term exact = {.prefix4 = 32, .prefix6 = 128};
    struct buffer values;
    struct text rest, value;
    char name[SPF_NAME_SIZE];
    bool done = false;

    buffer_init(&values, SPF_VALUES_MAXIMUM);
    if (++check->client_names > TIMES_MAXIMUM || !network_reverse_name(text_of(check->ip), NULL, name, sizeof name) ||
        spf_ask(check, name, SPF_TYPE_PTR, &values) != SPF_DNS_FOUND)
        values.length = 0;
    rest = buffer_text(&values);
    for (unsigned i = 0; i < NAMES_MAXIMUM && !done && spf_next_value(&rest, &value); i++) {
        const unsigned voids = check->voids; /* names that lead nowhere are passed over, not counted */
        const bool too_many = check->too_many;
        bool leads_back = false;
        if (text_copy(name, sizeof name, value) &&
            spf_name_has_client(check, name, &exact, &leads_back) == SPF_DNS_FOUND && leads_back)
            done = visit(context, text_of(name));
        check->voids = voids;
        check->too_many = too_many;
    }
    buffer_free(&values);
    return done;
}
