// What reads the bodies and headers of HTTP clients: nothing of it fails on any input, what is
// taken is within its limits, and what is written is taken back the same.
#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "controller/gateway/connect.h"
#include "controller/gateway/envelope.h"
#include "controller/gateway/get_query.h"
#include "controller/gateway/gzip.h"
#include "controller/gateway/json_check.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using gateway::AcceptsGzip;
using gateway::Base64;
using gateway::CheckJson;
using gateway::Envelope;
using gateway::FromBase64;
using gateway::Gunzip;
using gateway::Gzip;
using gateway::ParseContentType;
using gateway::ParseGetQuery;
using gateway::ParseOnlyEnvelope;
using gateway::ParseTimeout;

constexpr std::size_t kMost = 64 << 10;

// Whatever passes is JSON for a parser that builds values as well.
void CheckText(std::string_view text) {
  if (!CheckJson(text).ok()) return;
  boost::json::parse_options options;
  options.max_depth = gateway::JsonLimits().max_depth;
  boost::json::error_code error;
  (void)boost::json::parse(text, error, {}, options);
  SLIPWAY_CHECK(!error);
}

void CheckBody(std::string_view body) {
  const auto envelope = ParseOnlyEnvelope(body, kMost);
  if (envelope.ok()) {
    SLIPWAY_CHECK(envelope->bytes.size() <= kMost);
    const auto flags = static_cast<std::uint8_t>(envelope->compressed ? gateway::kCompressed : 0);
    SLIPWAY_CHECK(Envelope(flags, envelope->bytes) == body);
  }
  const auto unpacked = Gunzip(body, kMost);
  SLIPWAY_CHECK(!unpacked.ok() || unpacked->size() <= kMost);
  const auto again = Gunzip(Gzip(body), body.size());
  SLIPWAY_CHECK(again.ok() && *again == body);
}

void CheckHeaders(std::string_view text) {
  const auto media = ParseContentType(text);
  SLIPWAY_CHECK(!media || ParseContentType(ContentTypeOf(*media)) == media);
  const auto timeout = ParseTimeout(text);
  if (timeout.ok() && *timeout) SLIPWAY_CHECK((*timeout)->count() > 0);
  (void)AcceptsGzip(text);
  (void)gateway::ParseEncoding(text);
  const auto bytes = FromBase64(Base64(text));
  SLIPWAY_CHECK(bytes && *bytes == text);
  (void)FromBase64(text);
  const auto query = ParseGetQuery(text);
  SLIPWAY_CHECK(!query.ok() || query->message.size() <= text.size());
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: slipway::fuzz::CheckText(rest); break;
    case 1: slipway::fuzz::CheckBody(rest); break;
    default: slipway::fuzz::CheckHeaders(rest); break;
  }
  return 0;
}
