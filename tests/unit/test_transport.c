/* SPDX-License-Identifier: MIT
 * The table of transports, and the maildir transport's folders and files. */
#include "agent/maildir.h"
#include "agent/program.h"
#include "agent/transport.h"
#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static char empty[] = "";
static char pattern[] = "/mail/%d/%u";
static char endpoint[] = "127.0.0.1:24";

static void the_table_is_complete_and_its_names_are_unique(void **state) {
    (void)state;
    assert_int_equal(transport_count, 5);
    for (size_t i = 0; i < transport_count; i++) {
        assert_non_null(transports[i]->name);
        assert_non_null(transports[i]->deliver);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(transports[i]->name, transports[j]->name);
        }
    }
}

static void names_lead_to_rows_and_targets(void **state) {
    static char archive[] = "archive", maildir[] = "maildir", target[] = "/archive/%u", user[] = "archive";
    static char odd[] = "odd", kind[] = "pigeon";
    static char program[] = "procmail", pipe[] = "pipe", command[] = "/usr/bin/procmail -m /etc/rc";
    struct config_transport blocks[] = {{.name = archive, .kind = maildir, .target = target, .user = user},
                                        {.name = odd, .kind = kind, .target = empty, .user = empty},
                                        {.name = program, .kind = pipe, .target = command, .user = user}};
    struct config config = {
        .lmtp = endpoint, .maildir = pattern, .transports = blocks, .transport_count = COUNT_OF(blocks)};
    static const struct {
        const char *name, *row, *target; /* row NULL: there is none */
    } rows[] = {
        {"lmtp", "lmtp", "127.0.0.1:24"},
        {"smtp", "smtp", ""},
        {"maildir", "maildir", "/mail/%d/%u"},
        {"null", "null", ""},
        {"archive", "maildir", "/archive/%u"},
        {"procmail", "pipe", "/usr/bin/procmail -m /etc/rc"},
        {"odd", NULL, NULL},
        {"pipe", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct transport_context context = {.resolver = -1};
        print_message("transport \"%s\"\n", rows[i].name);
        assert_int_equal(transport_find(&config, rows[i].name, &context), rows[i].row != NULL);
        if (rows[i].row != NULL) {
            assert_string_equal(context.transport->name, rows[i].row);
            assert_string_equal(context.target, rows[i].target);
        }
    }
}

static void only_unix_sockets_and_folders_need_the_file_system(void **state) {
    static const struct {
        const char *name, *lmtp;
        bool needs;
    } rows[] = {{"lmtp", "127.0.0.1:24", false},
                {"lmtp", "/run/dovecot/lmtp", true},
                {"lmtp", "unix:/run/l", true},
                {"smtp", "/x", false},
                {"null", "", false},
                {"maildir", "", true}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char lmtp[64];
        struct config config = {.lmtp = lmtp, .maildir = pattern};
        struct transport_context context = {.resolver = -1};
        text_copy(lmtp, sizeof lmtp, text_of(rows[i].lmtp));
        assert_true(transport_find(&config, rows[i].name, &context));
        assert_int_equal(transport_needs_file_system(&context), rows[i].needs);
    }
}

static void addresses_become_folders_or_are_refused(void **state) {
    static const struct {
        const char *sentence, *pattern, *address, *path; /* path NULL: refused */
    } rows[] = {
        {"local part and domain", "/m/%d/%u", "coco@example.test", "/m/example.test/coco"},
        {"a domain's case does not matter, a local part's does", "/m/%d/%u", "CoCo@EXAMPLE.test",
         "/m/example.test/CoCo"},
        {"a percent sign", "/m/%%/%u", "coco@x", "/m/%/coco"},
        {"a trailing percent sign", "/m/%u%", "coco@x", "/m/coco%"},
        {"postmaster without a domain", "/m/%d/%u", "postmaster", "/m/localhost/postmaster"},
        {"a slash", "/m/%u", "a/b@x", NULL},
        {"a way up", "/m/%u", "..@x", NULL},
        {"a way up through the domain", "/m/%d/%u", "a@..", NULL},
        {"a leading dot", "/m/%u", ".ssh@x", NULL},
        {"an empty local part", "/m/%u", "@x", NULL},
        {"a control byte", "/m/%u", "a\nb@x", NULL},
        {"the last @ counts", "/m/%u", "\"a@b\"@x", "/m/\"a@b\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[PATH_MAX];
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(maildir_path(rows[i].pattern, rows[i].address, path), rows[i].path != NULL);
        if (rows[i].path != NULL) {
            assert_string_equal(path, rows[i].path);
        }
    }
}

static char directory[] = "/tmp/parcelpost-test-XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static void remove_tree(const char *path) {
    DIR *open = opendir(path);
    struct dirent *entry;
    while (open != NULL && (entry = readdir(open)) != NULL) {
        char name[PATH_MAX];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
            remove_tree(name);
        }
    }
    if (open != NULL) {
        closedir(open);
    }
    remove(path);
}

