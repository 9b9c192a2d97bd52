/* SPDX-License-Identifier: MIT
 * The mail data, in lines that end with a dot or as one chunk, and the replies to it. Runs in delivery agents; a
 * connection over which it could not be sent whole is closed, so that nobody takes a part for the message. */
#include "smtp/client_message.h"
#include "smtp/data_encoder.h"

#define ENCODED_MAXIMUM (2u * 64 * 1024 + 8) /* a piece of content, encoded */

/* RFC 5321 4.1.1.4 */
bool client_send_lines(struct client *client, struct client_message *message) {
    struct data_encoder encoder;
    struct buffer encoded;
    struct text piece = TEXT_NONE;
    bool rewind = true, sent = true, last = false;
    data_encoder_init(&encoder);
    buffer_init(&encoded, ENCODED_MAXIMUM);
    while (sent && !last) {
        buffer_clear(&encoded);
        if (!message->content(message->context, rewind, &piece)) {
            client_lose(client, "451 4.3.0 the message could not be read"); /* cut, never ended: nobody may take it */
            sent = false;
            break;
        }
        rewind = false;
        last = piece.length == 0;
        sent = last ? data_encoder_end(&encoder, &encoded) : data_encoder_piece(&encoder, piece, &encoded);
        if (!sent) {
            client_lose(client, "451 4.3.0 the message could not be encoded");
        } else if (last && !client_hears_nothing(client, PHASE_DATA_BLOCK)) {
            sent = false;
        } else {
            sent = client_write(client, PHASE_DATA_BLOCK, buffer_text(&encoded));
        }
    }
    buffer_free(&encoded);
    return sent && client_flush(client, PHASE_DATA_BLOCK);
}

/* RFC 3030 2: all of it is one chunk, the last. A message that turns out shorter leaves the server waiting: the
 * connection is closed, and it takes nothing. */
bool client_send_chunk(struct client *client, struct client_message *message) {
    struct text piece = TEXT_NONE;
    uint64_t left = message->size;
    bool rewind = true;
    if (!client_command(client, PHASE_DATA_INIT, "BDAT %llu LAST", (unsigned long long)message->size)) {
        return false;
    }
    do {
        if (!message->content(message->context, rewind, &piece) || piece.length > left ||
            (piece.length == 0 && left > 0)) {
            client_lose(client, "451 4.3.0 the message could not be read");
            return false;
        }
        rewind = false;
        left -= piece.length;
    } while (client_write(client, PHASE_DATA_BLOCK, piece) && piece.length > 0);
    return client_hears_nothing(client, PHASE_DATA_BLOCK) && client_flush(client, PHASE_DATA_BLOCK);
}

void client_response_content(struct client *client, struct client_message *message) {
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (recipient->verdict != CLIENT_ACCEPTED) {
            continue;
        }
        if (!client_read_reply(client, PHASE_DATA_END, NULL)) {
            message->unconfirmed = true;
            client_set_remaining(message, CLIENT_DEFERRED, client);
            return;
        }
        if (!client->settings.lmtp) {
            client_set_remaining(message, client_verdict_of(client->code), client);
            return;
        }
        client_set_answered(recipient, client_verdict_of(client->code), client);
    }
}
