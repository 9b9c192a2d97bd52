/* SPDX-License-Identifier: MIT
 * Asking for a password and hashing it, for `parcelpost user`. Runs under the caller's privileges; the password is
 * wiped from memory as soon as its hash is made. */
#include "control/password.h"
#include "base/random.h"
#include "control/control.h"
#include "mail/saslprep.h"
#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(FILE *from, char password[PASSWORD_SIZE]) {
    if (fgets(password, PASSWORD_SIZE, from) == NULL) {
        return false;
    }
    size_t length = strcspn(password, "\r\n");
    bool whole = password[length] != '\0' || feof(from);
    password[length] = '\0';
    return whole;
}

/* One line from the terminal; its echo is off meanwhile. */
static bool ask(FILE *terminal, const char *prompt, char password[PASSWORD_SIZE]) {
    struct termios shown, hidden;
    if (tcgetattr(fileno(terminal), &shown) != 0) {
        return false;
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
    fputs(prompt, terminal);
    fflush(terminal);
    bool good = read_line(terminal, password);
    tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
    fputc('\n', terminal);
    return good;
}

static bool ask_twice(FILE *terminal, char password[PASSWORD_SIZE]) {
    char again[PASSWORD_SIZE];
    if (!ask(terminal, "Password: ", password) || !ask(terminal, "Again: ", again)) {
        control_fail(0, "no password was given");
        return false;
    }
    bool same = strcmp(password, again) == 0;
    explicit_bzero(again, sizeof(again));
    if (!same) {
        control_fail(0, "the two passwords differ");
    }
    return same;
}

bool password_read(bool from_input, char password[PASSWORD_SIZE]) {
    bool good;
    FILE *terminal = from_input || !isatty(STDIN_FILENO) ? NULL : fopen("/dev/tty", "r+");
    if (terminal != NULL) {
        good = ask_twice(terminal, password);
        fclose(terminal);
    } else {
        good = read_line(stdin, password);
        if (!good) {
            control_fail(0, "no password on standard input (at most %d bytes, one line)", PASSWORD_SIZE - 2);
        }
    }
    if (good && password[0] == '\0') {
        control_fail(0, "an empty password is none");
        return false;
    }
    return good;
}

bool password_hash(const char *password, char hash[PASSWORD_HASH_SIZE]) {
    char *salt = crypt_gensalt_ra("$y$", 0, NULL, 0);
    struct crypt_data *data = calloc(1, sizeof(*data));
    const char *made = salt != NULL && data != NULL ? crypt_rn(password, salt, data, (int)sizeof(*data)) : NULL;
    bool good = made != NULL && made[0] != '*';
    if (good) {
        snprintf(hash, PASSWORD_HASH_SIZE, "%s", made);
    } else {
        control_fail(0, "the password cannot be hashed: %s", strerror(errno));
    }
    if (data != NULL) {
        explicit_bzero(data, sizeof(*data));
    }
    free(data);
    free(salt);
    return good;
}

bool password_prepare(char password[PASSWORD_SIZE]) {
    char prepared[SASLPREP_SIZE];
    bool good = saslprep(text_of(password), prepared) && text_copy(password, PASSWORD_SIZE, text_of(prepared));
    explicit_bzero(prepared, sizeof(prepared));
    if (!good) {
        control_fail(0, "the password is not UTF-8, or has a character that none can have (RFC 4013)");
    }
    return good;
}

void password_scram(const char *password, uint32_t iterations, char scram[SCRAM_TEXT_SIZE]) {
    struct scram_verifier verifier;
    char salt[SCRAM_SALT_SIZE];
    random_fill(salt, sizeof(salt));
    scram_make(text_of(password), (struct text){salt, sizeof(salt)}, iterations, &verifier);
    scram_format(&verifier, scram);
    explicit_bzero(&verifier, sizeof(verifier));
}
