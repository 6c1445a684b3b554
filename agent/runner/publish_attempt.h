#pragma once

#include <optional>
#include <string>

#include "agent/publish/adapter.h"
#include "agent/runner/attempt_context.h"

namespace slipway::runner {

// A publish: fetch the product, prepare a container that no build script ever touched, wait for the
// permit, let the platform's client run once. Steps: 1 fetch, 2 prepare, 3 prove, 4 upload (or
// preview), the last two as the adapter announces them. What the adapter reports decides; without a
// report after the client ran, nobody knows what happened, and that is what the result says.
// A probe goes the same way without a product: 1 prepare, 2 probe.
// Confined to the attempt's thread.
class PublishAttempt {
 public:
  // REQUIRES: the task is a PublishWork (a publish or a probe). `context` outlives this.
  explicit PublishAttempt(AttemptContext& context);

  // From the start, in a fresh container.
  [[nodiscard]] AttemptEnd Run();
  // After a restart of the agent. `client_may_run`: the permit was given, and never is again.
  [[nodiscard]] AttemptEnd Adopt(bool client_may_run);

 private:
  using Trouble = std::optional<protocol::Failure>;

  Trouble Fetch();
  Trouble Prepare();
  Trouble WaitForPermit();
  Trouble StartClient(ClientPermit permit);
  Trouble AwaitClient();
  Trouble ReadResult(const StepEnd& end);
  Trouble TakeProbe(const absl::StatusOr<publish::AdapterResult>& result, const std::string& words);
  Trouble TakePreview(absl::StatusOr<publish::AdapterResult> result, const std::string& words);
  void BeginClientStep();
  // result.json, masked; without its texts when nobody can mask them any more.
  [[nodiscard]] absl::StatusOr<publish::AdapterResult> TakeResult();
  // The image of the platform's code that the adapter's file holds, while the container lives.
  void TakeCodeImage(publish::AdapterResult& result);
  [[nodiscard]] AttemptEnd Finish(Trouble trouble);
  void FollowStages();
  void BeginSending();
  void ReportStages(const publish::AdapterResult& result);
  [[nodiscard]] Duration Deadline() const;

  AttemptContext& context_;
  const PublishWork work_;
  ContainerSession session_;
  bool vanished_ = false;
  bool sending_ = false;  // step 4 was begun
  protocol::AttemptResult result_;
};

}  // namespace slipway::runner
