/* SPDX-License-Identifier: MIT
 * `parcelpost why`: the story of a message, an address, a domain or a contact in plain words; which it is, the word
 * itself says. Reading only. */
#include "base/network.h"
#include "control/control.h"
#include "control/story.h"
#include "mail/mail_id.h"
#include <string.h>

static bool is_mail_id(const char *word) {
    return mail_id_is_valid(text_of(word));
}

static bool is_address(const char *word) {
    return strchr(word, '@') != NULL;
}

static bool is_ip(const char *word) {
    struct network network;
    return network_parse(text_of(word), &network);
}

static bool is_anything(const char *word) {
    return word[0] != '\0';
}

static const struct {
    bool (*is)(const char *word);
    bool (*tell)(struct story *story);
    const char *nothing; /* exit status 67 */
} kinds[] = {
    {is_mail_id, story_mail, "nothing is known of a message with that id"},
    {is_address, story_address, "nothing is known of mail from or to that address"},
    {is_ip, story_contact, "that address has never connected"},
    {is_anything, story_domain, "nothing is known of mail to that domain"},
};

int control_why(struct control *control, int count, char **arguments) {
    struct story story = {.control = control, .word = arguments[0]};
    size_t kind = 0;
    (void)count;
    while (kind < sizeof(kinds) / sizeof(kinds[0]) && !kinds[kind].is(story.word)) {
        kind++;
    }
    if (kind == sizeof(kinds) / sizeof(kinds[0])) {
        return control_fail(EXIT_STATUS_USAGE, "why what? A message's id, an address, a domain or an IP address");
    }
    story.database = control_database(control);
    if (story.database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    int status = EXIT_STATUS_OK;
    if (!kinds[kind].tell(&story)) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(story.database));
    } else if (!story.found) {
        status = control_fail(EXIT_STATUS_NO_USER, "%s: %s", story_shown(story.word), kinds[kind].nothing);
    }
    database_close(story.database);
    return status;
}
