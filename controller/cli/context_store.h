#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/fs/unique_fd.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// The two tokens of a login, as the controller gave them last.
struct StoredLogin {
  std::string access_token;
  WallTime access_expires_at;
  std::string refresh_token;  // good once
  WallTime refresh_expires_at;
};

// One farm, and who one is there: what `slipway login` remembers.
struct Context {
  std::string name;
  std::string server;  // HOST:PORT
  std::string ca_pem;  // all that is trusted there
  std::string account;
  // At most one of them.
  std::string api_token;
  std::optional<StoredLogin> login;
};

// Held until it is destroyed; processes and threads alike wait for it.
using FileLock = fs::UniqueFd;

// The contexts of a person, one file each (0600) in a directory (0700). A reader sees a context as
// it was before a change or after it, never a part. Errors name the file. Thread-safe.
class ContextStore {
 public:
  // In ${XDG_CONFIG_HOME:-$HOME/.config}/slipway; nothing is made before there is something to
  // keep. A usage error when neither variable is set.
  [[nodiscard]] static absl::StatusOr<ContextStore> Find(const Environment& environment, Text text);

  // Letters, digits, '.', '_' and '-'; at most 64, none of them hidden.
  [[nodiscard]] static bool IsName(const std::string& name);

  // Sorted.
  [[nodiscard]] std::vector<std::string> Names() const;
  // Usage errors: there is none of that name (NO_SUCH_CONTEXT), others may read the file, or it is
  // damaged.
  [[nodiscard]] absl::StatusOr<Context> Load(const std::string& name) const;
  // Makes it or replaces it; durable on return. REQUIRES: IsName(context.name).
  [[nodiscard]] absl::Status Save(const Context& context) const;
  [[nodiscard]] absl::Status Delete(const std::string& name) const;

  // The one that commands use when nothing else is said; empty: there is none.
  [[nodiscard]] std::string Current() const;
  // Also NO_SUCH_CONTEXT.
  [[nodiscard]] absl::Status Use(const std::string& name) const;

  // To be held by whoever spends a context's refresh token. Waits until `stop` is requested
  // (InterruptedError).
  [[nodiscard]] absl::StatusOr<FileLock> Lock(const std::string& name,
                                              const std::stop_token& stop) const;

  [[nodiscard]] std::string FileOf(const std::string& name) const;

 private:
  ContextStore(std::string directory, Text text) : directory_(std::move(directory)), text_(text) {}

  [[nodiscard]] absl::Status MakeDirectories() const;
  [[nodiscard]] absl::Status NoSuch(const std::string& name) const;

  std::string directory_;  // "…/slipway"
  Text text_;
};

// $XDG_CONFIG_HOME/slipway and $HOME/.config/slipway: the folders that may hold configuration.
[[nodiscard]] std::vector<std::string> ConfigFolders(const Environment& environment);

}  // namespace slipway::cli
