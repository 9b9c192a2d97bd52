/* SPDX-License-Identifier: MIT
 * The table of entry points that the listener, and for receivers the nursery, calls in the children it forks. The one
 * place that knows all process folders. */
#include "agent/agent.h"
#include "connector/connector.h"
#include "ipc/process.h"
#include "ledger/ledger.h"
#include "lookup/lookup.h"
#include "nursery/nursery.h"
#include "receiver/receiver.h"
#include "resolver/resolver.h"
#include "runner/runner.h"
#include "signer/signer.h"

process_main *const process_mains[PROCESS_KINDS] = {
    [PROCESS_LEDGER] = ledger_main, [PROCESS_LOOKUP] = lookup_main,       [PROCESS_RESOLVER] = resolver_main,
    [PROCESS_SIGNER] = signer_main, [PROCESS_RUNNER] = runner_main,       [PROCESS_NURSERY] = nursery_main,
    [PROCESS_AGENT] = agent_main,   [PROCESS_CONNECTOR] = connector_main, [PROCESS_RECEIVER] = receiver_main,
};
const char *const process_names[PROCESS_KINDS] = {
    [PROCESS_LEDGER] = "ledger", [PROCESS_LOOKUP] = "lookup",       [PROCESS_RESOLVER] = "resolver",
    [PROCESS_SIGNER] = "signer", [PROCESS_RUNNER] = "runner",       [PROCESS_RECEIVER] = "receiver",
    [PROCESS_AGENT] = "agent",   [PROCESS_CONNECTOR] = "connector", [PROCESS_NURSERY] = "nursery",
};
