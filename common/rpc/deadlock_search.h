#pragma once

namespace slipway::rpc {

// Debian builds Abseil with its search for deadlocks switched on: each mutex that gRPC holds
// becomes a node of one graph, kept under one spin lock, which with thousands of connections is
// most of what their mutexes cost. A program that speaks gRPC calls this first; tests keep the
// search.
void TurnOffDeadlockSearch();

}  // namespace slipway::rpc
