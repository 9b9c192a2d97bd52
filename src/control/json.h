/* SPDX-License-Identifier: MIT
 * JSON (RFC 8259) on an output stream, in ASCII alone: whatever strangers wrote, a program can read it and a terminal
 * cannot be steered by it. */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H
#include "base/text.h"
#include "store/report.h"
#include <stdio.h>
/* A string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void json_string(FILE *out, struct text value);
/* {"column": value, …}; columns without a value are null. */
void json_row(FILE *out, const struct report_row *row);
/* Rows of a report as an array: zero it, json_array_begin, report_run with json_array_row, json_array_end. */
struct json_array {
    FILE *out;
    size_t count;
};
void json_array_begin(struct json_array *array, FILE *out);
bool json_array_row(void *array, const struct report_row *row); /* report_visit */
void json_array_end(struct json_array *array);
#endif
