/* SPDX-License-Identifier: MIT
 * The operator's program: everything is in src/control. Runs as whoever calls it; most changes need root or the
 * spool's user. */
#include "control/control.h"

int main(int argc, char **argv) {
    return control_main(argc, argv);
}
