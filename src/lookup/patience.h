/* SPDX-License-Identifier: MIT
 * How long a request may take. Private to this folder. */
#ifndef LOOKUP_PATIENCE_H
#define LOOKUP_PATIENCE_H
/* From now on SIGALRM ends the process, whatever the listener made of it, when a request takes longer than this many
 * seconds, or up to a second more; 0: no limit. */
void patience_set(unsigned seconds);
void patience_begin(void);
void patience_end(void);
#endif
