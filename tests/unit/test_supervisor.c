/* SPDX-License-Identifier: MIT
 * The listener and the nursery with fake services and receivers: it serves, replaces what dies, keeps limits, turns
 * locked-out contacts away without a fork, and stops in order. Also the pauses between restarts and the log's periods.
 * Runs a whole listener as another process, without root. */
#include "supervisor_fixture.h"

static void each_client_gets_a_receiver_of_its_own_that_holds_only_its_channels(void **state) {
    char first[64], second[64];
    unsigned pid, held;
    int one = served(*state, first, sizeof first), two = served(*state, second, sizeof second);
    assert_string_not_equal(first, second);
    assert_int_equal(sscanf(first, "%u %u", &pid, &held), 2);
    assert_int_equal(held, 6); /* hub, ledger, lookup, resolver, signer, log */
    close(one);
    close(two);
}

static void a_locked_out_contact_is_closed_without_a_word_or_a_fork(void **state) {
    char words[64];
    int pid;
    int fd = served(*state, words, sizeof words);
    close(fd);
    wait_for_notes("receiver", 3); /* the one in its place, too */
    unsigned before = count_notes("receiver", &pid);
    for (int i = 0; i < 20; i++) {
        fd = connect_from(*state, LOCKED_OUT);
        assert_true(fd >= 0);
        assert_true(read_words(fd, words, sizeof words) <= 0);
        close(fd);
    }
    assert_int_equal(count_notes("receiver", &pid), before);
    wait_for_notes("hits " LOCKED_OUT, 1);
}

static void a_connection_too_many_reads_421(void **state) {
    char words[200];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = served(*state, words, sizeof words);
    }
    int fd = connect_from(*state, "127.0.0.1");
    assert_true(read_words(fd, words, sizeof words) > 0);
    assert_string_equal(words, "421 4.7.0 mail.example.test too many connections, try again later\r\n");
    assert_true(read_words(fd, words, sizeof words) == 0);
    close(fd);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void a_receiver_that_dies_costs_one_client(void **state) {
    char words[64];
    int other = served(*state, words, sizeof words), victim = served(*state, words, sizeof words);
    assert_int_equal(write(victim, "x", 1), 1);
    assert_true(read_words(victim, words, sizeof words) <= 0);
    wait_for_notes("told-of-death", 1);
    int third = served(*state, words, sizeof words);
    assert_int_equal(send(other, "q", 1, MSG_NOSIGNAL), 1);
    close(other);
    close(victim);
    close(third);
}

static void every_service_that_dies_is_replaced(void **state) {
    static const char *const names[] = {"ledger", "lookup", "resolver", "signer", "runner"};
    char words[64];
    int pid = 0;
    close(served(*state, words, sizeof words));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsigned before = count_notes(names[i], &pid);
        assert_int_equal(kill(pid, SIGKILL), 0);
        wait_for_notes(names[i], before + 1);
        close(served(*state, words, sizeof words));
    }
    assert_int_equal(count_notes("runner", &pid), 3); /* a new ledger, a new runner */
}

static void a_wrong_new_configuration_changes_nothing_and_a_right_one_does(void **state) {
    struct server *server = *state;
    struct server other = *server;
    char words[64], more[100];
    close(served(server, words, sizeof words));
    other.port = free_port();
    write_configuration(server->port, "no_such_key = 1");
    kill(server->pid, SIGHUP);
    usleep(200000);
    close(served(server, words, sizeof words));
    snprintf(more, sizeof more, "listen \"127.0.0.1:%u\" { role = mx }", other.port);
    write_configuration(server->port, more);
    kill(server->pid, SIGHUP);
    close(served(&other, words, sizeof words));
    close(served(server, words, sizeof words));
}

