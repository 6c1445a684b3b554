#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// Where the controller is and who is asking.
struct ClientOptions {
  std::string server;      // HOST:PORT
  std::string ca_file;     // PEM
  std::string token_file;  // its first line is the API token
};

// `flags` over the configuration file: `config_file` when given, else the first that exists of
// $SLIPWAY_CONFIG, ~/.config/slipway/client.yaml and /etc/slipway/client.yaml. Its keys are server,
// ca and token_file; relative file names in it are relative to its folder. A file is only read when
// a flag is missing. Usage errors: a file that was named is not there or is wrong (file, line and
// key), or nothing says where the controller is.
[[nodiscard]] absl::StatusOr<ClientOptions> ResolveClientOptions(ClientOptions flags,
                                                                 const std::string& config_file,
                                                                 const Environment& environment,
                                                                 Text text);

}  // namespace slipway::cli
