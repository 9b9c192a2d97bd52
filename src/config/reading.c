/* SPDX-License-Identifier: MIT
 * Collecting what is wrong with a configuration, so that all of it is reported at once and in the order of lines.
 * Called by the other files of config/; fails only for want of memory, which is fatal. */
#include "config/reading.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

#define ERROR_TEXT_MAXIMUM 2048

void reading_complain(struct reading *reading, const char *key, const char *accepted, const char *sentence) {
    unsigned line = reading_line(reading, NULL, 0, key);

    for (size_t i = 0; i < reading->error_count; i++)
        if (line > 0 && reading->errors[i].line == line)
            return;
    reading_add_error(reading, line, key, accepted, "%s", sentence);
}

void reading_init(struct reading *reading, struct config *config, const char *file) {
    *reading = (struct reading){.config = config, .file = file};
}

void reading_clear(struct reading *reading) {
    for (size_t i = 0; i < reading->error_count; i++)
        free(reading->errors[i].text);
    reading->error_count = 0;
    reading->place_count = 0;
}

void reading_free(struct reading *reading) {
    reading_clear(reading);
    free(reading->errors);
    free(reading->places);
}

void reading_add_error(struct reading *reading, unsigned line, const char *label, const char *accepted,
                       const char *format, ...) {
    struct buffer text;
    va_list list;

    buffer_init(&text, ERROR_TEXT_MAXIMUM);
    (void)buffer_append_string(&text, reading->file);
    if (line > 0)
        (void)buffer_format(&text, ":%u", line);
    (void)buffer_format(&text, ": %s: ", label);
    va_start(list, format);
    (void)buffer_format_list(&text, format, list);
    va_end(list);
    if (accepted != NULL)
        (void)buffer_format(&text, "; accepted: %s", accepted);
    for (size_t i = 0; i < text.length; i++) /* one error is one line */
        if ((unsigned char)text.data[i] < 0x20)
            text.data[i] = '?';
    reading->errors = memory_resize(reading->errors, reading->error_count + 1, sizeof reading->errors[0]);
    reading->errors[reading->error_count] =
        (struct reading_error){line, (unsigned)reading->error_count, memory_string(buffer_text(&text))};
    reading->error_count++;
    buffer_free(&text);
}

static int compare_errors(const void *left, const void *right) {
    const struct reading_error *a = left, *b = right;

    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void reading_report(struct reading *reading, struct buffer *errors) {
    if (reading->error_count > 1)
        qsort(reading->errors, reading->error_count, sizeof reading->errors[0], compare_errors);
    for (size_t i = 0; i < reading->error_count; i++)
        (void)buffer_format(errors, "%s\n", reading->errors[i].text);
}

void reading_set_place(struct reading *reading, const struct config_block *block, size_t element,
                       const struct config_key *key, unsigned line) {
    reading->places = memory_resize(reading->places, reading->place_count + 1, sizeof reading->places[0]);
    reading->places[reading->place_count++] = (struct reading_place){block, element, key, line};
}

static bool is_named(const char *wanted, const char *name) {
    return wanted == NULL ? name == NULL : name != NULL && strcmp(wanted, name) == 0;
}

unsigned reading_line(const struct reading *reading, const char *block, size_t element, const char *key) {
    for (size_t i = 0; i < reading->place_count; i++) {
        const struct reading_place *place = &reading->places[i];
        if (place->element == element && is_named(block, place->block != NULL ? place->block->name : NULL) &&
            is_named(key, place->key != NULL ? place->key->name : NULL))
            return place->line;
    }
    return 0;
}

const char *reading_label(char *label, size_t size, const struct config_block *block, const char *title,
                          const char *key) {
    struct buffer text;

    buffer_init(&text, size);
    if (block != NULL)
        (void)buffer_format(&text, "%s \"%s\"", block->name, title);
    if (key != NULL)
        (void)buffer_format(&text, "%s%s", block != NULL ? ": " : "", key);
    (void)text_copy(label, size, buffer_text(&text));
    buffer_free(&text);
    return label;
}
