#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/crypto/secret.h"

namespace slipway::link {

// "SLP1-<hex SHA-256 of the farm's CA certificate>-<secret>": whom to trust, and a secret that
// works once.
struct JoinToken {
  Sha256Digest ca;
  crypto::SecretBytes secret;
};
// kInvalidArgument, BAD_TOKEN: another form.
[[nodiscard]] absl::StatusOr<JoinToken> ParseJoinToken(std::string_view text);

struct JoinOrder {
  std::string server;       // host:port
  std::string server_name;  // see Identity
  std::string token;
  std::string name;  // shown to people, unique in the farm
  std::string data_dir;
};

// Makes this machine an agent of the farm and keeps its identity in data_dir, which is made when
// missing. Errors: ALREADY_JOINED, BAD_TOKEN, CONTROLLER_UNREACHABLE, WRONG_FARM (the server is not
// of the farm that made the token; it was told nothing), and those of EnrollmentService.Join.
[[nodiscard]] absl::Status Join(const JoinOrder& order);

}  // namespace slipway::link
