/* SPDX-License-Identifier: MIT
 * What each kind of process may send to which: one row a permission, everything else ends the sender's channel. Read by
 * the service frame and by the listener, under their own privileges. Answers that a process waits for are not here:
 * channel_ask takes exactly the one kind it asked for. */
#include "ipc/whitelist.h"
#include "ipc/messages.h"

struct whitelist_row {
    enum service_kind service;
    enum peer_kind peer;
    enum message_kind message;
};

static const struct whitelist_row whitelist[] = {
    /* The listener: what its children report. */
    {SERVICE_LISTENER, PEER_LEDGER, HUB_READY},
    {SERVICE_LISTENER, PEER_LEDGER, HUB_PONG},
    {SERVICE_LISTENER, PEER_LEDGER, HUB_LOCKED},
    {SERVICE_LISTENER, PEER_LEDGER, HUB_UNLOCKED},
    {SERVICE_LISTENER, PEER_LEDGER, HUB_LOCK_BEGAN},
    {SERVICE_LISTENER, PEER_LEDGER, HUB_LOCK_ENDED},
    {SERVICE_LISTENER, PEER_SERVICE, HUB_READY},
    {SERVICE_LISTENER, PEER_SERVICE, HUB_PONG},
    {SERVICE_LISTENER, PEER_RUNNER, HUB_READY},
    {SERVICE_LISTENER, PEER_RUNNER, HUB_PONG},
    {SERVICE_LISTENER, PEER_RUNNER, HUB_AGENT_WANTED},
    {SERVICE_LISTENER, PEER_RUNNER, HUB_FINISHED},
    {SERVICE_LISTENER, PEER_NURSERY, HUB_READY},
    {SERVICE_LISTENER, PEER_NURSERY, HUB_PONG},
    {SERVICE_LISTENER, PEER_NURSERY, HUB_BORN},
    {SERVICE_LISTENER, PEER_RECEIVER, HUB_READY}, /* with receiver_sessions above 1: for its next client */

    /* The ledger. */
    {SERVICE_LEDGER, PEER_LISTENER, HUB_PEER},
    {SERVICE_LEDGER, PEER_NURSERY, HUB_PEER},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_LOG},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_PING},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_RELOAD},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_HITS},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_LOCK_ENDED},
    {SERVICE_LEDGER, PEER_LISTENER, HUB_RECEIVER_DIED},
    {SERVICE_LEDGER, PEER_RECEIVER, CONTACT_OPEN},
    {SERVICE_LEDGER, PEER_RECEIVER, CONTACT_VIOLATION},
    {SERVICE_LEDGER, PEER_RECEIVER, CONTACT_LOGIN},
    {SERVICE_LEDGER, PEER_RECEIVER, LOGIN_TRY},
    {SERVICE_LEDGER, PEER_RECEIVER, CONTACT_CLOSE},
    {SERVICE_LEDGER, PEER_RECEIVER, CONTACT_COUNT},
    {SERVICE_LEDGER, PEER_RECEIVER, GREYLIST_TRY},
    {SERVICE_LEDGER, PEER_RECEIVER, RECIPIENT_REFUSED},
    {SERVICE_LEDGER, PEER_RECEIVER, SPOOL_OPEN},
    {SERVICE_LEDGER, PEER_RECEIVER, MAIL_COMMIT},
    {SERVICE_LEDGER, PEER_RUNNER, MAIL_FETCH},
    {SERVICE_LEDGER, PEER_RUNNER, MAIL_RESULT},
    {SERVICE_LEDGER, PEER_OPERATOR, CONTROL_REQUEST},
    {SERVICE_LEDGER, PEER_OPERATOR, MAIL_FETCH}, /* who may read queue/mail may read what is still in the journal */

    /* Lookup: receivers alone, for nobody else has passwords or addresses to ask about. */
    {SERVICE_LOOKUP, PEER_LISTENER, HUB_PEER},
    {SERVICE_LOOKUP, PEER_NURSERY, HUB_PEER},
    {SERVICE_LOOKUP, PEER_LISTENER, HUB_LOG},
    {SERVICE_LOOKUP, PEER_LISTENER, HUB_PING},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_ADDRESS},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_LOGIN},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_SCRAM_BEGIN},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_SCRAM_FINISH},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_MAY_SEND},
    {SERVICE_LOOKUP, PEER_RECEIVER, LOOKUP_RULE},

    /* The resolver. */
    {SERVICE_RESOLVER, PEER_LISTENER, HUB_PEER},
    {SERVICE_RESOLVER, PEER_NURSERY, HUB_PEER},
    {SERVICE_RESOLVER, PEER_LISTENER, HUB_LOG},
    {SERVICE_RESOLVER, PEER_LISTENER, HUB_PING},
    {SERVICE_RESOLVER, PEER_RECEIVER, DNS_ASK},
    {SERVICE_RESOLVER, PEER_AGENT, DNS_ASK},
    {SERVICE_RESOLVER, PEER_OPERATOR, DNS_ASK},
    {SERVICE_RESOLVER, PEER_SERVICE, DNS_ASK}, /* the connector: names in the configuration */

    /* The signer: only what our own members send is signed, and receivers know who they are. Receivers alone show
     * certificates: agents have none. */
    {SERVICE_SIGNER, PEER_LISTENER, HUB_PEER},
    {SERVICE_SIGNER, PEER_NURSERY, HUB_PEER},
    {SERVICE_SIGNER, PEER_LISTENER, HUB_LOG},
    {SERVICE_SIGNER, PEER_LISTENER, HUB_PING},
    {SERVICE_SIGNER, PEER_RECEIVER, SIGN_MAIL},
    {SERVICE_SIGNER, PEER_RECEIVER, TLS_SIGN},

    /* The connector: receivers alone, and what they name is a place in the configuration. */
    {SERVICE_CONNECTOR, PEER_LISTENER, HUB_PEER},
    {SERVICE_CONNECTOR, PEER_NURSERY, HUB_PEER},
    {SERVICE_CONNECTOR, PEER_LISTENER, HUB_LOG},
    {SERVICE_CONNECTOR, PEER_LISTENER, HUB_PING},
    {SERVICE_CONNECTOR, PEER_RECEIVER, CONNECT_ASK},

    /* The runner: new parcels and answers from the ledger, results from agents. */
    {SERVICE_RUNNER, PEER_LISTENER, HUB_PEER},
    {SERVICE_RUNNER, PEER_LISTENER, HUB_LOG},
    {SERVICE_RUNNER, PEER_LISTENER, HUB_PING},
    {SERVICE_RUNNER, PEER_LISTENER, HUB_RELOAD},
    {SERVICE_RUNNER, PEER_LISTENER, HUB_AGENT},
    {SERVICE_RUNNER, PEER_LEDGER, PARCELS_NEW},
    {SERVICE_RUNNER, PEER_LEDGER, MAIL_CONTENT},
    {SERVICE_RUNNER, PEER_LEDGER, MAIL_RECORDED},
    {SERVICE_RUNNER, PEER_AGENT, AGENT_RESULT},
    {SERVICE_RUNNER, PEER_OPERATOR, CONTROL_REQUEST},

    /* The nursery: what receivers need, and how many of them. */
    {SERVICE_NURSERY, PEER_LISTENER, HUB_CHANNEL},
    {SERVICE_NURSERY, PEER_LISTENER, HUB_FORK},
    {SERVICE_NURSERY, PEER_LISTENER, HUB_PING},

    /* Agents and receivers: their work. */
    {SERVICE_AGENT, PEER_LISTENER, HUB_LOG},
    {SERVICE_AGENT, PEER_RUNNER, AGENT_JOB},
    {SERVICE_RECEIVER, PEER_LISTENER, HUB_LOG},
    {SERVICE_RECEIVER, PEER_LISTENER, HUB_CLIENT},
};

bool whitelist_allows(enum service_kind service, enum peer_kind peer, uint32_t message_kind) {
    for (size_t i = 0; i < sizeof whitelist / sizeof whitelist[0]; i++)
        if (whitelist[i].service == service && whitelist[i].peer == peer && whitelist[i].message == message_kind)
            return true;
    return false;
}
