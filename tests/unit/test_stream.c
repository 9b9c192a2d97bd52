/* SPDX-License-Identifier: MIT
 * Streams over a socket pair: strict lines, deadlines, the stop descriptor, full buffers, a transport in between. */
#include "base/clock.h"
#include "base/stream.h"
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static struct stream stream;
static int peer;

static void open_pair(size_t input_maximum, size_t output_maximum) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stream_init(&stream, pair[0], input_maximum, output_maximum);
    peer = pair[1];
}

static void close_pair(void) {
    stream_close(&stream);
    if (peer >= 0) {
        close(peer);
    }
}

static void say(const char *bytes, size_t length) {
    assert_int_equal(write(peer, bytes, length), (ssize_t)length);
}

static void lines_are_taken_strictly(void **state) {
    static const struct {
        const char *sentence;
        struct text sent;
        enum stream_result result;
        const char *line, *pending;
    } rows[] = {
        {"a line ends in CRLF", TEXT("NOOP\r\nQ"), STREAM_OK, "NOOP", "Q"},
        {"an empty line is a line", TEXT("\r\n"), STREAM_OK, "", ""},
        {"a lone LF is reported", TEXT("NOOP\nQUIT\r\n"), STREAM_BARE_LF, "NOOP", "QUIT\r\n"},
        {"a lone LF at once is reported", TEXT("\n"), STREAM_BARE_LF, "", ""},
        {"a lone CR is reported", TEXT("NO\rOP\r\nQ"), STREAM_BARE_CR, "NO\rOP", "Q"},
        {"two CRs before the LF are reported", TEXT("NOOP\r\r\nQ"), STREAM_BARE_CR, "NOOP\r", "Q"},
        {"a CR and a lone LF are reported", TEXT("A\rB\nQ"), STREAM_BARE_CR, "A\rB", "Q"},
        {"the longest line passes", TEXT("12345678\r\n"), STREAM_OK, "12345678", ""},
        {"one byte more is too long", TEXT("123456789\r\n"), STREAM_TOO_LONG, "123456789", "\r\n"},
        {"two bytes more are too long", TEXT("1234567890\r\n"), STREAM_TOO_LONG, "1234567890", "\r\n"},
        {"a line without end is too long", TEXT("1234567890123"), STREAM_TOO_LONG, "1234567890", "123"},
        {"half a line waits", TEXT("NOO"), STREAM_TIMEOUT, "", "NOO"},
        {"any byte may be in a line", TEXT("a\xff\x01\r\n"), STREAM_OK, "a\xff\x01", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text line;
        print_message("%s\n", rows[i].sentence);
        open_pair(4096, 64);
        say(rows[i].sent.data, rows[i].sent.length);
        assert_int_equal(stream_read_line(&stream, 10, clock_deadline(10), &line), rows[i].result);
        assert_true(text_equal(line, text_of(rows[i].line)));
        assert_true(text_equal(stream_pending(&stream), text_of(rows[i].pending)));
        close_pair();
    }
}

static void a_line_split_anywhere_is_one_line(void **state) {
    static const char sent[] = "MAIL FROM:<>\r\n";
    struct text line;
    (void)state;
    for (size_t cut = 1; cut < sizeof sent - 1; cut++) {
        open_pair(4096, 64);
        say(sent, cut);
        assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1), &line), STREAM_TIMEOUT);
        say(sent + cut, sizeof sent - 1 - cut);
        assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_OK);
        assert_true(text_equal(line, TEXT("MAIL FROM:<>")));
        close_pair();
    }
}

static void pipelined_lines_come_one_by_one(void **state) {
    struct text line;
    (void)state;
    open_pair(4096, 64);
    for (int i = 0; i < 200; i++) {
        say("RCPT TO:<a@b>\r\n", 15);
    }
    for (int i = 0; i < 200; i++) {
        assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_OK);
        assert_true(text_equal(line, TEXT("RCPT TO:<a@b>")));
    }
    close(peer);
    peer = -1;
    assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_CLOSED);
    assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_CLOSED);
    close_pair();
}

static void a_lenient_reader_takes_a_lone_lf(void **state) {
    struct text line;
    (void)state;
    open_pair(4096, 64);
    say("250 a\n250 b\r\n", 13);
    assert_int_equal(stream_read_line_lenient(&stream, 512, clock_deadline(1000), &line), STREAM_OK);
    assert_true(text_equal(line, TEXT("250 a")));
    assert_int_equal(stream_read_line_lenient(&stream, 512, clock_deadline(1000), &line), STREAM_OK);
    assert_true(text_equal(line, TEXT("250 b")));
    close_pair();
}

