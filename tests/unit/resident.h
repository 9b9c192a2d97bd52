/* SPDX-License-Identifier: MIT
 * The memory that a process has, in KiB: smaps_rollup counts page by page; statm may be behind. Include after cmocka.h.
 */
#ifndef TESTS_RESIDENT_H
#define TESTS_RESIDENT_H
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

static inline size_t resident_kib(pid_t pid) {
    char path[40], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            kib = strtoul(line + 4, NULL, 10);
        }
    }
    fclose(file);
    return kib;
}
#endif
