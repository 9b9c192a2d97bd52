/* SPDX-License-Identifier: MIT
 * Reading a route's password; see config.h. Called by the listener, which throws it away again, and by agents before
 * they drop their privileges. A file that is missing, empty or odd is an error that names it, never what it holds. */
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_FILE_MAXIMUM 4096
#define PASSWORD_MAXIMUM 255

static char *first_line(struct text content, const char *file, struct buffer *error) {
    struct text line = text_first(content, text_find(content, '\n'));

    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    if (line.length > 0 && line.length <= PASSWORD_MAXIMUM && memchr(line.data, '\0', line.length) == NULL)
        return memory_string(line);
    (void)buffer_format(error, "password_file %s: its first line is no password; accepted: 1 to %d bytes", file,
                        PASSWORD_MAXIMUM);
    return NULL;
}

char *config_route_password(const struct config_route *route, struct buffer *error) {
    struct buffer content;
    char *password = NULL;

    if (!file_is_regular("password_file", route->password_file, error) ||
        !file_is_private("password_file", route->password_file, error))
        return NULL;
    int fd = open(route->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    buffer_init(&content, PASSWORD_FILE_MAXIMUM);
    if (fd < 0 || !file_read_into(fd, &content)) {
        int problem = errno;
        (void)buffer_format(error, "password_file %s cannot be read: ", route->password_file);
        file_say_problem(route->password_file, problem, error);
    } else
        password = first_line(buffer_text(&content), route->password_file, error);
    if (fd >= 0)
        close(fd);
    if (content.data != NULL)
        explicit_bzero(content.data, content.length);
    buffer_free(&content);
    return password;
}
