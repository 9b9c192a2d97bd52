/* SPDX-License-Identifier: MIT
 * Reads DNS messages: sections, records, what they say about a name. Called by dns.c with bytes from the network, in
 * the resolver, unprivileged. What is malformed or cut gives DNS_OUTCOME_FAILED, never a wrong "does not exist". */
#include "dns/message.h"
#include "dns/name.h"
#include "dns/reply.h"
#include <arpa/inet.h>
#include <string.h>

#define HEADER_LENGTH 12u
#define FLAGS_KIND 0xfau /* QR, OPCODE and TC in the third byte */
#define FLAGS_ANSWER 0x80u
#define TYPE_NS 2u
#define TYPE_CNAME 5u
#define TYPE_SOA 6u
#define CLASS_IN 1u
#define RCODE_NOERROR 0
#define RCODE_NXDOMAIN 3
#define CHAIN_MAXIMUM 16u        /* CNAMEs followed */
#define NEGATIVE_TTL_UNKNOWN 60u /* no SOA in a negative answer */

struct record {
    char owner[DNS_NAME_SIZE];
    unsigned type, class;
    uint32_t ttl;
    size_t data, data_length; /* place in the message */
};
struct answer {          /* one message being understood */
    struct reader start; /* at the first answer record */
    unsigned answer_count, authority_count;
    int rcode;
    bool authoritative, authentic;
};

static bool read_record(struct reader *reader, struct record *record) {
    bool odd;
    if (!reader_name(reader, record->owner, &odd)) {
        return false;
    }
    size_t fixed = reader->at;
    if (!reader_take(reader, 10)) {
        return false;
    }
    record->type = reader_number16(reader, fixed);
    record->class = reader_number16(reader, fixed + 2);
    record->ttl = reader_number32(reader, fixed + 4);
    if (record->ttl > INT32_MAX) { /* RFC 2181 8 */
        record->ttl = 0;
    }
    record->data_length = reader_number16(reader, fixed + 8);
    record->data = reader->at;
    return reader_take(reader, record->data_length);
}

static bool record_is(const struct record *record, unsigned type, const char *owner) {
    return record->type == type && record->class == CLASS_IN &&
           text_equal_nocase(text_of(record->owner), text_of(owner));
}

/* A name inside a record's data; *odd as in read_name. False when it is cut or leaves the data. */
static bool data_name(const struct answer *answer, const struct record *record, size_t skip, char name[DNS_NAME_SIZE],
                      bool *odd) {
    struct reader reader = {answer->start.bytes, answer->start.length, record->data + skip};
    return skip < record->data_length && reader_name(&reader, name, odd) &&
           reader.at <= record->data + record->data_length;
}

/* Goes to the end of the CNAME chain in the answer; true when nothing was malformed. */
static bool follow_chain(const struct answer *answer, char target[DNS_NAME_SIZE], uint32_t *ttl) {
    for (unsigned links = 0; links <= CHAIN_MAXIMUM; links++) {
        struct reader reader = answer->start;
        struct record record;
        bool followed = false;
        for (unsigned i = 0; i < answer->answer_count && !followed; i++) {
            if (!read_record(&reader, &record)) {
                return false;
            }
            if (record_is(&record, TYPE_CNAME, target)) {
                bool odd;
                if (!data_name(answer, &record, 0, target, &odd) || odd) {
                    return false;
                }
                *ttl = record.ttl < *ttl ? record.ttl : *ttl;
                followed = true;
            }
        }
        if (!followed) {
            return true;
        }
    }
    return false; /* a loop */
}

static bool add_address(struct dns_reply *reply, int family, const struct answer *answer, const struct record *record) {
    char text[INET6_ADDRSTRLEN];
    if (record->data_length != (family == AF_INET ? 4u : 16u) ||
        inet_ntop(family, answer->start.bytes + record->data, text, sizeof text) == NULL) {
        return false;
    }
    return dns_reply_add(reply, 0, text_of(text));
}

static bool add_name(struct dns_reply *reply, const struct answer *answer, const struct record *record, size_t skip) {
    char name[DNS_NAME_SIZE];
    bool odd;
    if (!data_name(answer, record, skip, name, &odd) || odd) {
        return false;
    }
    unsigned preference = skip == 2 ? reader_number16(&answer->start, record->data) : 0;
    return dns_reply_add(reply, preference, text_of(name));
}

/* RFC 1035 3.3.14: one or more strings of a length byte each, joined. */
static bool add_text(struct dns_reply *reply, const struct answer *answer, const struct record *record) {
    char joined[UINT16_MAX];
    size_t used = 0, at = record->data, end = record->data + record->data_length;
    while (at < end) {
        size_t length = answer->start.bytes[at++];
        if (length > end - at) {
            return false;
        }
        memcpy(joined + used, answer->start.bytes + at, length);
        used += length;
        at += length;
    }
    return dns_reply_add(reply, 0, (struct text){joined, used});
}

