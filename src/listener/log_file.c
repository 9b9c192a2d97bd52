/* SPDX-License-Identifier: MIT
 * The log file's opening and renaming. Runs in the listener; a failure to rename is logged and the old file goes on. */
#include "listener/log_file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAXIMUM 100

void log_file_period(enum log_life life, time_t seconds, char period[LOG_PERIOD_SIZE]) {
    struct tm local;
    size_t length = 0;
    period[0] = '\0';
    if (localtime_r(&seconds, &local) == NULL) {
        return;
    }
    switch (life) {
    case LOG_LIFE_DAILY:
        length = strftime(period, LOG_PERIOD_SIZE, "%Y-%m-%d", &local);
        break;
    case LOG_LIFE_WEEKLY:
        length = strftime(period, LOG_PERIOD_SIZE, "%G-W%V", &local);
        break;
    case LOG_LIFE_MONTHLY:
        length = strftime(period, LOG_PERIOD_SIZE, "%Y-%m", &local);
        break;
    case LOG_LIFE_NONE:
        break;
    }
    if (length == 0) {
        period[0] = '\0';
    }
}

bool log_file_is_standard_error(const struct config *config) {
    return config->log_path_and_file[0] == '\0' || strcmp(config->log_path_and_file, "-") == 0;
}

int log_file_open(const struct config *config, struct buffer *error) {
    if (log_file_is_standard_error(config)) {
        return STDERR_FILENO;
    }
    int descriptor =
        open(config->log_path_and_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (descriptor < 0) {
        buffer_format(error, "log_path_and_file \"%s\" cannot be written: %s", config->log_path_and_file,
                      strerror(errno));
    }
    return descriptor;
}

void log_file_written_period(const struct config *config, int descriptor, time_t now, char period[LOG_PERIOD_SIZE]) {
    struct stat status;
    bool has_lines = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
    log_file_period(config->log_file_life, has_lines ? status.st_mtime : now, period);
}

/* PATH.PERIOD, or PATH.PERIOD.1 and so on: a clock that was set back ends a period twice. */
static bool free_name(const char *path, const char *period, char *name, size_t size) {
    int length = snprintf(name, size, "%s.%s", path, period);
    for (int i = 1; i < NAMES_MAXIMUM && length >= 0 && (size_t)length < size && access(name, F_OK) == 0; i++) {
        length = snprintf(name, size, "%s.%s.%d", path, period, i);
    }
    return length >= 0 && (size_t)length < size && access(name, F_OK) != 0;
}

bool log_file_rotate(const struct config *config, char written[LOG_PERIOD_SIZE], time_t now) {
    char current[LOG_PERIOD_SIZE], name[4096];
    if (config->log_file_life == LOG_LIFE_NONE || written[0] == '\0' || log_file_is_standard_error(config)) {
        return false;
    }
    log_file_period(config->log_file_life, now, current);
    if (strcmp(current, written) == 0) {
        return false;
    }
    if (free_name(config->log_path_and_file, written, name, sizeof(name)) &&
        rename(config->log_path_and_file, name) == 0) {
        return true;
    }
    log_warn("the log cannot be renamed and goes on: %s: %s", name, strerror(errno));
    memcpy(written, current, LOG_PERIOD_SIZE); /* once a period is enough to say so */
    return false;
}
