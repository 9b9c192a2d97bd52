/* SPDX-License-Identifier: MIT
 * Aligned output, see table.h. Called by the subcommands; keeps all rows until they are printed. */
#include "control/table.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

#define CELL_SIZE 512

struct table {
    const char *const *titles;
    size_t columns, count, capacity;
    size_t widths[REPORT_COLUMNS_MAXIMUM];
    char **cells; /* row after row */
};

struct table *table_new(const char *const *titles) {
    struct table *table = memory_new(1, sizeof(*table));
    table->titles = titles;
    while (titles[table->columns] != NULL && table->columns < REPORT_COLUMNS_MAXIMUM) {
        table->widths[table->columns] = strlen(titles[table->columns]);
        table->columns++;
    }
    return table;
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->count * table->columns; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void table_add(struct table *table, const char *const *values) {
    char cell[CELL_SIZE];
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        table->cells = memory_resize(table->cells, table->capacity * table->columns, sizeof(*table->cells));
    }
    for (size_t i = 0; i < table->columns; i++) {
        text_printable(cell, sizeof(cell), text_of(values[i]));
        size_t width = strlen(cell);
        table->widths[i] = width > table->widths[i] ? width : table->widths[i];
        table->cells[table->count * table->columns + i] = memory_string(text_of(cell));
    }
    table->count++;
}

bool table_add_row(void *table, const struct report_row *row) {
    const char *values[REPORT_COLUMNS_MAXIMUM] = {0};
    for (size_t i = 0; i < REPORT_COLUMNS_MAXIMUM; i++) {
        values[i] = i < row->count ? row->values[i] : "";
    }
    table_add(table, values);
    return true;
}

size_t table_count(const struct table *table) {
    return table->count;
}

static void print_line(const struct table *table, const char *const *cells, FILE *out) {
    for (size_t i = 0; i + 1 < table->columns; i++) {
        fprintf(out, "%-*s  ", (int)table->widths[i], cells[i]);
    }
    fprintf(out, "%s\n", cells[table->columns - 1]);
}

void table_print(const struct table *table, FILE *out) {
    if (table->count == 0) {
        return;
    }
    print_line(table, table->titles, out);
    for (size_t i = 0; i < table->count; i++) {
        print_line(table, (const char *const *)&table->cells[i * table->columns], out);
    }
}

bool table_print_fields(void *out, const struct report_row *row) {
    char value[CELL_SIZE * 4];
    for (size_t i = 0; i < row->count; i++) {
        if (row->values[i][0] != '\0') {
            fprintf(out, "%-16s %s\n", row->names[i], text_printable(value, sizeof(value), text_of(row->values[i])));
        }
    }
    return true;
}