static void the_rest_of_a_long_line_can_be_read_away(void **state) {
    char sent[1003];
    struct text line;
    size_t seen = 0;
    enum stream_result result;
    (void)state;
    for (size_t length = 90; length < 110; length++) {
        open_pair(4096, 64);
        memset(sent, 'x', length);
        memcpy(sent + length, "\r\nB\r\n", 5);
        say(sent, length + 5);
        seen = 0;
        do {
            result = stream_read_line(&stream, 10, clock_deadline(1000), &line);
            seen += line.length;
        } while (result == STREAM_TOO_LONG);
        assert_int_equal(result, STREAM_OK);
        assert_int_equal(seen, length);
        assert_int_equal(stream_read_line(&stream, 10, clock_deadline(1000), &line), STREAM_OK);
        assert_true(text_equal(line, TEXT("B")));
        close_pair();
    }
}

static void waiting_ends_at_the_deadline(void **state) {
    (void)state;
    open_pair(4096, 64);
    int64_t begin = clock_now_ms();
    assert_int_equal(stream_fill(&stream, clock_deadline(50)), STREAM_TIMEOUT);
    int64_t waited = clock_now_ms() - begin;
    assert_true(waited >= 49 && waited < 2000);
    close_pair();
}

static void the_stop_descriptor_interrupts_waiting_but_not_reading(void **state) {
    int pipe_ends[2];
    struct text line;
    (void)state;
    open_pair(4096, 64);
    assert_int_equal(pipe(pipe_ends), 0);
    stream.stop_fd = pipe_ends[0];
    close(pipe_ends[1]);
    say("NOOP\r\n", 6);
    assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_OK);
    assert_int_equal(stream_read_line(&stream, 512, clock_deadline(1000), &line), STREAM_STOP);
    close(pipe_ends[0]);
    close_pair();
}

static void a_pause_reads_nothing_and_ends_when_the_peer_or_the_stop_does(void **state) {
    int pipe_ends[2];
    (void)state;
    open_pair(4096, 64);
    say("NOOP\r\n", 6);
    int64_t begin = clock_now_ms();
    assert_int_equal(stream_pause(&stream, clock_deadline(50)), STREAM_TIMEOUT);
    assert_true(clock_now_ms() - begin >= 49);
    assert_int_equal(stream_pending(&stream).length, 0);
    assert_int_equal(pipe(pipe_ends), 0);
    stream.stop_fd = pipe_ends[0];
    close(pipe_ends[1]);
    assert_int_equal(stream_pause(&stream, CLOCK_NEVER), STREAM_STOP);
    close(pipe_ends[0]);
    stream.stop_fd = -1;
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    assert_int_equal(stream_pause(&stream, CLOCK_NEVER), STREAM_CLOSED);
    close_pair();
}

static void input_is_bounded_and_an_idle_stream_holds_little(void **state) {
    char block[8192];
    (void)state;
    memset(block, 'x', sizeof block);
    open_pair(32768, 64);
    assert_int_equal(stream.input.capacity, 0);
    for (int i = 0; i < 5; i++) {
        say(block, sizeof block);
    }
    enum stream_result result;
    while ((result = stream_fill(&stream, clock_deadline(100))) == STREAM_OK) {
    }
    assert_int_equal(result, STREAM_TOO_LONG);
    assert_int_equal(stream_pending(&stream).length, 32768);
    assert_int_equal(stream.input.capacity, 32769);
    stream_consume(&stream, 32768);
    assert_int_equal(stream_fill(&stream, clock_deadline(100)), STREAM_OK);
    stream_consume(&stream, 8192);
    assert_int_equal(stream_fill(&stream, clock_deadline(1)), STREAM_TIMEOUT);
    assert_true(stream.input.capacity <= 8192);
    close_pair();
}

static void output_is_held_back_until_flushed_or_full(void **state) {
    char seen[64];
    (void)state;
    open_pair(64, 16);
    assert_int_equal(stream_write(&stream, "12345678", 8, clock_deadline(1000)), STREAM_OK);
    assert_int_equal(recv(peer, seen, sizeof seen, MSG_DONTWAIT), -1);
    assert_int_equal(stream_write(&stream, "ABCDEFGHIJKL", 12, clock_deadline(1000)), STREAM_OK);
    assert_int_equal(recv(peer, seen, sizeof seen, MSG_DONTWAIT), 16);
    assert_int_equal(stream_flush(&stream, clock_deadline(1000)), STREAM_OK);
    assert_int_equal(recv(peer, seen + 16, sizeof seen - 16, MSG_DONTWAIT), 4);
    assert_memory_equal(seen, "12345678ABCDEFGHIJKL", 20);
    close_pair();
}

