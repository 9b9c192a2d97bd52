/* SPDX-License-Identifier: MIT
 * What `parcelpost alias test` borrows: process folders never include each other, so the program hands lookup's
 * function to control. */
#ifndef CONTROL_NAMES_H
#define CONTROL_NAMES_H
#include "config/config.h"
/* Prints where mail to the address goes, from that sender ("" for <>); the exit status. */
typedef int control_explainer(const struct config *config, const char *address, const char *sender);
void control_set_explainer(control_explainer *function);
#endif
