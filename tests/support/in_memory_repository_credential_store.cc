#include <algorithm>
#include <mutex>

#include "common/status/status.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {

absl::Status InMemoryRepositoryCredentialStore::Set(const domain::Application& application,
                                                    const domain::RepositoryCredential& about,
                                                    const std::string& sealed,
                                                    const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  if (std::none_of(state_.applications.begin(), state_.applications.end(),
                   [&](const auto& one) { return one.second.id == application.id; })) {
    return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION",
                     "there is no application '" + application.name + "'");
  }
  state_.repository_credentials.insert_or_assign(application.id, std::pair(about, sealed));
  state_.tables.audit.push_back(application.name);
  return absl::OkStatus();
}

absl::StatusOr<bool> InMemoryRepositoryCredentialStore::Remove(
    const domain::Application& application, const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  if (state_.repository_credentials.erase(application.id) == 0) return false;
  state_.tables.audit.push_back(application.name);
  return true;
}

absl::StatusOr<std::optional<domain::RepositoryCredential>> InMemoryRepositoryCredentialStore::Find(
    const ApplicationId& application) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.repository_credentials.find(application);
  if (it == state_.repository_credentials.end()) return std::nullopt;
  return it->second.first;
}

absl::StatusOr<std::string> InMemoryRepositoryCredentialStore::Sealed(
    const ApplicationId& application) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.repository_credentials.find(application);
  if (it != state_.repository_credentials.end()) return it->second.second;
  return MakeError(absl::StatusCode::kNotFound, "NO_REPOSITORY_CREDENTIAL",
                   "the application has no repository credential");
}

}  // namespace slipway::testing
