#include "controller/gateway/connect.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "absl/strings/escaping.h"
#include "controller/gateway/text.h"

namespace slipway::gateway {
namespace {

struct Code {
  std::string_view name;
  int http;
};
// By the number of the gRPC code.
constexpr std::array<Code, 17> kCodes = {{{"ok", 200},
                                          {"canceled", 499},
                                          {"unknown", 500},
                                          {"invalid_argument", 400},
                                          {"deadline_exceeded", 504},
                                          {"not_found", 404},
                                          {"already_exists", 409},
                                          {"permission_denied", 403},
                                          {"resource_exhausted", 429},
                                          {"failed_precondition", 400},
                                          {"aborted", 409},
                                          {"out_of_range", 400},
                                          {"unimplemented", 501},
                                          {"internal", 500},
                                          {"unavailable", 503},
                                          {"data_loss", 500},
                                          {"unauthenticated", 401}}};

const Code& Entry(absl::StatusCode code) {
  const auto number = static_cast<std::size_t>(code);
  return kCodes[number < kCodes.size() ? number : 2];
}

boost::json::object ErrorObject(const Failure& failure) {
  boost::json::object error;
  error["code"] = CodeName(failure.code);
  if (!failure.message.empty()) error["message"] = failure.message;
  if (failure.details.empty()) return error;
  boost::json::array details;
  for (const Detail& detail : failure.details) {
    boost::json::object entry;
    entry["type"] = detail.type;
    entry["value"] = Base64(detail.value);
    boost::json::error_code bad;
    boost::json::value debug = boost::json::parse(detail.debug, bad);
    if (!bad) entry["debug"] = std::move(debug);
    details.push_back(std::move(entry));
  }
  error["details"] = std::move(details);
  return error;
}

}  // namespace

std::optional<Media> ParseContentType(std::string_view value) {
  const std::size_t semicolon = std::min(value.find(';'), value.size());
  const std::string_view type = Trim(value.substr(0, semicolon));
  bool plain = true;
  ForEachPiece(value.substr(semicolon), ';', [&plain](std::string_view parameter) {
    const std::string_view one = Trim(parameter);
    plain = one.empty() || EqualsIgnoreCase(one, "charset=utf-8") ||
            EqualsIgnoreCase(one, "charset=\"utf-8\"");
    return plain;
  });
  if (!plain) return std::nullopt;
  for (const Codec codec : {Codec::kJson, Codec::kProto}) {
    for (const bool stream : {false, true}) {
      const Media media{codec, stream};
      if (EqualsIgnoreCase(type, ContentTypeOf(media))) return media;
    }
  }
  return std::nullopt;
}

std::string_view ContentTypeOf(const Media& media) {
  if (media.stream) {
    return media.codec == Codec::kJson ? "application/connect+json" : "application/connect+proto";
  }
  return media.codec == Codec::kJson ? "application/json" : "application/proto";
}

std::string_view CodeName(absl::StatusCode code) { return Entry(code).name; }

int HttpStatusOf(absl::StatusCode code) { return Entry(code).http; }

Failure FailureOf(const absl::Status& status) {
  return {.code = status.code(), .message = std::string(status.message()), .details = {}};
}

std::string ErrorJson(const Failure& failure) {
  return boost::json::serialize(ErrorObject(failure));
}

std::string EndOfStreamJson(const Failure* failure, const Metadata& trailers) {
  boost::json::object end;
  if (failure != nullptr) end["error"] = ErrorObject(*failure);
  if (!trailers.empty()) {
    boost::json::object metadata;
    for (const auto& [name, value] : trailers) {
      boost::json::value& values = metadata[name];
      if (!values.is_array()) values = boost::json::array();
      values.as_array().push_back(
          boost::json::string(name.ends_with("-bin") ? Base64(value) : value));
    }
    end["metadata"] = std::move(metadata);
  }
  return boost::json::serialize(end);
}

std::string Base64(std::string_view bytes) {
  std::string text = absl::Base64Escape({bytes.data(), bytes.size()});
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  // Also skipped by the library, and sent by nobody on purpose.
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) return std::nullopt;
  std::string bytes;
  const absl::string_view source(text.data(), text.size());
  const bool url = text.find_first_of("-_") != std::string_view::npos;
  const bool ok =
      url ? absl::WebSafeBase64Unescape(source, &bytes) : absl::Base64Unescape(source, &bytes);
  if (!ok) return std::nullopt;
  return bytes;
}

absl::StatusOr<std::optional<std::chrono::milliseconds>> ParseTimeout(std::string_view value) {
  if (value.empty()) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (value.size() > 10 || value[0] < '0' || value[0] > '9' || error != std::errc() ||
      end != value.data() + value.size() || number == 0) {
    return absl::InvalidArgumentError(
        "Connect-Timeout-Ms: a whole number of milliseconds above 0, at most 10 digits");
  }
  return std::chrono::milliseconds(number);
}

absl::StatusOr<bool> ParseEncoding(std::string_view value) {
  if (value.empty() || EqualsIgnoreCase(value, "identity")) return false;
  if (EqualsIgnoreCase(value, "gzip")) return true;
  return absl::UnimplementedError("this compression is not known; supported are gzip and identity");
}

bool AcceptsGzip(std::string_view list) {
  bool accepts = false;
  ForEachPiece(list, ',', [&accepts](std::string_view entry) {
    const std::size_t semicolon = std::min(entry.find(';'), entry.size());
    if (!EqualsIgnoreCase(Trim(entry.substr(0, semicolon)), "gzip")) return true;
    accepts = true;
    ForEachPiece(entry.substr(semicolon), ';', [&accepts](std::string_view parameter) {
      const std::string_view part = Trim(parameter);
      // "q=0", "q=0.000": not wanted.
      if (EqualsIgnoreCase(part.substr(0, 2), "q=")) {
        accepts = part.find_first_not_of("0.", 2) != std::string_view::npos;
      }
      return true;
    });
    return false;
  });
  return accepts;
}

bool IsMetadataValue(std::string_view value) {
  for (const char c : value) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace slipway::gateway
