#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/options.h"

namespace slipway::controller {

// All parts of one controller, and the only place that knows the concrete ones. Thread-compatible.
class App {
 public:
  // Returns when the controller serves. `on_fatal` is called at most once, from any thread, when it
  // must end (another controller leads, the database is gone for good); then Stop and exit.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<App>> Start(
      const Options& options, std::function<void(const absl::Status&)> on_fatal);

  virtual ~App() = default;
  // Ends everything cleanly, the own database cluster too. Builds go on at their agents.
  virtual void Stop() = 0;

  // How long ago the scheduler's thread last began something; for a watchdog.
  [[nodiscard]] virtual Duration idle_for() const = 0;

  // Takes the HTTP port's certificate from its files anew. Open connections keep the one they have.
  [[nodiscard]] virtual absl::Status Reload() = 0;

  [[nodiscard]] virtual int port() const = 0;
  // Of HTTP; 0: there is none.
  [[nodiscard]] virtual int http_port() const = 0;
  // Files that clients need: PEM of the farm's CA, and the admin's API token.
  [[nodiscard]] virtual std::string ca_file() const = 0;
  [[nodiscard]] virtual std::string token_file() const = 0;
};

}  // namespace slipway::controller
