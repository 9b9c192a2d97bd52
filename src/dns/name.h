/* SPDX-License-Identifier: MIT
 * Reading numbers and names of a DNS message with bounds, and preparing names to ask. Private to this folder. */
#ifndef DNS_NAME_H
#define DNS_NAME_H
#include "dns/dns.h"
struct reader { /* at <= length */
    const unsigned char *bytes;
    size_t length, at;
};
/* Goes on by count bytes; false when there are not so many. */
bool reader_take(struct reader *reader, size_t count);
/* Big-endian numbers at a place that the caller has checked. */
unsigned reader_number16(const struct reader *reader, size_t at);
uint32_t reader_number32(const struct reader *reader, size_t at);
/* RFC 1035 4.1.4. The reader goes past the name as it stands here; the root is ".". *odd is set for names with bytes
 * that text cannot show or that would make it ambiguous. False when it is malformed: then name has no end. */
bool reader_name(struct reader *reader, char name[DNS_NAME_SIZE], bool *odd);
/* Lower case, without final dot; false when this is no name that can be asked: RFC 1035 2.3.4 lengths, an empty label,
 * a byte outside printable ASCII, a blank or a backslash. */
bool dns_name_prepare(struct text name, char prepared[DNS_NAME_SIZE]);
#endif
