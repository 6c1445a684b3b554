#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/render_overview.h"

namespace slipway::cli {

Outcome ListVersions(Session& session, const ListVersionsFlags& flags) {
  v1::ListVersionsRequest request;
  request.set_application(flags.application);
  request.set_match(flags.match);
  request.set_page_size(flags.limit);
  if (flags.tags != flags.branches) {
    request.set_kind(flags.tags ? v1::VERSION_KIND_TAG : v1::VERSION_KIND_BRANCH);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListVersionsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->overviews(), &v1::OverviewService::Stub::ListVersions, request, response));
  session.Print(response, RenderVersions);
  // What is known is old, or nothing: that is said beside it, so that a script notices, too.
  if (response.repository().has_problem() && !session.as_document) {
    session.err << RenderRepositoryProblem(response.repository(), session.ErrView());
  }
  return response.repository().has_problem() && !response.repository().has_fetched_at()
             ? ExitCode::kFailed
             : ExitCode::kOk;
}

Outcome ShowOverview(Session& session, const std::string& application) {
  v1::GetOverviewRequest request;
  request.set_page_size(100);
  request.set_application(application);
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Overview overview;
  do {
    v1::Overview page;
    request.set_page_token(overview.next_page_token());
    SLIPWAY_RETURN_IF_ERROR(
        client->Call(client->overviews(), &v1::OverviewService::Stub::GetOverview, request, page));
    overview.clear_next_page_token();
    overview.MergeFrom(page);
  } while (!overview.next_page_token().empty());
  session.Print(overview, RenderOverview);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