static int remove_directory(void **state) {
    (void)state;
    remove_tree(directory);
    return 0;
}

/* The only file in DIRECTORY/folder into text; the number of files there. */
static int read_only_file(const char *path, char *text, size_t size) {
    DIR *open = opendir(path);
    struct dirent *entry;
    int count = 0;
    assert_non_null(open);
    while ((entry = readdir(open)) != NULL) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int fd = openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
        ssize_t length = read(fd, text, size - 1);
        text[length > 0 ? length : 0] = '\0';
        close(fd);
        count++;
    }
    closedir(open);
    return count;
}

static struct delivery *delivery_of(const char *message, const char *headers, const char *target) {
    struct delivery *delivery = memory_new(1, sizeof *delivery);
    delivery->from_url = memory_string(TEXT("me@far.test"));
    delivery->destination = memory_string(TEXT_NONE);
    delivery->ret = memory_string(TEXT_NONE);
    delivery->envid = memory_string(TEXT_NONE);
    delivery->content.fd = -1;
    buffer_init(&delivery->content.cargo, 100000);
    buffer_append_string(&delivery->content.cargo, message);
    buffer_append_string(&delivery->content.cargo, headers);
    delivery->content.message_length = strlen(message);
    delivery->content.headers_length = strlen(headers);
    delivery->count = 1;
    delivery->recipients = memory_new(1, sizeof *delivery->recipients);
    delivery->recipients[0].target = memory_string(text_of(target));
    delivery->recipients[0].to_url = memory_string(text_of(target));
    delivery->recipients[0].notify = memory_string(TEXT_NONE);
    delivery->recipients[0].orcpt = memory_string(TEXT_NONE);
    return delivery;
}

static void deliver_by_maildir(const char *message, const char *target, enum result_kind kind, const char *reply) {
    static char here[PATH_MAX], name[] = "host/with:odd";
    struct config config = {.lmtp = empty, .maildir = here, .server_name = name};
    struct transport_context context = {.resolver = -1};
    struct delivery *delivery = delivery_of(message, "Received: x\r\n", target);
    snprintf(here, sizeof here, "%s/%%d/%%u", directory);
    assert_true(transport_find(&config, "maildir", &context));
    assert_true(context.transport->deliver(&context, delivery));
    assert_true(delivery->recipients[0].done);
    assert_int_equal(delivery->recipients[0].kind, kind);
    assert_memory_equal(delivery->recipients[0].reply, reply, strlen(reply));
    delivery_free(delivery);
    free(delivery);
}

