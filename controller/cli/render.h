#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "controller/cli/style.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "slipway/v1/action.pb.h"
#include "slipway/v1/agent_admin.pb.h"
#include "slipway/v1/application.pb.h"
#include "slipway/v1/audit.pb.h"
#include "slipway/v1/release.pb.h"
#include "slipway/v1/task.pb.h"

// Answers of the controller as people read them. Pure functions; every result ends with a newline.
namespace slipway::cli {

// What all of them need to know.
struct View {
  Text text;
  Style style;
  WallTime now;
};

[[nodiscard]] std::string RenderTasks(const v1::ListTasksResponse& tasks, const View& view);
// One task with its steps and its failure.
[[nodiscard]] std::string RenderTask(const v1::Task& task, const View& view);
[[nodiscard]] std::string RenderAgents(const v1::ListAgentsResponse& agents, const View& view);
// One agent with its story and what it holds.
[[nodiscard]] std::string RenderAgent(const v1::Agent& agent, const View& view);
// One line per agent: what it is now, and whether that is new.
[[nodiscard]] std::string RenderChangedAgents(const v1::ChangeAgentsResponse& changed,
                                              const View& view);
[[nodiscard]] std::string RenderJoinTokens(const v1::ListJoinTokensResponse& tokens,
                                           const View& view);
[[nodiscard]] std::string RenderApplications(const v1::ListApplicationsResponse& applications,
                                             const View& view);
[[nodiscard]] std::string RenderApplication(const v1::Application& application, const View& view);
[[nodiscard]] std::string RenderReleases(const v1::ListReleasesResponse& releases,
                                         const View& view);
[[nodiscard]] std::string RenderArchived(const v1::Archived& archived, const View& view);

// One line per entry.
[[nodiscard]] std::string RenderAudit(const v1::ListAuditEntriesResponse& entries,
                                      const View& view);

// What the reader may do with the object ("you may"), and what it may but not now, with the reason.
// Of tasks and products.
void AddActions(Facts& facts, const google::protobuf::RepeatedPtrField<v1::ObjectAction>& actions,
                const View& view);

// Class, message, the tool's own words and what to do, each line behind `indent`.
[[nodiscard]] std::string RenderFailure(const v1::Failure& failure, const std::string& indent,
                                        const View& view);
// How one finished task ended, without its release.
[[nodiscard]] std::string RenderEnd(const v1::Task& task, const View& view);
// What a release is and where: version, digest, files, link. Without its code.
[[nodiscard]] std::string RenderRelease(const v1::Archived& archived, const View& view);

// "slipway: message\n  → remedy", the remedy in the view's language when it is known in it.
[[nodiscard]] std::string RenderError(const absl::Status& status, const View& view);

}  // namespace slipway::cli
