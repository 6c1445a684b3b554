#pragma once

#include <optional>
#include <string>

#include "agent/publish/adapter.h"
#include "agent/runner/attempt_context.h"
#include "common/mask/secret_masker.h"

namespace slipway::runner {

// A publish: fetch the product, prepare a container that no build script ever touched, wait for the
// permit, let the platform's client run once. Steps: 1 fetch, 2 prepare, 3 prove, 4 upload (or
// preview). What the adapter reports decides; without a report after the client ran, nobody knows
// what happened, and that is what the result says.
// Confined to the attempt's thread.
class PublishAttempt {
 public:
  // REQUIRES: the task is a PublishWork. `context` outlives this.
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
  [[nodiscard]] AttemptEnd Finish(Trouble trouble);
  void ReportStages(const publish::AdapterResult& result);

  AttemptContext& context_;
  const PublishWork work_;
  ContainerSession session_;
  bool client_started_ = false;  // or may have been
  bool vanished_ = false;
  // What the client says is masked like what it prints. Knows nothing after a restart of the agent:
  // the secret is gone by then.
  mask::SecretMasker masker_;
  protocol::AttemptResult result_;
};

}  // namespace slipway::runner
