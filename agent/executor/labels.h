#pragma once

// The label keys by which Slipway knows its own containers and networks again: after a restart of
// the agent, and in the reaper, which touches nothing that lacks kLabelFarm and kLabelAgent.
namespace slipway::executor {

inline constexpr char kLabelFarm[] = "io.slipway.farm";    // FarmId
inline constexpr char kLabelAgent[] = "io.slipway.agent";  // AgentId
inline constexpr char kLabelTask[] = "io.slipway.task";    // TaskId; absent in a warm container
inline constexpr char kLabelAttempt[] =
    "io.slipway.attempt";  // Attempt, decimal; goes with kLabelTask
inline constexpr char kLabelNetwork[] =
    "io.slipway.network";                                // container whose network it has joined
inline constexpr char kLabelKind[] = "io.slipway.kind";  // what the container is for: "build", …

}  // namespace slipway::executor
