/* SPDX-License-Identifier: MIT
 * What every program does first: find its configuration and read it. Under the caller's privileges. */
#ifndef CONTROL_SETUP_H
#define CONTROL_SETUP_H
#include "config/config.h"
/* file: what -c names, or NULL for ./etc/parcelpost.conf if it exists (a checkout), else
 * /etc/parcelpost/parcelpost.conf. NULL when it cannot be read or is wrong: every error stands on standard error, after
 * the program's name. */
struct config *setup_configuration(const char *program, const char *file);
#endif
