/* SPDX-License-Identifier: MIT
 * A file of addresses, named by an alias. Private to this folder. */
#ifndef LOOKUP_ALIAS_FILE_H
#define LOOKUP_ALIAS_FILE_H
#include "base/buffer.h"
#include <stdbool.h>
#define ALIAS_FILE_MAXIMUM (1024u * 1024)
/* The file's content; false when it cannot be read, which is logged. Read anew each time: it may have changed. */
bool alias_file_read(const char *path, struct buffer *content);
/* Takes the next address off the content: one a line, blanks around it and lines that begin with '#' are skipped. */
bool alias_file_next(struct text *content, struct text *address);
#endif
