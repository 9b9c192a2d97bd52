/* SPDX-License-Identifier: MIT
 * The manual page of the configuration lists exactly the keys of the table. With PARCELPOST_WRITE_MANUAL set it is
 * rewritten instead. Run from the top of the checkout; skipped elsewhere. */
#include "base/buffer.h"
#include "base/file.h"
#include "config/config.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE "man/parcelpost.conf.5"
#define BEGIN ".\\\" begin keys\n"
#define END ".\\\" end keys\n"

static void rewrite(const char *page, const char *begin, const char *end, const char *keys) {
    FILE *file = fopen(PAGE ".new", "w");
    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)(begin - page), page, keys, end);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(PAGE ".new", PAGE), 0);
}

static void the_page_lists_the_keys_of_the_table(void **state) {
    struct buffer page;
    char *keys = NULL;
    size_t length = 0;
    int fd = open(PAGE, O_RDONLY | O_CLOEXEC);
    (void)state;
    if (fd < 0) {
        skip();
    }
    buffer_init(&page, 1 << 20);
    assert_true(file_read_into(fd, &page));
    close(fd);
    FILE *stream = open_memstream(&keys, &length);
    assert_true(config_print_manual(stream));
    assert_int_equal(fclose(stream), 0);
    const char *begin = strstr(buffer_string(&page), BEGIN), *end = strstr(buffer_string(&page), END);
    assert_true(begin != NULL && end != NULL && begin < end);
    begin += strlen(BEGIN);
    if (getenv("PARCELPOST_WRITE_MANUAL") != NULL) {
        rewrite(page.data, begin, end, keys);
    } else if ((size_t)(end - begin) != length || memcmp(begin, keys, length) != 0) {
        fail_msg("the keys have changed; run this test once with PARCELPOST_WRITE_MANUAL=1");
    }
    free(keys);
    buffer_free(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_lists_the_keys_of_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
