#include "controller/gateway/get_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/status/status.h"
#include "controller/gateway/text.h"

namespace slipway::gateway {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nullopt: a '%' without two digits behind it.
std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

constexpr std::array<std::string_view, 5> kNames = {"connect", "encoding", "message", "base64",
                                                    "compression"};
using Values = std::array<std::optional<std::string>, kNames.size()>;

absl::Status TakeParameter(std::string_view one, Values& values) {
  const std::size_t equals = std::min(one.find('='), one.size());
  const auto* const name = std::find(kNames.begin(), kNames.end(), one.substr(0, equals));
  if (name == kNames.end()) return absl::OkStatus();
  std::optional<std::string>& value = values.at(static_cast<std::size_t>(name - kNames.begin()));
  if (value) return absl::InvalidArgumentError(fmt::format("{}: given twice", *name));
  value = PercentDecode(equals < one.size() ? one.substr(equals + 1) : std::string_view());
  if (value) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: bad percent-encoding", *name));
}

absl::StatusOr<Values> Split(std::string_view query) {
  Values values;
  absl::Status status;
  ForEachPiece(query, '&', [&](std::string_view one) {
    status = TakeParameter(one, values);
    return status.ok();
  });
  if (!status.ok()) return status;
  return values;
}

}  // namespace

absl::StatusOr<GetQuery> ParseGetQuery(std::string_view query) {
  SLIPWAY_ASSIGN_OR_RETURN(auto values, Split(query));
  auto& [connect, encoding, message, base64, compression] = values;
  if (connect && *connect != "v1") {
    return absl::InvalidArgumentError("connect: only v1 is spoken here");
  }
  if (!encoding) return absl::InvalidArgumentError("encoding: missing; json or proto");
  if (!message) return absl::InvalidArgumentError("message: missing");
  GetQuery out;
  if (*encoding == "proto") {
    out.codec = Codec::kProto;
  } else if (*encoding != "json") {
    return absl::NotFoundError("encoding: json or proto");
  }
  if (base64 && *base64 != "1") return absl::InvalidArgumentError("base64: 1 or nothing");
  SLIPWAY_ASSIGN_OR_RETURN(out.gzip, ParseEncoding(compression.value_or("")));
  if (base64) {
    auto bytes = FromBase64(*message);
    if (!bytes) return absl::InvalidArgumentError("message: no base64");
    message = *std::move(bytes);
  }
  out.message = *std::move(message);
  return out;
}

}  // namespace slipway::gateway
