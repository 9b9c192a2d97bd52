/* SPDX-License-Identifier: MIT
 * What change.c and change_header.c share: a change as a value, so that it can wait. */
#ifndef RECEIVER_CHANGE_PRIVATE_H
#define RECEIVER_CHANGE_PRIVATE_H
#include "receiver/change.h"
#include "receiver/session.h"

#define CHANGES_MAXIMUM 256 /* that wait in one transaction, and their bytes */
#define CHANGES_BYTES_MAXIMUM (256u * 1024)

enum change_kind { CHANGE_SENDER, CHANGE_ADD_RECIPIENT, CHANGE_REMOVE_RECIPIENT, CHANGE_HEADER };
enum change_place { CHANGE_AT_END, CHANGE_AT_PLACE, CHANGE_NTH_OF_NAME };
struct change {
    enum change_kind kind;
    enum change_place place;   /* of a header field, */
    uint32_t number;           /* counted by this */
    struct text first, second; /* address and parameters, or name and value; owned while it waits */
};
struct changes {                                                /* to one transaction */
    char hold[CHANGE_REASON_SIZE], discard[CHANGE_REASON_SIZE]; /* why; "": not */
    bool put_off;                                               /* one could not be made now */
    char body_end;                                              /* the last byte of the new body */
    unsigned added;                                             /* recipients */
    size_t count, bytes;                                        /* of those that wait */
    struct change items[CHANGES_MAXIMUM];
};
/* Those of this transaction. */
struct changes *change_list(struct session *session);
/* Makes it, or lets it wait. */
enum change_outcome change_make(struct session *session, const struct change *change);
/* A header field, when the data has ended. */
enum change_outcome change_header_make(struct session *session, const struct change *change);
#endif