static void what_was_sent_is_not_left_in_memory(void **state) {
    static const char line[] = "a password, or a line of somebody's mail";
    (void)state;
    open_pair(1000, 1000);
    assert_int_equal(stream_write(&stream, line, sizeof line, clock_deadline(1000)), STREAM_OK);
    const char *block = stream.output.data - stream.output.offset;
    size_t capacity = stream.output.capacity;
    assert_non_null(memmem(block, capacity, line, sizeof line));
    assert_int_equal(stream_flush(&stream, clock_deadline(1000)), STREAM_OK);
    assert_ptr_equal(stream.output.data - stream.output.offset, block);
    assert_null(memmem(block, capacity, line, sizeof line));
    close_pair();
}

static void writing_to_one_who_does_not_read_ends_at_the_deadline(void **state) {
    static char block[65536];
    enum stream_result result = STREAM_OK;
    (void)state;
    open_pair(64, 4096);
    for (int i = 0; i < 100 && result == STREAM_OK; i++) {
        result = stream_write(&stream, block, sizeof block, clock_deadline(30));
    }
    assert_int_equal(result, STREAM_TIMEOUT);
    close_pair();
}

static void writing_to_a_closed_peer_is_broken_and_raises_no_signal(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    open_pair(64, 64);
    close(peer);
    peer = -1;
    assert_int_equal(stream_write(&stream, "x", 1, clock_deadline(100)), STREAM_OK);
    assert_int_equal(stream_flush(&stream, clock_deadline(100)), STREAM_BROKEN);
    close_pair();
}

/* A transport that wants to write before it can read, gives one byte a call, and remembers that it was closed. */
struct slow_transport {
    int reads, writes;
    bool *closed;
};

static ssize_t slow_read(void *context, void *bytes, size_t length, short *wanted) {
    struct slow_transport *slow = context;
    (void)length;
    if (slow->reads++ % 2 == 0) {
        *wanted = POLLOUT;
        return -1;
    }
    if (slow->reads > 12) {
        *wanted = 0;
        return -1;
    }
    memcpy(bytes, &"a\r\na\r\n"[slow->reads / 2 - 1], 1);
    return 1;
}

static ssize_t slow_write(void *context, const void *bytes, size_t length, short *wanted) {
    struct slow_transport *slow = context;
    (void)wanted;
    (void)length;
    slow->writes++;
    return write(peer, bytes, 1) == 1 ? 1 : -1;
}

static void slow_close(void *context) {
    struct slow_transport *slow = context;
    *slow->closed = true;
    free(slow);
}

static void a_transport_replaces_reading_writing_and_closing(void **state) {
    struct slow_transport *slow = calloc(1, sizeof *slow);
    bool closed = false;
    struct text line;
    (void)state;
    assert_non_null(slow);
    slow->closed = &closed;
    open_pair(4096, 64);
    stream.transport = (struct stream_transport){slow_read, slow_write, slow_close, slow};
    assert_int_equal(stream_read_line(&stream, 10, clock_deadline(1000), &line), STREAM_OK);
    assert_true(text_equal(line, TEXT("a")));
    assert_int_equal(stream_read_line(&stream, 10, clock_deadline(1000), &line), STREAM_OK);
    assert_int_equal(stream_read_line(&stream, 10, clock_deadline(1000), &line), STREAM_BROKEN);
    assert_int_equal(stream_write(&stream, "abc", 3, clock_deadline(1000)), STREAM_OK);
    assert_int_equal(stream_flush(&stream, clock_deadline(1000)), STREAM_OK);
    assert_int_equal(slow->writes, 3);
    close_pair();
    assert_true(closed);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_taken_strictly),
        cmocka_unit_test(a_line_split_anywhere_is_one_line),
        cmocka_unit_test(pipelined_lines_come_one_by_one),
        cmocka_unit_test(a_lenient_reader_takes_a_lone_lf),
        cmocka_unit_test(the_rest_of_a_long_line_can_be_read_away),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(the_stop_descriptor_interrupts_waiting_but_not_reading),
        cmocka_unit_test(a_pause_reads_nothing_and_ends_when_the_peer_or_the_stop_does),
        cmocka_unit_test(input_is_bounded_and_an_idle_stream_holds_little),
        cmocka_unit_test(output_is_held_back_until_flushed_or_full),
        cmocka_unit_test(what_was_sent_is_not_left_in_memory),
        cmocka_unit_test(writing_to_one_who_does_not_read_ends_at_the_deadline),
        cmocka_unit_test(writing_to_a_closed_peer_is_broken_and_raises_no_signal),
        cmocka_unit_test(a_transport_replaces_reading_writing_and_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
