/* SPDX-License-Identifier: MIT
 * The envelope's string fields as a table: the key in the text form and the place in the struct. Private to mail/. */
#ifndef MAIL_ENVELOPE_FIELDS_H
#define MAIL_ENVELOPE_FIELDS_H
#include "mail/envelope.h"
#include <stddef.h>
struct envelope_field {
    const char *key;
    size_t place; /* of a char * in struct envelope */
};
#define ENVELOPE_STRINGS 21
extern const struct envelope_field envelope_fields[ENVELOPE_STRINGS];
/* The string of the field with this number in the table. */
char **envelope_string(struct envelope *envelope, size_t number);
#endif