static int end_of(pid_t pid) {
    int status = -1;
    pid_t ended = 0;
    for (int i = 0; i < 4000 && (ended = waitpid(pid, &status, WNOHANG)) == 0; i++) {
        usleep(10000);
    }
    assert_int_equal(ended, pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void told_to_stop_it_ends_its_sessions_and_all_its_processes(void **state) {
    struct server *server = *state;
    char words[64];
    int pid = 0;
    int idle = served(server, words, sizeof words);
    kill(server->pid, SIGTERM);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    server->pid = 0;
    assert_true(count_notes("ledger", &pid) > 0);
    assert_int_equal(kill(pid, 0), -1);
    assert_true(read_words(idle, words, sizeof words) <= 0);
    close(idle);
}

static bool ends_within(pid_t pid, int tenths) {
    for (int i = 0; i < tenths && kill(pid, 0) == 0; i++) {
        usleep(100000);
    }
    return kill(pid, 0) != 0;
}

static void a_nursery_that_hangs_keeps_no_receiver_from_hearing_of_the_end(void **state) {
    struct server *server = *state;
    char words[64];
    int nursery = 0, receiver = 0;
    close(served(server, words, sizeof words));
    wait_for_notes("receiver", 3); /* the one in its place, too */
    assert_true(count_notes("nursery", &nursery) > 0 && count_notes("receiver", &receiver) > 0);
    assert_int_equal(kill(nursery, SIGSTOP), 0);
    kill(server->pid, SIGTERM);
    assert_true(ends_within(receiver, 200)); /* stop_timeout is 30 s */
    assert_int_equal(kill(nursery, SIGCONT), 0);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    server->pid = 0;
}

static void the_nursery_cannot_have_anybody_killed(void **state) {
    char words[64], path[128];
    int nursery = 0, status;
    pid_t victim = fork();
    if (victim == 0) {
        _exit(geteuid() == 0 && setuid(65534) != 0 ? 99 : (pause(), 0));
    }
    snprintf(path, sizeof path, "%s/victim", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d\n", (int)victim);
    fclose(file);
    close(served(*state, words, sizeof words));
    unsigned before = count_notes("nursery", &nursery);
    assert_int_equal(kill(nursery, SIGKILL), 0);
    wait_for_notes("nursery", before + 1);
    usleep(300000);
    close(served(*state, words, sizeof words));
    assert_int_equal(waitpid(victim, &status, WNOHANG), 0);
    kill(victim, SIGKILL);
    waitpid(victim, &status, 0);
}

static void the_nursery_calls_no_service_a_receiver(void **state) {
    char words[64], path[128];
    int nursery = 0, ledger = 0;
    close(served(*state, words, sizeof words));
    unsigned ledgers = count_notes("ledger", &ledger), before = count_notes("nursery", &nursery);
    snprintf(path, sizeof path, "%s/victim", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d\n", ledger);
    fclose(file);
    assert_int_equal(kill(nursery, SIGKILL), 0);
    wait_for_notes("nursery", before + 1);
    usleep(300000);
    close(served(*state, words, sizeof words));
    assert_int_equal(count_notes("ledger", &ledger), ledgers);
}

static void a_second_server_is_told_that_one_runs(void **state) {
    char words[64];
    close(served(*state, words, sizeof words));
    assert_int_equal(end_of(spawn()), EXIT_STATUS_UNAVAILABLE);
}

static void a_taken_port_is_an_error_of_its_own(void **state) {
    struct server *server = *state;
    char words[64];
    close(served(server, words, sizeof words));
    kill(server->pid, SIGTERM);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(end_of(spawn()), EXIT_STATUS_UNAVAILABLE);
    server->pid = 0;
    close(fd);
}

static void a_service_that_hangs_in_the_first_start_ends_it(void **state) {
    struct server *server = *state;
    char words[64], path[128];
    close(served(server, words, sizeof words));
    kill(server->pid, SIGTERM);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    snprintf(path, sizeof path, "%s/hang", directory);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    write_configuration(server->port, "stop_timeout = 2\nservice_timeout = 1");
    assert_int_equal(end_of(server->pid = spawn()), EXIT_STATUS_UNAVAILABLE);
    server->pid = 0;
}

/* ---- values ---- */

static void a_service_that_keeps_dying_is_started_after_growing_pauses(void **state) {
    struct restart_history history = {0};
    int64_t now = 1000000, pause = 0;
    (void)state;
    for (unsigned i = 0; i < RESTART_FREE; i++) {
        assert_int_equal(restart_after_death(&history, now), now);
    }
    for (unsigned i = 0; i < 20; i++) {
        int64_t next = restart_after_death(&history, now) - now;
        assert_true(next > pause || next == RESTART_PAUSE_LAST_MS);
        pause = next;
        now += next;
    }
    now += 2 * RESTART_WINDOW_MS + RESTART_PAUSE_LAST_MS;
    assert_int_equal(restart_after_death(&history, now), now);
}

static void log_periods_have_names(void **state) {
    static const struct {
        enum log_life life;
        const char *time, *period;
    } rows[] = {
        {LOG_LIFE_NONE, "2026-11-22 12:00:00", ""},           {LOG_LIFE_DAILY, "2026-11-22 12:00:00", "2026-11-22"},
        {LOG_LIFE_WEEKLY, "2026-11-22 12:00:00", "2026-W47"}, {LOG_LIFE_WEEKLY, "2027-01-01 12:00:00", "2026-W53"},
        {LOG_LIFE_MONTHLY, "2026-11-22 12:00:00", "2026-11"},
    };
    (void)state;
    setenv("TZ", "UTC", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char period[LOG_PERIOD_SIZE];
        time_t seconds;
        assert_true(clock_parse(rows[i].time, &seconds));
        log_file_period(rows[i].life, seconds, period);
        assert_string_equal(period, rows[i].period);
    }
}

#define WITH_SERVER(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_keeps_dying_is_started_after_growing_pauses),
        cmocka_unit_test(log_periods_have_names),
        WITH_SERVER(each_client_gets_a_receiver_of_its_own_that_holds_only_its_channels),
        WITH_SERVER(a_locked_out_contact_is_closed_without_a_word_or_a_fork),
        WITH_SERVER(a_connection_too_many_reads_421),
        WITH_SERVER(a_receiver_that_dies_costs_one_client),
        WITH_SERVER(every_service_that_dies_is_replaced),
        WITH_SERVER(a_wrong_new_configuration_changes_nothing_and_a_right_one_does),
        WITH_SERVER(told_to_stop_it_ends_its_sessions_and_all_its_processes),
        cmocka_unit_test_setup_teardown(a_nursery_that_hangs_keeps_no_receiver_from_hearing_of_the_end, set_up_patient,
                                        tear_down),
        WITH_SERVER(the_nursery_cannot_have_anybody_killed),
        WITH_SERVER(the_nursery_calls_no_service_a_receiver),
        WITH_SERVER(a_second_server_is_told_that_one_runs),
        WITH_SERVER(a_taken_port_is_an_error_of_its_own),
        WITH_SERVER(a_service_that_hangs_in_the_first_start_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
