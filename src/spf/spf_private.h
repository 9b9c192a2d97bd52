/* SPDX-License-Identifier: MIT
 * Private to this folder: one evaluation under way, and the terms of a record. */
#ifndef SPF_SPF_PRIVATE_H
#define SPF_SPF_PRIVATE_H
#include "spf/spf.h"

#define SPF_NAME_SIZE 512
#define SPF_NAME_MAXIMUM 253 /* RFC 7208 7.3 */
#define SPF_VALUES_MAXIMUM (64u * 1024)

struct spf_check {
    const struct spf_question *question;
    const char *local, *domain; /* of the sender, or what stands for it */
    char ip[NETWORK_IP_SIZE];
    bool v6;
    unsigned terms, voids; /* that asked DNS; that got nothing */
    unsigned client_names; /* how often they were asked for */
    bool too_many;         /* of them: a permanent error */
};

enum spf_mechanism {
    SPF_MECHANISM_ALL,
    SPF_MECHANISM_INCLUDE,
    SPF_MECHANISM_A,
    SPF_MECHANISM_MX,
    SPF_MECHANISM_PTR,
    SPF_MECHANISM_IP4,
    SPF_MECHANISM_IP6,
    SPF_MECHANISM_EXISTS,
    SPF_MECHANISMS,
    SPF_REDIRECT = SPF_MECHANISMS,
    SPF_EXPLANATION,
    SPF_OTHER_MODIFIER
};
struct spf_term {
    enum spf_mechanism mechanism; /* or a modifier */
    enum spf_result result;       /* by its qualifier */
    struct text domain;           /* its domain-spec, unexpanded; "" for none */
    struct network network;       /* ip4, ip6 */
    unsigned prefix4, prefix6;    /* a, mx */
};
/* ---- spf_term.c ---- */
/* False when the term is malformed (RFC 7208 4.6.1, 12). */
bool spf_term_parse(struct text text, struct spf_term *term);
/* ---- spf_macro.c ---- */
/* RFC 7208 7.1. True when it can be expanded in a name; nothing is asked. */
bool spf_macro_is_valid(struct text spec);
/* Expands it for this domain, shortened from the left to what fits a name. */
void spf_macro_expand(struct spf_check *check, struct text spec, const char *domain, char name[SPF_NAME_SIZE]);
/* ---- spf_dns.c ---- */
/* One question that counts against the limit of empty answers. */
enum spf_dns spf_ask(struct spf_check *check, const char *name, enum spf_type type, struct buffer *values);
/* Takes one value off. */
bool spf_next_value(struct text *values, struct text *value);
/* Whether an address of this name is within the client's prefix of that length. */
enum spf_dns spf_name_has_client(struct spf_check *check, const char *name, const struct spf_term *term, bool *match);
/* The client's names that lead back to it, ten at most: calls visit until it says true. */
typedef bool spf_visit_name(void *context, struct text name);
bool spf_client_names(struct spf_check *check, spf_visit_name *visit, void *context);
/* True for the name itself and those below it, in any case. */
bool spf_is_below(struct text name, struct text domain);
#endif
