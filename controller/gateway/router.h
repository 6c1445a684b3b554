#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller/gateway/pages.h"
#include "controller/gateway/rpc.h"

namespace slipway::gateway {

struct RouterOptions {
  // Origins ("https://console.example.org") whose pages may call from a browser.
  std::vector<std::string> origins;
};

// Sends each request to who answers it: pages by their path, calls by the table of methods.
// Thread-safe.
class Router {
 public:
  // All must outlive this and its exchanges.
  Router(RouterOptions options, const MethodTable& table, const RpcDeps& rpc, const Pages& pages)
      : options_(std::move(options)), table_(table), rpc_(rpc), pages_(pages) {}

  // Null: it was answered at once.
  [[nodiscard]] std::shared_ptr<Exchange> Answer(Request request,
                                                 std::shared_ptr<Responder> responder) const;

  // For a request whose head is known and whose body was too large or came too late. Connect's own
  // form of it where it is a call.
  [[nodiscard]] Response Refuse(const Request& head, const absl::Status& why, int status) const;

 private:
  [[nodiscard]] HeaderList CorsHeaders(const Request& request) const;
  [[nodiscard]] Response Preflight(HeaderList headers) const;
  // What the headers say of a call. Statuses in Connect's form.
  absl::Status ReadHeaders(Request& request, RpcRequest& rpc) const;

  const RouterOptions options_;
  const MethodTable& table_;
  const RpcDeps rpc_;
  const Pages& pages_;
};

}  // namespace slipway::gateway
