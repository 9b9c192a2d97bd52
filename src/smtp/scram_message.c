/* SPDX-License-Identifier: MIT
 * Parsing SCRAM messages, see scram_message.h. Called by receivers, confined, on what anybody sent as a login; fails
 * only by return value. */
#include "smtp/scram_message.h"
#include <string.h>

/* saslname = 1*(value-safe-char / "=2C" / "=3D"): "=" and "," are written so, and nothing else is. */
static bool decode_name(struct text name, char decoded[SCRAM_NAME_SIZE]) {
    size_t length = 0;

    for (size_t i = 0; i < name.length; i++) {
        char byte = name.data[i];
        if (byte == '=') {
            struct text code = text_first(text_from(name, i), 3);
            if (!text_equal(code, TEXT("=2C")) && !text_equal(code, TEXT("=3D")))
                return false;
            byte = code.data[2] == 'C' ? ',' : '=';
            i += 2;
        }
        if (byte == '\0' || length + 1 >= SCRAM_NAME_SIZE)
            return false;
        decoded[length++] = byte;
    }
    decoded[length] = '\0';
    return length > 0 && text_is_utf8(name);
}

/* Takes "x=value" and its comma off the front. */
static bool take_attribute(struct text *rest, char letter, struct text *value) {
    struct text attribute;

    if (!text_split(rest, ',', &attribute) || attribute.length < 3 || attribute.data[0] != letter ||
        attribute.data[1] != '=')
        return false;
    *value = text_from(attribute, 2);
    return true;
}

/* gs2-cbind-flag = ("p=" cb-name) / "n" / "y" */
static bool take_flag(struct text *rest, struct scram_first *first) {
    struct text flag;

    if (!text_split(rest, ',', &flag))
        return false;
    if (flag.length > 2 && flag.data[0] == 'p' && flag.data[1] == '=') {
        first->binding = SCRAM_BINDING_REQUIRED;
        first->binding_name = text_from(flag, 2);
        return true;
    }
    first->binding = text_equal(flag, TEXT("y")) ? SCRAM_BINDING_UNSEEN : SCRAM_BINDING_NONE;
    return text_equal(flag, TEXT("n")) || text_equal(flag, TEXT("y"));
}

/* printable = %x21-2B / %x2D-7E */
static bool is_nonce(struct text nonce, size_t maximum) {
    for (size_t i = 0; i < nonce.length; i++)
        if (nonce.data[i] < '!' || nonce.data[i] > '~' || nonce.data[i] == ',')
            return false;
    return nonce.length > 0 && nonce.length <= maximum;
}

bool scram_parse_first(struct text message, struct scram_first *first) {
    struct text rest = message, identity, user;

    *first = (struct scram_first){.binding_name = TEXT_NONE};
    /* A comma ends the identity also when there is none; text_split takes an empty rest for the end of the message. */
    if (!take_flag(&rest, first) || rest.length == 0)
        return false;
    if (rest.data[0] == ',')
        rest = text_from(rest, 1);
    else if (text_starts_nocase(rest, TEXT("a=,"))) /* libgsasl's way to say none */
        rest = text_from(rest, 3);
    else if (!take_attribute(&rest, 'a', &identity) || !decode_name(identity, first->identity))
        return false;
    first->gs2_header = text_first(message, message.length - rest.length);
    first->bare = rest;
    return take_attribute(&rest, 'n', &user) && decode_name(user, first->user) &&
           take_attribute(&rest, 'r', &first->nonce) && is_nonce(first->nonce, SCRAM_NONCE_MAXIMUM);
}

bool scram_parse_final(struct text message, struct scram_final *final) {
    struct text rest = message;
    size_t at = message.length;

    *final = (struct scram_final){.proof = TEXT_NONE};
    if (!take_attribute(&rest, 'c', &final->channel_binding) || !take_attribute(&rest, 'r', &final->nonce))
        return false;
    while (at > 0 && message.data[at - 1] != ',') /* the proof is the last attribute */
        at--;
    struct text last = text_from(message, at);
    final->without_proof = text_first(message, at > 0 ? at - 1 : 0);
    final->proof = text_from(last, 2);
    return rest.length > 0 && at >= message.length - rest.length && last.length > 2 && last.data[0] == 'p' &&
           last.data[1] == '=';
}
