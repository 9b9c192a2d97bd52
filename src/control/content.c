/* SPDX-License-Identifier: MIT
 * Fetching and printing a message, see content.h. Under the caller's privileges: the socket's mode and the ledger's
 * look at the uid decide who may read mail. */
#include "control/content.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "control/change_offline.h"
#include "control/operator.h"
#include "ipc/messages.h"
#include "mail/header.h"
#include "spool/spool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MAXIMUM (1u << 20) /* of a message that are looked through for their end */
#define CHUNK 65536
#define LINE_SIZE 4096

static int gone(const char *mail_id) {
    return control_fail(EXIT_STATUS_NO_USER, "%s is not in the spool: it has left, or never was there", mail_id);
}

static int fetch_online(int ledger, const char *mail_id, struct spool_content *content) {
    const struct mail_fetch request = {text_of(mail_id)};
    struct mail_content answer;
    if (channel_ask(ledger, MAIL_FETCH, &request, -1, MAIL_CONTENT, &answer, &content->fd, CLOCK_NEVER) != CHANNEL_OK) {
        return control_fail(EXIT_STATUS_TEMPFAIL, "the server ended before it answered");
    }
    if (answer.found == CONTENT_LATER) {
        return control_fail(EXIT_STATUS_TEMPFAIL, "the database takes no rows now; the server's log says why");
    }
    if (answer.found == CONTENT_MISSING) {
        return gone(mail_id);
    }
    content->lengths = (struct cargo_lengths){(uint64_t)answer.message_length, (uint64_t)answer.headers_length,
                                              (uint64_t)answer.envelope_length};
    if (content->fd < 0) {
        content->bytes = memory_new(1, answer.cargo.length + 1);
        memcpy(content->bytes, answer.cargo.data, answer.cargo.length);
    }
    return EXIT_STATUS_OK;
}

static int fetch_offline(struct control *control, const char *mail_id, struct spool_content *content) {
    int status;
    struct change_offline *offline = change_offline_open(control->config, &status);
    if (offline == NULL) {
        return status;
    }
    status = spool_fetch(change_offline_spool(offline), mail_id, content) ? EXIT_STATUS_OK : gone(mail_id);
    change_offline_close(offline);
    return status;
}

static int fetch(struct control *control, const char *mail_id, struct spool_content *content) {
    int ledger, status = EXIT_STATUS_ERROR;
    *content = (struct spool_content){.fd = -1};
    switch (operator_connect(control->config, "ledger.sock", &ledger)) {
    case OPERATOR_ANSWERED:
        status = fetch_online(ledger, mail_id, content);
        close(ledger);
        break;
    case OPERATOR_REFUSED:
        status = control_fail(EXIT_STATUS_NO_PERMISSION, "%s/ledger.sock: not permitted; be root or %s",
                              control->config->control_directory, control->config->user_name);
        break;
    case OPERATOR_NOBODY:
    case OPERATOR_LOST:
        status = fetch_offline(control, mail_id, content);
        break;
    }
    return status;
}

/* ---- printing ---- */

static bool read_bytes(const struct spool_content *content, uint64_t offset, char *bytes, size_t length) {
    if (content->bytes != NULL) {
        memcpy(bytes, content->bytes + offset, length);
        return true;
    }
    return file_pread_all(content->fd, bytes, length, (off_t)offset);
}

/* Lines of text for a terminal. */
static void print_lines(struct text rest) {
    static char shown[LINE_SIZE * 4 + 4];
    struct text line;
    while (text_split(&rest, '\n', &line)) {
        line.length -= line.length > 0 && line.data[line.length - 1] == '\r';
        do { /* a long line in pieces: nothing of it is cut */
            fputs(text_printable(shown, sizeof(shown), text_first(line, LINE_SIZE)), stdout);
            line = text_from(line, LINE_SIZE);
        } while (line.length > 0);
        putchar('\n');
    }
}

static void print(struct text bytes) {
    if (isatty(STDOUT_FILENO)) {
        print_lines(bytes);
    } else {
        fwrite(bytes.data, 1, bytes.length, stdout);
    }
}

static bool print_range(const struct spool_content *content, uint64_t offset, uint64_t length) {
    char *chunk = memory_new(1, CHUNK);
    bool good = true;
    while (good && length > 0) {
        size_t part = length < CHUNK ? (size_t)length : CHUNK;
        good = read_bytes(content, offset, chunk, part);
        if (good) {
            print((struct text){chunk, part});
        }
        offset += part;
        length -= part;
    }
    free(chunk);
    return good;
}

static bool print_headers(const struct spool_content *content) {
    uint64_t length = content->lengths.message < HEADERS_MAXIMUM ? content->lengths.message : HEADERS_MAXIMUM;
    char *bytes = memory_new(1, length + 1);
    bool good = print_range(content, content->lengths.message, content->lengths.headers) &&
                read_bytes(content, 0, bytes, length);
    if (good) {
        print(text_first((struct text){bytes, length}, header_section_length((struct text){bytes, length})));
    }
    free(bytes);
    return good;
}

int content_show(struct control *control, const char *mail_id, enum content_part part) {
    struct spool_content content;
    int status = fetch(control, mail_id, &content);
    if (status == EXIT_STATUS_OK) {
        bool good = part == CONTENT_HEADERS ? print_headers(&content)
                                            : print_range(&content, content.lengths.message, content.lengths.headers) &&
                                                  print_range(&content, 0, content.lengths.message);
        status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_IO, "%s cannot be read", mail_id);
    }
    free(content.bytes);
    if (content.fd >= 0) {
        close(content.fd);
    }
    return status;
}
