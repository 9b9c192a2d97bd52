/* SPDX-License-Identifier: MIT
 * Names of exit statuses for log lines. Called by whoever waits for a child; any privilege; never fails. */
#include "base/exit_status.h"
#include <stddef.h>

static const char *const names[] = {
    [EXIT_STATUS_OK] = "ok",
    [EXIT_STATUS_ERROR] = "error",
    [EXIT_STATUS_USAGE] = "wrong command line",
    [EXIT_STATUS_NO_USER] = "missing system user",
    [EXIT_STATUS_UNAVAILABLE] = "service unavailable",
    [EXIT_STATUS_BUG] = "bug",
    [EXIT_STATUS_SYSTEM] = "system error",
    [EXIT_STATUS_CANT_CREATE] = "cannot create a file",
    [EXIT_STATUS_IO] = "input/output error",
    [EXIT_STATUS_TEMPFAIL] = "temporary failure",
    [EXIT_STATUS_PROTOCOL] = "forbidden request",
    [EXIT_STATUS_NO_PERMISSION] = "no permission",
    [EXIT_STATUS_CONFIG] = "wrong configuration",
    [EXIT_STATUS_PEER_GONE] = "peer gone",
    [EXIT_STATUS_OUT_OF_MEMORY] = "out of memory",
};

const char *exit_status_name(int status) {
    if (status < 0 || (size_t)status >= sizeof(names) / sizeof(names[0]) || names[status] == NULL) {
        return "unknown";
    }
    return names[status];
}
