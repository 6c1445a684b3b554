#include "agent/runner/repository_source.h"

#include <chrono>
#include <variant>

#include "agent/artifacts/retry.h"
#include "common/git/repository_url.h"

namespace slipway::runner {
namespace {

// For the controller's word, while other builds of the application wait for the mirror.
constexpr Duration kPatience = std::chrono::minutes(5);

absl::StatusOr<crypto::RepositoryCredential> AskCredential(AttemptContext& context,
                                                           const std::string& repository) {
  const MonoTime give_up = context.clock.Mono() + kPatience;
  artifacts::Backoff pause({});
  for (;;) {
    absl::StatusOr<crypto::RepositoryCredential> credential =
        context.parts.repository_credential(context.key, repository);
    if (credential.ok()) context.Hide(credential->secret.view());
    if (credential.ok() || !artifacts::IsTransient(credential.status()) ||
        context.clock.Mono() >= give_up) {
      return credential;
    }
    if (!context.Wait(pause.Next())) return absl::CancelledError("canceled while fetching");
  }
}

}  // namespace

git::Source SourceOf(AttemptContext& context) {
  const auto& work = std::get<BuildWork>(context.task.work);
  if (work.private_repository) {
    return {work.repository, context.task.application, [&context, &work](const std::stop_token&) {
              return AskCredential(context, work.repository);
            }};
  }
  // What a password or token opens is not for other applications, wherever it comes from.
  return {work.repository,
          git::HasLogin(work.repository) ? context.task.application : std::string(), nullptr};
}

}  // namespace slipway::runner
