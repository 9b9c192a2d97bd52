/* SPDX-License-Identifier: MIT
 * The operator's program: everything is in src/control. Runs as whoever calls it; most changes need root or the
 * spool's user. */
#include "control/control.h"
#include "control/names.h"
#include "lookup/explain.h"

int main(int argc, char **argv) {
    control_set_explainer(lookup_explain);
    return control_main(argc, argv);
}
