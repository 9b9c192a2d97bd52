/* SPDX-License-Identifier: MIT
 * SASLprep with libidn's stringprep. Called by lookup (names and passwords of strangers) and `parcelpost user` (what is
 * stored), so that both compare the same bytes. Printable ASCII, which it leaves as it is, never gets to the library.
 */
#include "mail/saslprep.h"
#include <string.h>
#include <stringprep.h>

bool saslprep(struct text given, char prepared[SASLPREP_SIZE]) {
    prepared[0] = '\0';
    if (given.length == 0 || text_find(given, '\0') < given.length || !text_is_utf8(given) ||
        !text_copy(prepared, SASLPREP_SIZE, given)) {
        prepared[0] = '\0';
        return false;
    }
    bool good = text_is_printable(given) || (stringprep(prepared, SASLPREP_SIZE, (Stringprep_profile_flags)0,
                                                        stringprep_saslprep) == STRINGPREP_OK &&
                                             prepared[0] != '\0');
    if (!good) {
        explicit_bzero(prepared, SASLPREP_SIZE);
    }
    return good;
}
