#include "controller/gateway/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status/status.h"
#include "controller/gateway/get_query.h"

namespace slipway::gateway {
namespace {

// Without a body of Connect's: clients make a code of the status.
Response Plain(int status, HeaderList headers, std::string text) {
  headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  headers.emplace_back("Cache-Control", "no-store");
  return {.status = status, .headers = std::move(headers), .body = std::move(text)};
}

// A page of another site can make a browser send a simple request; none with one of these headers
// without asking first. So no call is made on behalf of who only looks at a page.
absl::Status CheckFence(const Request& request) {
  const std::string_view version = request.Get(Header::kConnectProtocolVersion);
  if (!version.empty() && version != "1") {
    return absl::InvalidArgumentError("Connect-Protocol-Version: only 1 is spoken here");
  }
  if (version.empty() && request.Get(Header::kAuthorization).empty()) {
    return absl::InvalidArgumentError(
        "send Connect-Protocol-Version: 1, or an Authorization header");
  }
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<Exchange> Router::Answer(Request request,
                                         std::shared_ptr<Responder> responder) const {
  const Method* const method = table_.Find(request.path);
  if (method == nullptr) return pages_.Answer(std::move(request), std::move(responder));

  HeaderList headers = CorsHeaders(request);
  const auto plain = [&](int status, std::string text) {
    rpc_.metrics.Answered("other", status);
    responder->Respond(Plain(status, std::move(headers), std::move(text)));
    return nullptr;
  };
  if (request.method == "OPTIONS") {
    rpc_.metrics.Answered("preflight", 204);
    responder->Respond(Preflight(std::move(headers)));
    return nullptr;
  }
  const bool get = request.method == "GET" && method->reads_only && !method->streams;
  if (request.method != "POST" && !get) {
    const bool gets = method->reads_only && !method->streams;
    headers.emplace_back("Allow", gets ? "GET, POST" : "POST");
    return plain(405, fmt::format("{} is not allowed here\n", request.method));
  }

  RpcRequest rpc;
  rpc.method = method;
  rpc.media.stream = method->streams;
  rpc.began = rpc_.clock.Mono();
  absl::Status status;
  if (get) {
    auto query = ParseGetQuery(request.query);
    status = query.status();
    if (status.code() == absl::StatusCode::kNotFound)
      return plain(415, "encoding: json or proto\n");
    if (query.ok()) {
      rpc.media.codec = query->codec;
      rpc.gzip_request = query->gzip;
      request.body = std::move(query->message);
    }
  } else {
    const auto media = ParseContentType(request.Get(Header::kContentType));
    if (!media || media->stream != method->streams) {
      const Media json{Codec::kJson, method->streams};
      const Media proto{Codec::kProto, method->streams};
      headers.emplace_back("Accept-Post",
                           fmt::format("{}, {}", ContentTypeOf(json), ContentTypeOf(proto)));
      return plain(415, fmt::format("send {} or {}\n", ContentTypeOf(json), ContentTypeOf(proto)));
    }
    rpc.media = *media;
    status = CheckFence(request);
  }
  if (status.ok()) status = ReadHeaders(request, rpc);
  if (!status.ok()) {
    rpc_.metrics.Called(*method, status.code(), Duration::zero());
    responder->Respond(FailureResponse(rpc.media, FailureOf(status), std::move(headers)));
    return nullptr;
  }
  rpc.headers = std::move(headers);
  rpc.message = std::move(request.body);
  return method->streams ? StartStream(rpc_, std::move(rpc), std::move(responder))
                         : StartUnary(rpc_, std::move(rpc), std::move(responder));
}

absl::Status Router::ReadHeaders(Request& request, RpcRequest& rpc) const {
  const bool stream = rpc.media.stream;
  if (request.method == "POST") {
    SLIPWAY_ASSIGN_OR_RETURN(rpc.gzip_request,
                             ParseEncoding(request.Get(stream ? Header::kConnectContentEncoding
                                                              : Header::kContentEncoding)));
  }
  rpc.gzip_answer =
      AcceptsGzip(request.Get(stream ? Header::kConnectAcceptEncoding : Header::kAcceptEncoding));
  SLIPWAY_ASSIGN_OR_RETURN(rpc.caller.timeout,
                           ParseTimeout(request.Get(Header::kConnectTimeoutMs)));
  rpc.caller.authorization = request.Get(Header::kAuthorization);
  if (!IsMetadataValue(rpc.caller.authorization)) {
    return absl::InvalidArgumentError("Authorization: printable ASCII only");
  }
  rpc.caller.remote_ip = std::move(request.remote_ip);
  return absl::OkStatus();
}

Response Router::Refuse(const Request& head, const absl::Status& why, int status) const {
  const Method* const method = table_.Find(head.path);
  HeaderList headers = CorsHeaders(head);
  if (method != nullptr && head.method == "POST") {
    const auto media = ParseContentType(head.Get(Header::kContentType));
    if (media && media->stream == method->streams) {
      rpc_.metrics.Called(*method, why.code(), Duration::zero());
      return FailureResponse(*media, FailureOf(why), std::move(headers));
    }
  }
  rpc_.metrics.Answered("other", status);
  return Plain(status, std::move(headers), std::string(why.message()) + "\n");
}

HeaderList Router::CorsHeaders(const Request& request) const {
  if (options_.origins.empty()) return {};
  HeaderList headers = {
      {"Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}};
  const std::string_view origin = request.Get(Header::kOrigin);
  if (std::find(options_.origins.begin(), options_.origins.end(), origin) ==
      options_.origins.end()) {
    return headers;
  }
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  if (request.method == "OPTIONS" && !request.Get(Header::kAccessControlRequestMethod).empty()) {
    headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
    headers.emplace_back("Access-Control-Allow-Headers",
                         "Authorization, Connect-Accept-Encoding, Connect-Content-Encoding, "
                         "Connect-Protocol-Version, Connect-Timeout-Ms, Content-Encoding, "
                         "Content-Type");
    headers.emplace_back("Access-Control-Max-Age", "7200");
  } else {
    headers.emplace_back("Access-Control-Expose-Headers",
                         "Connect-Content-Encoding, Content-Encoding, Retry-After");
  }
  return headers;
}

Response Router::Preflight(HeaderList headers) const {
  headers.emplace_back("Allow", "GET, POST, OPTIONS");
  return {.status = 204, .headers = std::move(headers), .body = {}};
}

}  // namespace slipway::gateway
