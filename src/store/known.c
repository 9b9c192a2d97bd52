/* SPDX-License-Identifier: MIT
 * Answers kept by the version of the file they came from. Called by users.c and aliases.c, in lookup as parcelpost-auth
 * with names of strangers. Whatever stands in the way (no version to be had, a database that changes meanwhile) leaves
 * SQLite to be asked, as ever.
 *
 * The version of users.db is its first 100 bytes (fileformat2.html 1.3): each transaction counts there, and has written
 * it before it is committed. That of parcelpost.db is the header of the write-ahead log's index (walformat.html 2.2.1),
 * by which SQLite itself tells whether something was written; it lies in memory. What stands there while nobody holds a
 * lock may be of a transaction that comes to nothing, so an answer is kept only when the version read behind it, its
 * snapshot still held, is the one that the reading began with. */
#include "store/known.h"
#include "base/memory.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 1024u
#define VERSION_SIZE 100u
#define INDEX_REGION 32768
#define INDEX_HEADER 48u /* there are two of them, the same unless one is just being written */
#define INDEX_READY 12u
#define WRITE_FORMAT 18u
#define FORMAT_ROLLBACK 1
#define FORMAT_WAL 2

struct entry {
    char *bytes; /* the key, then the answer */
    size_t key_length, answer_length, capacity;
    uint64_t generation; /* 0: empty */
    enum statement_name name;
    enum known what;
};
struct known_answers {
    unsigned char version[VERSION_SIZE];
    bool good; /* version is that of the reading under way */
    uint64_t generation;
    struct entry entries[ENTRIES];
};

static sqlite3_file *file_of(const struct database *database) {
    sqlite3_file *file = NULL;
    (void)sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return file != NULL && file->pMethods != NULL && file->pMethods->iVersion >= 2 ? file : NULL;
}

static bool read_start(sqlite3_file *file, unsigned char start[VERSION_SIZE], int format) {
    return file->pMethods->xRead(file, start, VERSION_SIZE, 0) == SQLITE_OK && start[WRITE_FORMAT] == format &&
           start[WRITE_FORMAT + 1] == format;
}

static bool read_index(sqlite3_file *file, unsigned char version[VERSION_SIZE]) {
    void volatile *index = NULL;
    int code = file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &index);
    if ((code != SQLITE_OK && code != SQLITE_READONLY) || index == NULL) {
        return false;
    }
    for (size_t i = 0; i < 2 * INDEX_HEADER; i++) {
        version[i] = ((unsigned char volatile *)index)[i];
    }
    file->pMethods->xShmBarrier(file);
    return memcmp(version, version + INDEX_HEADER, INDEX_HEADER) == 0 && version[INDEX_READY] != 0;
}

static bool read_version(const struct database *database, unsigned char version[VERSION_SIZE]) {
    sqlite3_file *file = file_of(database);
    memset(version, 0, VERSION_SIZE);
    return file != NULL &&
           (database->kind == DATABASE_MAIN ? read_index(file, version) : read_start(file, version, FORMAT_ROLLBACK));
}

/* Only a database with a log has an index. */
static bool has_version(const struct database *database) {
    unsigned char start[VERSION_SIZE];
    sqlite3_file *file = file_of(database);
    return file != NULL && (database->kind != DATABASE_MAIN || read_start(file, start, FORMAT_WAL));
}

static bool in_transaction(const struct database *database) {
    return sqlite3_get_autocommit(database->handle) == 0;
}

void database_read_begin(struct database *database) {
    unsigned char version[VERSION_SIZE];
    if (database->answers == NULL && has_version(database)) {
        database->answers = memory_new(1, sizeof *database->answers);
    }
    struct known_answers *answers = database->answers;
    if (answers == NULL) {
        return;
    }
    bool good = read_version(database, version);
    if (!good || !answers->good || memcmp(version, answers->version, VERSION_SIZE) != 0) {
        answers->generation++;
        memcpy(answers->version, version, VERSION_SIZE);
    }
    answers->good = good;
    database->reading = good;
}

static void end_snapshot(struct database *database) {
    if (in_transaction(database) && !statement_run(database, STATEMENT_READ_END, BINDS_NONE)) {
        database_rollback(database);
    }
}

void database_read_end(struct database *database) {
    if (database->reading) {
        end_snapshot(database);
    }
    database->reading = false;
}

/* FNV-1a. Two that share a place take turns. */
static struct entry *entry_of(struct known_answers *answers, enum statement_name name, struct text key) {
    uint32_t hash = 0x811c9dc5u ^ (uint32_t)name;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 0x01000193u;
    }
    return &answers->entries[(hash ^ hash >> 16) % ENTRIES];
}

enum known known_find(const struct database *database, enum statement_name name, struct text key, struct text *answer) {
    struct known_answers *answers = database->answers;
    if (!database->reading || !answers->good) {
        return KNOWN_NOT;
    }
    const struct entry *entry = entry_of(answers, name, key);
    if (entry->generation != answers->generation || entry->name != name ||
        !text_equal(key, (struct text){entry->bytes, entry->key_length})) {
        return KNOWN_NOT;
    }
    *answer = (struct text){entry->bytes + entry->key_length, entry->answer_length};
    return entry->what;
}

void known_ask(struct database *database) {
    if (database->reading && database->answers->good && !in_transaction(database)) {
        (void)statement_run(database, STATEMENT_READ_BEGIN, BINDS_NONE);
    }
}

static void keep(struct known_answers *answers, enum statement_name name, struct text key, enum known what,
                 struct text answer) {
    struct entry *entry = entry_of(answers, name, key);
    size_t length = key.length + answer.length;
    if (length > KNOWN_MAXIMUM) {
        return;
    }
    if (entry->bytes == NULL || length > entry->capacity) {
        entry->capacity = length;
        entry->bytes = memory_resize(entry->bytes, length + 1, 1);
    }
    memcpy(entry->bytes, key.data, key.length);
    memcpy(entry->bytes + key.length, answer.data, answer.length);
    entry->key_length = key.length;
    entry->answer_length = answer.length;
    entry->name = name;
    entry->what = what;
    entry->generation = answers->generation;
}

/* A lock on users.db stands in the way of who writes there, so it is given back at once. */
void known_end(struct database *database, enum statement_name name, struct text key, enum known what,
               struct text answer) {
    unsigned char version[VERSION_SIZE];
    if (!database->reading || !in_transaction(database)) {
        return;
    }
    struct known_answers *answers = database->answers;
    if (!read_version(database, version) || memcmp(version, answers->version, VERSION_SIZE) != 0) {
        answers->good = false;
    } else if (what != KNOWN_NOT) {
        keep(answers, name, key, what, answer);
    }
    if (database->kind == DATABASE_USERS) {
        end_snapshot(database);
    }
}

void known_free(struct database *database) {
    for (size_t i = 0; database->answers != NULL && i < ENTRIES; i++) {
        free(database->answers->entries[i].bytes);
    }
    free(database->answers);
}
