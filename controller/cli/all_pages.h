#pragma once

#include "absl/status/status.h"
#include "common/status/status.h"
#include "controller/cli/client.h"

namespace slipway::cli {

// Reads all pages of a list into one answer, whose total is that of the last page.
template <typename Stub, typename Request, typename Response>
[[nodiscard]] absl::Status ReadAllPages(const Client& client, Stub& stub,
                                        grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                                        Request request, Response& all) {
  constexpr int kPage = 1000;
  request.set_page_size(kPage);
  do {
    Response page;
    SLIPWAY_RETURN_IF_ERROR(client.Call(stub, method, request, page));
    request.set_page_token(page.next_page_token());
    all.MergeFrom(page);
  } while (!request.page_token().empty());
  all.clear_next_page_token();
  return absl::OkStatus();
}

}  // namespace slipway::cli
