#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipway::crypto {

// What is public of an SSH private key.
struct SshKey {
  std::string type;         // "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", …
  std::string fingerprint;  // "SHA256:…", as ssh-keygen prints it
};

// Of a private key as ssh-keygen writes it (-----BEGIN OPENSSH PRIVATE KEY-----), without a
// passphrase. kInvalidArgument, reason BAD_SSH_KEY, says why it cannot be used: a passphrase, a
// public key, another form, a type that needs a person's touch, damage. No message holds a part of
// the key. Thread-safe.
[[nodiscard]] absl::StatusOr<SshKey> ReadSshKey(std::string_view text);

}  // namespace slipway::crypto