static bool add_record(struct dns_reply *reply, const struct answer *answer, const struct record *record) {
    switch (record->type) {
    case DNS_ASK_A:
        return add_address(reply, AF_INET, answer, record);
    case DNS_ASK_AAAA:
        return add_address(reply, AF_INET6, answer, record);
    case DNS_ASK_PTR:
        return add_name(reply, answer, record, 0);
    case DNS_ASK_MX:
        return add_name(reply, answer, record, 2);
    case DNS_ASK_TXT:
        return add_text(reply, answer, record);
    default:
        return false;
    }
}

/* Takes the records of this owner and type; *seen counts those that could not be shown too. False when malformed. */
static bool collect(const struct answer *answer, const char *owner, unsigned type, struct dns_reply *reply,
                    unsigned *seen) {
    struct reader reader = answer->start;
    struct record record;
    for (unsigned i = 0; i < answer->answer_count; i++) {
        if (!read_record(&reader, &record)) {
            return false;
        }
        if (record_is(&record, type, owner)) {
            (*seen)++;
            if (add_record(reply, answer, &record) && record.ttl < reply->ttl) {
                reply->ttl = record.ttl;
            }
        }
    }
    return true;
}

/* RFC 2308 5: a negative answer lives as long as the smaller of the SOA's TTL and its MINIMUM. *proven: an SOA stands
 * there, or nothing that makes this a mere referral (RFC 2308 2.2). */
static bool read_authority(const struct answer *answer, uint32_t *ttl, bool *proven) {
    struct reader reader = answer->start;
    struct record record;
    bool soa = false, servers = false;
    for (unsigned i = 0; i < answer->answer_count + answer->authority_count; i++) {
        if (!read_record(&reader, &record)) {
            return false;
        }
        if (i < answer->answer_count || record.class != CLASS_IN) {
            continue;
        }
        servers = servers || record.type == TYPE_NS;
        if (record.type == TYPE_SOA && record.data_length >= 22) {
            uint32_t minimum = reader_number32(&reader, record.data + record.data_length - 4);
            *ttl = minimum < record.ttl ? minimum : record.ttl;
            soa = true;
        }
    }
    *proven = soa || answer->authoritative || !servers;
    return true;
}

static void set_negative(const struct answer *answer, struct dns_reply *reply) {
    bool proven = false;
    uint32_t ttl = NEGATIVE_TTL_UNKNOWN;
    if (!read_authority(answer, &ttl, &proven)) {
        return;
    }
    reply->ttl = ttl;
    if (answer->rcode == RCODE_NXDOMAIN) {
        reply->outcome = DNS_OUTCOME_NO_NAME;
    } else if (proven) {
        reply->outcome = DNS_OUTCOME_NO_DATA;
    }
}

static bool read_start(const unsigned char *bytes, size_t length, struct answer *answer) {
    struct reader reader = {bytes, length, 0};
    char name[DNS_NAME_SIZE];
    bool odd;
    if (!reader_take(&reader, HEADER_LENGTH) || (bytes[2] & FLAGS_KIND) != FLAGS_ANSWER) {
        return false; /* also our question, sent back, and what is truncated even over TCP (RFC 2181 9) */
    }
    answer->rcode = dns_message_rcode(bytes, length);
    answer->authoritative = (bytes[2] & 0x04u) != 0;
    answer->authentic = (bytes[3] & 0x20u) != 0; /* RFC 6840 5.7 */
    unsigned questions = reader_number16(&reader, 4);
    answer->answer_count = reader_number16(&reader, 6);
    answer->authority_count = reader_number16(&reader, 8);
    for (unsigned i = 0; i < questions; i++) {
        if (!reader_name(&reader, name, &odd) || !reader_take(&reader, 4)) {
            return false;
        }
    }
    answer->start = reader;
    return true;
}

struct dns_reply *dns_message_read(const unsigned char *bytes, size_t length, const char *name,
                                   enum dns_question_type type) {
    struct dns_reply *reply = dns_reply_new(DNS_OUTCOME_FAILED);
    struct answer answer = {0};
    char target[DNS_NAME_SIZE];
    unsigned seen = 0;
    if (!read_start(bytes, length, &answer) || (answer.rcode != RCODE_NOERROR && answer.rcode != RCODE_NXDOMAIN)) {
        return reply;
    }
    reply->authentic = answer.authentic;
    reply->ttl = UINT32_MAX;
    (void)text_copy(target, sizeof target, text_of(name));
    bool whole = follow_chain(&answer, target, &reply->ttl) && collect(&answer, target, (unsigned)type, reply, &seen);
    if (whole && reply->count > 0 && answer.rcode == RCODE_NOERROR) {
        reply->outcome = DNS_OUTCOME_FOUND;
        dns_reply_finish(reply);
        return reply;
    }
    reply->count = 0; /* records beside NXDOMAIN, or in half an answer, are nobody's */
    if (!whole || seen > 0) {
        return reply; /* target may be half a name, without an end */
    }
    bool of_others =
        answer.answer_count > 0 && text_equal(text_of(target), text_of(name)); /* no alias, and yet records */
    if (!of_others) {
        set_negative(&answer, reply);
    }
    return reply;
}

int dns_message_rcode(const unsigned char *bytes, size_t length) {
    return length < HEADER_LENGTH ? -1 : bytes[3] & 0x0f;
}
