#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/repository_credential.h"
#include "common/git/repository_url.h"

// The git program, made harmless. Private to this library.
namespace slipway::git {

struct GitCall {
  // After "git".
  std::vector<std::string> arguments;
  // Becomes the URL of the remote "origin", with its credentials; nullptr for a local command.
  const RepositoryUrl* remote = nullptr;
  // Instead of what the URL holds; may be null.
  const crypto::RepositoryCredential* credential = nullptr;
  // Where SSH servers' keys are kept that are trusted when first seen.
  std::string known_hosts_file{};
  Duration timeout;
  // Whose key, network and disk it is, for what people are told to do: "agent" or "controller".
  std::string program = "agent";
  // Of each file that git writes; 0: any. Beyond it: REPOSITORY_TOO_LARGE.
  std::int64_t max_file_bytes = 0;
};

// The options every call needs, in a file that git reads instead of the machine's and the user's.
// `allow_foreign_owner`: repositories of this machine may belong to other users.
[[nodiscard]] std::string GitConfigText(bool allow_foreign_owner);

// Runs git with `config_file` as its only configuration. Ok: it succeeded. Otherwise the reasons of
// MirrorCache by what git said, with its words and without credentials; REPOSITORY_TIMEOUT,
// kCancelled.
[[nodiscard]] absl::Status RunGit(const GitCall& call, const std::string& config_file,
                                  const std::string& allowed_protocols,
                                  const std::map<std::string, std::string>& environment,
                                  const std::stop_token& stop);

}  // namespace slipway::git
