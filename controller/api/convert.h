#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/domain/agent.h"
#include "controller/domain/application.h"
#include "controller/domain/repository_credential.h"
#include "controller/domain/task.h"
#include "slipway/v1/application.pb.h"
#include "slipway/v1/release.pb.h"
#include "slipway/v1/task.pb.h"

// Domain values as clients see them.
namespace slipway::api {

v1::Application ToProto(const domain::Application& application);
v1::RepositoryCredential ToProto(const domain::RepositoryCredential& credential);
// `agent_name`: of the newest attempt's holder; may be empty.
v1::Task ToProto(const domain::Task& task, const domain::Run& run, const std::string& agent_name);
v1::Step ToProto(const domain::Step& step);
v1::Release ToProto(const domain::Release& release);
v1::Resolution ToProto(const domain::Resolution& resolution);

// kQueued ↔ TASK_STATE_QUEUED; nullopt for an unknown value.
std::optional<domain::TaskState> StateFromProto(v1::TaskState state);

}  // namespace slipway::api
