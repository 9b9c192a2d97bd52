/* SPDX-License-Identifier: MIT
 * Facts about who has logged in: how much the login sends, and in whose name. Each is asked only where its key is set
 * and somebody has logged in. */
#ifndef RECEIVER_MEMBER_H
#define RECEIVER_MEMBER_H
struct session;
void member_count_message(struct session *session);
void member_count_recipient(struct session *session);
/* Of every address of every From field. */
void member_check_header(struct session *session);
#endif
