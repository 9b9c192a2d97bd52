/* SPDX-License-Identifier: MIT
 * queue/mail/ID: mail at rest, and large mail. Message, added headers, envelope, and a last line of fixed length with
 * offsets and checksums; `less` reads it. The instant of commitment is the flush of the directory after the rename. The
 * status bytes in the envelope are overwritten in place, and are the only bytes that no checksum covers. Runs in the
 * ledger; failures are returned with errno and logged where they hurt. */
#ifndef SPOOL_MAIL_FILE_H
#define SPOOL_MAIL_FILE_H
#include "mail/envelope.h"
#include "spool/record.h"
#include <limits.h>

struct mail_files { /* directories of queue/ */
    char mail[PATH_MAX - 64], temporary[PATH_MAX - 64];
};
/* Makes queue/mail and queue/tmp if missing, and empties queue/tmp. False with a sentence in error. */
bool mail_files_open(struct mail_files *files, const char *queue, struct buffer *error);
/* Creates queue/tmp/ID for a large message, O_RDWR, 0600, new; -1 with errno. */
int mail_file_new(const struct mail_files *files, const char *mail_id);
void mail_file_drop_new(const struct mail_files *files, const char *mail_id);
/* Commits queue/tmp/ID, which fd is: its size must be the lengths' sum. Appends the last line, flushes, renames,
 * flushes the directory. It is the receiver's to have flushed the data before, so that this flush is short. False: not
 * committed, and nothing is left in queue/mail. */
bool mail_file_commit(const struct mail_files *files, const char *mail_id, int fd, const struct cargo_lengths *lengths,
                      const struct envelope *envelope);
/* Writes a mail of the journal to rest, durably; replaces a file of that name. */
bool mail_file_write(const struct mail_files *files, const char *mail_id, struct text cargo,
                     const struct cargo_lengths *lengths, const struct envelope *envelope);
/* Opens a mail read-only (or O_RDWR) and checks its last line; -1 when there is none or it is no mail file. */
int mail_file_open(const struct mail_files *files, const char *mail_id, int flags, struct cargo_lengths *lengths);
/* Reads the envelope, which the caller frees; false unless its checksum is right. */
bool mail_file_envelope(int fd, const struct cargo_lengths *lengths, struct envelope *envelope);
/* Compares message and added headers with their checksum. */
bool mail_file_verify(int fd, const struct cargo_lengths *lengths);
/* Overwrites status bytes and flushes. */
bool mail_file_set_status(const struct mail_files *files, const char *mail_id, const struct mail_status *statuses,
                          size_t count);
/* Takes the file away; one that is not there is no error. *bytes gets its size. */
bool mail_file_remove(const struct mail_files *files, const char *mail_id, uint64_t *bytes);
/* Calls back for each file of queue/mail whose name is a mail id; bytes: its size. */
typedef void mail_file_visit(void *context, const char *mail_id, uint64_t bytes);
bool mail_files_list(const struct mail_files *files, mail_file_visit *visit, void *context);
/* Their names alone, in order, without a look at each; the caller frees *names. */
bool mail_files_names(const struct mail_files *files, char (**names)[MAIL_ID_SIZE], size_t *count);
uint64_t mail_file_size(const struct cargo_lengths *lengths);
#endif
