#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

// Addresses that channels hand products on to. Every error is kInvalidArgument and names the field.
// Pure functions.
namespace slipway::api {

// Letters, digits, '.' and '-', at most 253.
[[nodiscard]] bool IsHostName(std::string_view host);
// smtps://HOST[:PORT], or smtp://HOST[:PORT]; `plain`: without TLS, on this machine only.
[[nodiscard]] absl::Status CheckMailServer(const std::string& url, bool plain);
// https://HOST[:PORT][/PATH][?QUERY]; `plain`: http://, on this machine only. At most 1024 bytes.
[[nodiscard]] absl::Status CheckWebAddress(const std::string& url, bool plain);

}  // namespace slipway::api
