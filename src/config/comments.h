/* SPDX-License-Identifier: MIT
 * Private to config/: taking the comments out of a file's text. */
#ifndef CONFIG_COMMENTS_H
#define CONFIG_COMMENTS_H
/* Overwrites comments with blanks, line breaks stay. 0, or the line in which a comment, string or brace begins that is
 * never closed. */
unsigned comments_blank(char *text);
#endif