static void maildir_delivers_with_our_headers_on_top(void **state) {
    char path[PATH_MAX], text[1000];
    struct stat status;
    (void)state;
    deliver_by_maildir("A: b\r\n\r\n.x\r\nbare \r cr\r\n", "coco@example.test", RESULT_DELIVERED, "250 2.0.0");
    snprintf(path, sizeof path, "%s/example.test/coco/new", directory);
    assert_int_equal(read_only_file(path, text, sizeof text), 1);
    assert_string_equal(text, "Return-Path: <me@far.test>\nDelivered-To: coco@example.test\nReceived: x\nA: b\n\n.x\n"
                              "bare \r cr\n");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/example.test/coco/tmp", directory);
    assert_int_equal(read_only_file(path, text, sizeof text), 0);
    deliver_by_maildir("A: b\r\n", "coco@example.test", RESULT_DELIVERED, "250 2.0.0");
    snprintf(path, sizeof path, "%s/example.test/coco/new", directory);
    assert_int_equal(read_only_file(path, text, sizeof text), 2);
}

static void an_address_that_is_no_folder_fails_alone(void **state) {
    (void)state;
    deliver_by_maildir("A: b\r\n", "../coco@example.test", RESULT_FAILED, "553 5.1.3");
}

static void a_mailbox_that_cannot_be_written_defers(void **state) {
    char path[PATH_MAX];
    (void)state;
    snprintf(path, sizeof path, "%s/file.test", directory);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* a file where a directory should be */
    deliver_by_maildir("A: b\r\n", "coco@file.test", RESULT_DEFERRED, "451 4.3.0");
}

static void a_delivery_that_nobody_hears_of_is_not_finished(void **state) {
    int ends[2];
    struct text piece;
    struct delivery *delivery = delivery_of("Subject: x\r\n\r\nbody\r\n", "", "a@b.test");
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    delivery->content.job = ends[0];
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0); /* "no more work": the result is still awaited */
    do {
        assert_true(delivery_content_next(&delivery->content, &piece));
    } while (piece.length > 0);
    close(ends[1]);
    assert_false(delivery_content_next(&delivery->content, &piece));
    close(ends[0]);
    delivery_free(delivery);
    free(delivery);
}

/* Debian 12's valgrind does not know pidfd_open, by which a program's end is waited for. */
static void skip_without_pidfd(void) {
    if (getenv("PARCELPOST_VALGRIND") != NULL) {
        skip();
    }
}

static void a_program_is_run_and_its_end_is_the_verdict(void **state) {
    static const struct {
        const char *command, *target;
        enum result_kind kind;
        const char *reply;
    } rows[] = {
        {"/bin/true", "coco@example.test", RESULT_DELIVERED, "250 2.0.0 box: delivered"},
        {"/bin/false", "coco@example.test", RESULT_FAILED, "554 5.3.0 box: ended with status 1"},
        {"/nowhere/program", "a@x", RESULT_DEFERRED, "451 4.3.5 box: cannot be started: No such file or directory"},
        {"cat", "coco@x", RESULT_DELIVERED, "250 2.0.0 box: delivered: Return-Path: <me@far.test>"},
        {"tail -n 1", "coco@x", RESULT_DELIVERED, "250 2.0.0 box: delivered: the end"},
        {"echo  %a %u %e %d %% %x a%u", "coco+tag@x.test", RESULT_DELIVERED,
         "250 2.0.0 box: delivered: coco+tag@x.test coco tag x.test %% %x a%u"},
        {"printenv RECIPIENT", "|box", RESULT_DELIVERED, "250 2.0.0 box: delivered: given@x"},
        {"printenv EXTENSION", "+tag@x", RESULT_DELIVERED, "250 2.0.0 box: delivered"},
        {"echo %u", "-n@x", RESULT_FAILED, "553 5.1.3 this address cannot be given to a program"},
        {"sleep 20", "coco@x", RESULT_DEFERRED, "451 4.3.0 box: took longer than 1 s"},
    };
    (void)state;
    skip_without_pidfd();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static char box[] = "box", pipe[] = "pipe", plus[] = "+";
        char command[64];
        struct config_transport block = {.name = box, .kind = pipe, .target = command, .user = empty, .timeout = 1};
        struct config config = {.lmtp = empty, .recipient_delimiter = plus, .transports = &block, .transport_count = 1};
        struct transport_context context = {.resolver = -1, .home = "/"};
        bool by_name = rows[i].target[0] == '|';
        struct delivery *delivery = delivery_of("A: b\r\n\r\nthe end\r\n", "", by_name ? "given@x" : rows[i].target);
        if (by_name) {
            free(delivery->recipients[0].target);
            delivery->recipients[0].target = memory_string(text_of(rows[i].target));
        }
        block.timeout = strncmp(rows[i].command, "sleep", 5) == 0 ? 1 : 60;
        text_copy(command, sizeof command, text_of(rows[i].command));
        print_message("%s\n", command);
        assert_true(transport_find(&config, "box", &context));
        assert_true(context.transport->deliver(&context, delivery));
        assert_int_equal(delivery->recipients[0].kind, rows[i].kind);
        assert_string_equal(delivery->recipients[0].reply, rows[i].reply);
        delivery_free(delivery);
        free(delivery);
    }
}

