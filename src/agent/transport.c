/* SPDX-License-Identifier: MIT
 * The table of transports and how a configured name leads to a row. Called by the agent before it drops privileges; an
 * unknown name is the configuration's fault and ends the agent. */
#include "agent/transport.h"
#include <string.h>

const struct transport *const transports[] = {
    &transport_lmtp, &transport_smtp, &transport_maildir, &transport_pipe, &transport_null,
};
const size_t transport_count = sizeof transports / sizeof transports[0];

static const struct transport *row_named(const char *name) {
    for (size_t i = 0; i < transport_count; i++) {
        if (strcmp(transports[i]->name, name) == 0) {
            return transports[i];
        }
    }
    return NULL;
}

static const char *default_target(const struct config *config, const struct transport *transport) {
    if (transport == &transport_lmtp) {
        return config->lmtp;
    }
    return transport == &transport_maildir ? config->maildir : "";
}

bool transport_find(const struct config *config, const char *name, struct transport_context *context) {
    const struct config_transport *block = config_transport_find(config, text_of(name));
    const char *target = block != NULL ? block->target : "";
    context->config = config;
    context->name = name;
    context->block = block;
    context->transport = row_named(block != NULL ? block->kind : name);
    if (context->transport == NULL || (context->transport == &transport_pipe && context->block == NULL)) {
        return false;
    }
    context->target = target != NULL && target[0] != '\0' ? target : default_target(config, context->transport);
    return context->target != NULL;
}

bool transport_needs_file_system(const struct transport_context *context) {
    return context->filtered || !context->transport->network || context->target[0] == '/' ||
           strncmp(context->target, "unix:", 5) == 0;
}
