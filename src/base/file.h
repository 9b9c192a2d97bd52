/* SPDX-License-Identifier: MIT
 * Whole reads and writes on files and descriptors, memfds. */
#ifndef BASE_FILE_H
#define BASE_FILE_H
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
/* Writes all bytes (retrying short writes, EINTR); false with errno. */
bool file_write_all(int fd, const void *bytes, size_t length);
bool file_pwrite_all(int fd, const void *bytes, size_t length, off_t offset);
/* Reads exactly length bytes; false with errno (0 for end of file). */
bool file_pread_all(int fd, void *bytes, size_t length, off_t offset);
/* Appends the rest of the file to the buffer; false with errno, EFBIG past the buffer's maximum. */
bool file_read_into(int fd, struct buffer *buffer);
/* Copies length bytes between descriptors at offsets (copy_file_range, sendfile or read/write); false with errno. */
bool file_copy(int from, off_t from_offset, int to, off_t to_offset, uint64_t length);
/* Opens, or makes, a file that processes lock with flock(2), for its owner and his group: whoever may read it may hold
 * the lock. One that others may read is closed to them. -1 with errno. */
int file_open_lock(const char *path);
/* An anonymous memory file that can be sealed (MFD_CLOEXEC|MFD_ALLOW_SEALING). Dies on failure. */
int file_memory(const char *name);
/* Seals against writing, growing, shrinking and unsealing; false with errno. */
bool file_seal(int fd);
/* True when fd is a memfd with all four seals. */
bool file_is_sealed(int fd);
/* Size in bytes, -1 with errno. */
int64_t file_size(int fd);
/* Whether a secret in a file (what: its name for operators) is closed to everybody but its owner and his group; false
 * with a sentence that names the file and its mode. One that is not there is left to who opens it. */
bool file_is_private(const char *what, const char *path, struct buffer *error);
/* The same of a file or directory that others may read, but that decides what the server does. */
bool file_is_guarded(const char *what, const char *path, struct buffer *error);
/* Whether a file that an operator names is one: a FIFO or a device would hold up who opens it. False with a sentence;
 * one that is not there is left to who opens it. */
bool file_is_regular(const char *what, const char *path, struct buffer *error);
/* Appends why a file that an operator names cannot be opened (errno), and what helps where it is another user's: the
 * server's root has no rights over others' files. */
void file_say_problem(const char *path, int problem, struct buffer *error);
/* fsync of the directory that holds path, so that a name in it is durable; false with errno. */
bool file_sync_directory(const char *directory);
bool file_set_nonblocking(int fd, bool nonblocking);
#endif
