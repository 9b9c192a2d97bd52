/* SPDX-License-Identifier: MIT
 * Following names: what an address is to us, and where its mail goes in the end. Private to this folder.
 *
 * The order, the first that knows the address decides:
 *   1. rows of aliases for it; a target that is the address itself means its mailbox
 *   2. the user of that name
 *   3. with recipient_delimiter: the same two without the tag ("coco+shop" is coco)
 *   4. postmaster (RFC 5321 4.5.1)
 *   5. rows of aliases for "@domain": a catch-all, or another domain ("@other" → "@domain": the same local part there);
 *      then those for "@.name" of a domain above it, the closest first, then those for "@*"
 * and before all of them, an SRS address of ours leads back to whom it was made for. */
#ifndef LOOKUP_ALIAS_H
#define LOOKUP_ALIAS_H
#include "lookup/answers.h"
#include "lookup/targets.h"
/* targets: initialised; gets the places, none unless the standing is MEMBER or RETURN. canonical: the user whose
 * address it is, or the address itself where it is an alias. STANDING_UNKNOWN also for an alias whose targets are all
 * missing users; STANDING_TEMPFAIL when anything could not be looked up, or leads to what is not configured, or in a
 * circle. */
enum address_standing alias_follow(struct targets *targets, struct text address, char canonical[ANSWER_ADDRESS_SIZE]);
#endif
