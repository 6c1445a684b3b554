#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/runner/attempt_context.h"
#include "agent/runner/build_caches.h"
#include "common/git/source.h"
#include "common/project/project_config.h"

namespace slipway::runner {

// A build: fetch the commit, run its script in a container, archive what it left. Steps: 1 fetch,
// 2 prepare, 3 script, 4 archive. Or a script that somebody brought, which leaves nothing to
// archive. May be run again after a restart of the agent at any point: a container that is there is
// taken up, what came before it is done anew. Confined to the attempt's thread.
class BuildAttempt {
 public:
  // REQUIRES: the task is a BuildWork. `context` outlives this.
  explicit BuildAttempt(AttemptContext& context);

  [[nodiscard]] AttemptEnd Run();

 private:
  // Each: nothing, or why the build has failed.
  using Trouble = std::optional<protocol::Failure>;

  Trouble Fetch();
  Trouble ReadProject(const std::string& commit);
  Trouble ReadCredential(const git::CommitReader& reader, const std::string& commit);
  Trouble Prepare();
  // Gets the container, running. What it did not cost, for people; empty: nothing was spared.
  [[nodiscard]] absl::StatusOr<std::string_view> Launch();
  // One of the pool. False: there is none that suits.
  [[nodiscard]] absl::StatusOr<bool> TakeWarm();
  [[nodiscard]] absl::Status CreateAndStart(const executor::ContainerSpec& spec);
  Trouble RunScript();
  Trouble JudgeScript(const StepEnd& end);
  [[nodiscard]] protocol::Failure RanTooLong(const std::string& words) const;
  // Why the container ended without anybody here wanting it: the Engine took it along, or else.
  protocol::Failure Loss(std::string_view otherwise, const char* message);
  Trouble ReadScriptResult();
  Trouble Archive();
  // Makes what is known of the archived product survive this process. False: it does not.
  [[nodiscard]] bool RememberArchived();
  [[nodiscard]] init::StepSpec ScriptStep() const;
  [[nodiscard]] Trouble Everything();
  // How far it came, for its caches; nullopt: nobody can say what is in them.
  [[nodiscard]] std::optional<BuildCaches::End> CachesEnd(bool succeeded) const;

  AttemptContext& context_;
  const BuildWork work_;
  const git::Source source_;
  // A container was made by an earlier life of the agent.
  const bool resumes_;

  ContainerSession session_;
  BuildCaches caches_;
  // The container may have begun with the script; it ended by itself, and left nothing running.
  bool begun_;
  bool ended_by_itself_ = false;
  project::PlatformConfig platform_;
  project::ResourceLimits limits_;
  protocol::AttemptResult result_;
  protocol::BuildOutcome outcome_;
  std::string script_error_;
};

}  // namespace slipway::runner