static void all_that_a_program_wrote_before_its_end_is_taken(void **state) {
    static char shell[] = "sh", option[] = "-c", script[] = "head -c 60000 /dev/zero", path[] = "PATH=/usr/bin:/bin";
    char *arguments[] = {shell, option, script, NULL}, *environment[] = {path, NULL};
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)state;
    skip_without_pidfd();
    for (size_t maximum = 59999; maximum <= 60000; maximum++) {
        const struct program program = {.arguments = arguments,
                                        .environment = environment,
                                        .input = input,
                                        .seconds = 60,
                                        .output_is_bounded = true};
        struct buffer output;
        int status = 9;
        buffer_init(&output, maximum);
        enum program_end end = program_run(&program, &output, &status);
        assert_int_equal(end, maximum < 60000 ? PROGRAM_OUTPUT_FULL : PROGRAM_ENDED);
        assert_true(maximum < 60000 || (output.length == 60000 && status == 0));
        buffer_free(&output);
    }
    close(input);
}

static void content_comes_headers_first_whatever_the_size(void **state) {
    static char message[100000];
    char *joined = memory_new(1, sizeof message + 100);
    size_t length = 0;
    struct text piece;
    (void)state;
    for (size_t i = 0; i < sizeof message - 1; i++) {
        message[i] = (char)('a' + i % 26);
    }
    struct delivery *delivery = delivery_of(message, "H: 1\r\n", "x@y");
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "junk", 4), 4);
    assert_int_equal(write(fd, message, strlen(message)), strlen(message));
    assert_int_equal(write(fd, "H: 1\r\n", 6), 6);
    delivery->content.fd = fd;
    delivery->content.offset = 4;
    do {
        assert_true(delivery_content_next(&delivery->content, &piece));
        memcpy(joined + length, piece.data, piece.length);
        length += piece.length;
    } while (piece.length > 0);
    assert_int_equal(length, delivery_content_size(&delivery->content));
    assert_memory_equal(joined, "H: 1\r\n", 6);
    assert_memory_equal(joined + 6, message, strlen(message));
    assert_int_equal(ftruncate(fd, 1000), 0);
    delivery_content_rewind(&delivery->content);
    assert_false(delivery_content_next(&delivery->content, &piece));
    delivery_free(delivery);
    free(delivery);
    free(joined);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete_and_its_names_are_unique),
        cmocka_unit_test(a_program_is_run_and_its_end_is_the_verdict),
        cmocka_unit_test(all_that_a_program_wrote_before_its_end_is_taken),
        cmocka_unit_test(names_lead_to_rows_and_targets),
        cmocka_unit_test(only_unix_sockets_and_folders_need_the_file_system),
        cmocka_unit_test(addresses_become_folders_or_are_refused),
        cmocka_unit_test(maildir_delivers_with_our_headers_on_top),
        cmocka_unit_test(an_address_that_is_no_folder_fails_alone),
        cmocka_unit_test(a_mailbox_that_cannot_be_written_defers),
        cmocka_unit_test(a_delivery_that_nobody_hears_of_is_not_finished),
        cmocka_unit_test(content_comes_headers_first_whatever_the_size),
    };
    log_start(STDERR_FILENO, "test", LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
