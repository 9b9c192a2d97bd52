/* SPDX-License-Identifier: MIT
 * Maildir folders (https://cr.yp.to/proto/maildir.html); see maildir.h. Runs as the transport's configured user, in the
 * real file system. Lines end in LF in the file, as Maildir readers expect: every CRLF of the message becomes LF, no
 * other byte changes; whoever needs the wire form back turns each LF into CRLF. */
#include "agent/maildir.h"
#include "agent/line_ends.h"
#include "base/file.h"
#include "base/random.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define PART_MAXIMUM 255 /* of one path component */

static bool is_folder_name(struct text part) {
    if (part.length == 0 || part.length > PART_MAXIMUM || part.data[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < part.length; i++) {
        unsigned char byte = (unsigned char)part.data[i];
        if (byte < 0x20 || byte == 0x7f || byte == '/') {
            return false;
        }
    }
    return true;
}

bool maildir_path(const char *pattern, const char *address, char path[PATH_MAX]) {
    const char *at = strrchr(address, '@');
    struct text local = at != NULL ? (struct text){address, (size_t)(at - address)} : text_of(address);
    struct text domain = text_of(at != NULL ? at + 1 : "localhost");
    struct buffer result;
    bool good = is_folder_name(local) && is_folder_name(domain);
    buffer_init(&result, PATH_MAX - 64); /* room for the file's name */
    for (const char *c = pattern; *c != '\0' && good; c++) {
        if (c[0] == '%' && (c[1] == 'u' || c[1] == 'd')) {
            size_t before = result.length;
            bool is_domain = *++c == 'd';
            good = buffer_append_text(&result, is_domain ? domain : local);
            for (size_t i = before; is_domain && i < result.length; i++) {
                result.data[i] = (char)tolower((unsigned char)result.data[i]); /* domains are the same in any case */
            }
        } else {
            c += c[0] == '%' && c[1] == '%';
            good = buffer_append_byte(&result, *c);
        }
    }
    good = good && text_copy(path, PATH_MAX, buffer_text(&result)) && path[0] != '\0';
    buffer_free(&result);
    return good;
}

/* One directory, and its name made durable in the directory above. */
static bool make_directory(const char *path) {
    char above[PATH_MAX];
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST;
    }
    text_copy(above, sizeof above, text_of(path));
    char *slash = strrchr(above, '/');
    if (slash == NULL) {
        return file_sync_directory(".");
    }
    slash[slash == above ? 1 : 0] = '\0';
    return file_sync_directory(above);
}

bool maildir_make(const char *path) {
    static const char *const folders[] = {"cur", "new", "tmp"};
    char name[PATH_MAX];
    struct stat status;
    text_copy(name, sizeof name, text_of(path));
    for (char *slash = strchr(name + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(name, &status) != 0 && !make_directory(name)) {
            return false;
        }
        *slash = '/';
    }
    if (!make_directory(path)) {
        return false;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(name, sizeof name, "%s/%s", path, folders[i]);
        if (!make_directory(name)) {
            return false;
        }
    }
    return true;
}

/* TIME.MmicrosecondsPpidRrandom.HOST: unique without asking anybody. '/' and ':' may not stand in it. */
static void unique_name(const char *host, char *name, size_t size) {
    struct timeval now;
    unsigned long long salt;
    gettimeofday(&now, NULL);
    random_fill(&salt, sizeof salt);
    snprintf(name, size, "%lld.M%06ldP%ldR%016llx.%.100s", (long long)now.tv_sec, (long)now.tv_usec, (long)getpid(),
             salt, host);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '/' || *c == ':') {
            *c = '_';
        }
    }
}

static enum maildir_outcome write_message(int fd, struct text top, struct delivery_content *content) {
    static struct line_ends ends;
    struct text piece;
    memset(&ends, 0, sizeof ends);
    ends.kept = content->binary;
    if (!line_ends_write(fd, &ends, top)) {
        return MAILDIR_FAILED;
    }
    delivery_content_rewind(content);
    do {
        if (!delivery_content_next(content, &piece)) {
            return MAILDIR_UNREADABLE;
        }
        if (!line_ends_write(fd, &ends, piece)) {
            return MAILDIR_FAILED;
        }
    } while (piece.length > 0);
    if (!line_ends_finish(fd, &ends)) {
        return MAILDIR_FAILED;
    }
    return fsync(fd) == 0 ? MAILDIR_STORED : MAILDIR_FAILED;
}

enum maildir_outcome maildir_store(const char *path, const char *host, struct text top,
                                   struct delivery_content *content) {
    char name[200], temporary[PATH_MAX + 256], final[PATH_MAX + 256], directory[PATH_MAX + 8];
    unique_name(host, name, sizeof name);
    snprintf(temporary, sizeof temporary, "%s/tmp/%s", path, name);
    snprintf(final, sizeof final, "%s/new/%s", path, name);
    snprintf(directory, sizeof directory, "%s/new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return MAILDIR_FAILED;
    }
    enum maildir_outcome outcome = write_message(fd, top, content);
    int problem = errno;
    if (close(fd) != 0 && outcome == MAILDIR_STORED) {
        problem = errno;
        outcome = MAILDIR_FAILED;
    }
    /* In new/ it is delivered; the directory's flush makes it so for good. A failed flush is reported as a failure: at
     * worst the message comes twice. */
    if (outcome == MAILDIR_STORED && (rename(temporary, final) != 0 || !file_sync_directory(directory))) {
        problem = errno;
        outcome = MAILDIR_FAILED;
    }
    if (outcome != MAILDIR_STORED) {
        unlink(temporary);
        errno = problem;
    }
    return outcome;
}
