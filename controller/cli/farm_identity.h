#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "controller/cli/session.h"

namespace slipway::cli {

// "farm" or "farm:7443" as HOST:PORT, with the controller's usual port where there is none; a usage
// error for what is neither.
[[nodiscard]] absl::StatusOr<std::string> ServerAddress(const std::string& server, Text text);

// The CA of the controller at `server` (HOST:PORT), out of the certificates that it shows: the one
// with `fingerprint` ("sha256:…", also as openssl writes it), or the one that the person at the
// terminal says is the farm's. Nothing is sent to a controller that is not trusted. Errors: it
// shows no such certificate, the person says no, or there is nobody to ask.
[[nodiscard]] absl::StatusOr<std::string> LearnCa(Session& session, const std::string& server,
                                                  const std::string& fingerprint);

}  // namespace slipway::cli
