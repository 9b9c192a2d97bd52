/* SPDX-License-Identifier: MIT
 * build/bench/limits: what this machine can do at most of the things that mail is made of, one line of a table each
 * (make bench-limits). Its argument is a folder on the file system to try. One second a line; other work on the machine
 * counts. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 4096
#define SEGMENT (16 << 20)

static char bytes[MESSAGE];
static int file, listener, channel[2];
static struct sockaddr_in server = {.sin_family = AF_INET};
static EVP_PKEY *key;

_Noreturn static void die(const char *what) {
    fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void append_one(void) {
    static off_t end;
    if (pwrite(file, bytes, sizeof bytes, end) != sizeof bytes) {
        die("pwrite");
    }
    end = (end + MESSAGE) % SEGMENT;
}

static void flush_one(void) {
    append_one();
    if (fdatasync(file) != 0) {
        die("fdatasync");
    }
}

/* What a server that keeps a file a message does. */
static void file_one(void) {
    static unsigned long serial;
    char name[32];
    snprintf(name, sizeof name, "m%lu", serial++ % 1000);
    unlink(name);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes || fsync(fd) != 0 || close(fd) != 0) {
        die(name);
    }
}

static void fork_one(void) {
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child) {
        die("fork");
    }
}

static void connect_one(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0 || read(fd, &byte, 1) != 0) {
        die("connect");
    }
    close(fd);
}

static void sign_one(void) {
    unsigned char signature[512];
    size_t length = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &length, (unsigned char *)bytes, 130) != 1) {
        die("EVP_DigestSign");
    }
    EVP_MD_CTX_free(context);
}

static void ask_one(void) {
    if (send(channel[0], bytes, 64, MSG_NOSIGNAL) != 64 || recv(channel[0], bytes, 64, 0) != 64) {
        die("ask");
    }
}

static void stay_on(unsigned processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        die("sched_setaffinity");
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show(const char *what, void (*one)(void)) {
    unsigned long count = 0;
    double began = seconds(), now = began;
    for (; now - began < 1; now = seconds()) {
        one();
        count++;
    }
    printf("| %s | %.0f |\n", what, (double)count / (now - began));
    fflush(stdout);
}

/* A process that accepts and closes. */
static pid_t start_server(void) {
    socklen_t length = sizeof server;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&server, sizeof server) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&server, &length) != 0) {
        die("listen");
    }
    pid_t child = fork();
    while (child == 0) {
        close(accept(listener, NULL, NULL));
    }
    return child;
}

/* What a process costs that is asked by another: one that answers, on a processor of its own or on the asker's. */
static void show_questions(const char *what, unsigned processor) {
    if (sysconf(_SC_NPROCESSORS_ONLN) <= (long)processor) {
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0) {
        die("socketpair");
    }
    pid_t child = fork();
    if (child < 0) {
        die("fork");
    }
    stay_on(child == 0 ? processor : 0);
    while (child == 0) {
        char question[64];
        if (recv(channel[1], question, sizeof question, 0) != sizeof question) {
            _exit(0);
        }
        (void)send(channel[1], question, sizeof question, MSG_NOSIGNAL);
    }
    close(channel[1]);
    show(what, ask_one);
    close(channel[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void make_segment(void) {
    file = open("segment", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < SEGMENT / MESSAGE; i++) {
        append_one();
    }
    if (file < 0 || fsync(file) != 0) {
        die("segment");
    }
}

int main(int argc, char **argv) {
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("limits FOLDER\n", stderr);
        return 64;
    }
    make_segment();
    puts("| one process | a second |\n| --- | --- |");
    show("appends of 4 KiB to a file that is there", append_one);
    show("the same, each flushed (fdatasync)", flush_one);
    show("new files of 4 KiB, each flushed (fsync)", file_one);
    show("forks of a small process", fork_one);
    pid_t child = start_server();
    show("connections over loopback", connect_one);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    key = EVP_RSA_gen(2048);
    show("signatures, RSA-2048", sign_one);
    key = EVP_EC_gen("P-256");
    show("signatures, ECDSA P-256", sign_one);
    show_questions("questions to another process on the same processor", 0);
    show_questions("questions to a process on another processor", 1);
    return 0;
}
