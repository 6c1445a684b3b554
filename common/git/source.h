#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/crypto/repository_credential.h"

namespace slipway::git {

// A repository as one who asks for it reads it. Thread-compatible.
struct Source {
  // Right before each fetch, so that an opened credential lives no longer than the fetch. An error
  // is that of the fetch. May block until `stop`.
  using Credential =
      std::function<absl::StatusOr<crypto::RepositoryCredential>(const std::stop_token& stop)>;

  // What anybody may read who knows the URL, or what this machine's git may. Implicit, because most
  // repositories are just a URL.
  Source(std::string_view from) : url(from) {}    // NOLINT(google-explicit-constructor)
  Source(const std::string& from) : url(from) {}  // NOLINT(google-explicit-constructor)
  Source(const char* from) : url(from) {}         // NOLINT(google-explicit-constructor)
  Source(std::string from, std::string for_whom, Credential with)
      : url(std::move(from)), scope(std::move(for_whom)), credential(std::move(with)) {}

  std::string url;
  // Mirrors are shared only by sources of one scope, so that nobody reads what another's credential
  // opened: the application's id where there is a credential, else empty.
  std::string scope;
  // Empty: there is none.
  Credential credential;
};

}  // namespace slipway::git
