/* SPDX-License-Identifier: MIT
 * The sendmail program; everything is in src/control. Runs as whoever calls it. */
#include "control/sendmail.h"

int main(int argc, char **argv) {
    return sendmail_main(argc, argv);
}
