#pragma once

#include <optional>
#include <string>

#include "controller/store/cached_stores.h"
#include "controller/store/repository_credential_store.h"

namespace slipway::store {

// Remembers which applications have a credential, because every build asks; the sealed documents
// are read anew. Holds as the other cached stores do: every change goes through here. Thread-safe.
class CachedRepositoryCredentials final : public RepositoryCredentialStore {
 public:
  // `below` must outlive this.
  explicit CachedRepositoryCredentials(RepositoryCredentialStore& below) : below_(below) {}

  absl::Status Set(const domain::Application& application,
                   const domain::RepositoryCredential& about, const std::string& sealed,
                   const Cause& cause) override {
    const absl::Status status = below_.Set(application, about, sealed, cause);
    // Whatever came of it: an error may be one of the answer only.
    found_.Clear();
    return status;
  }
  absl::StatusOr<bool> Remove(const domain::Application& application, const Cause& cause) override {
    const absl::StatusOr<bool> removed = below_.Remove(application, cause);
    found_.Clear();
    return removed;
  }
  absl::StatusOr<std::optional<domain::RepositoryCredential>> Find(
      const ApplicationId& application) override {
    return found_.Get(application, [&] { return below_.Find(application); });
  }
  absl::StatusOr<std::string> Sealed(const ApplicationId& application) override {
    return below_.Sealed(application);
  }

 private:
  RepositoryCredentialStore& below_;
  ReadCache<ApplicationId, std::optional<domain::RepositoryCredential>> found_;
};

}  // namespace slipway::store
