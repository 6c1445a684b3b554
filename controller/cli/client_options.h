#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "controller/cli/context_store.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// What the command line says about where the controller is and who is asking.
struct ClientOptions {
  std::string server;      // HOST:PORT
  std::string ca_file;     // PEM
  std::string token_file;  // its first line is the API token
  std::string config;      // a configuration file
  std::string context;     // not together with `config`
};

// The same after all sources were asked.
struct Access {
  std::string server;
  std::string ca_pem;
  // An API token, unless the calls carry the login of `context`.
  std::string api_token;
  // Where the token comes from; empty: from a file.
  std::string context;
  std::optional<ContextStore> contexts;  // whenever `context` is not empty
};

// Each flag, and for what they leave out the first of these sources that is there: `flags.config`
// or `flags.context`, $SLIPWAY_CONFIG, $SLIPWAY_CONTEXT, the current context, client.yaml in the
// person's folder or in /etc/slipway. The keys of a file are server, ca and token_file; relative
// file names in it are relative to its folder. A source is only read when a flag is missing. The
// login of a context only goes to servers of the context's CA.
//
// Usage errors: a file that was named is not there or is wrong (file, line and key), or nothing
// says where the controller is. NotLoggedIn: nobody is logged in to the context.
[[nodiscard]] absl::StatusOr<Access> ResolveAccess(const ClientOptions& flags,
                                                   const Environment& environment, Text text);

// Of a client.yaml: server and files, any of which may be empty. For `slipway login`, which needs
// no token. nullopt: there is no such file.
[[nodiscard]] absl::StatusOr<std::optional<ClientOptions>> LoadClientFile(
    const std::string& named, const Environment& environment);

// A small file whole; a usage error says that `what` could not be read.
[[nodiscard]] absl::StatusOr<std::string> ReadSmallFile(const std::string& path, const char* what,
                                                        Text text);
// The first line of a file, as an API token.
[[nodiscard]] absl::StatusOr<std::string> ReadTokenFile(const std::string& path, Text text);

}  // namespace slipway::cli
