#include <google/protobuf/struct.pb.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/table.h"

namespace slipway::cli {

Outcome ShowVersion(Session& session) {
  // The controller's version is worth a glance, not a failure.
  constexpr int kPatienceSeconds = 3;
  v1::Farm farm;
  const auto client = session.Controller();
  if (client.ok()) {
    const absl::Status status =
        (*client)->Call((*client)->applications(), &v1::ApplicationService::Stub::GetFarm,
                        v1::GetFarmRequest(), farm, kPatienceSeconds);
    if (!status.ok()) session.err << RenderError(status, session.ErrView());
  }
  if (session.as_document) {
    google::protobuf::Struct answer;
    (*answer.mutable_fields())["client_version"].set_string_value(SLIPWAY_VERSION);
    (*answer.mutable_fields())["controller_version"].set_string_value(farm.controller_version());
    (*answer.mutable_fields())["farm"].set_string_value(farm.id());
    session.PrintDocument(answer);
    return ExitCode::kOk;
  }
  session.out << "slipway " << SLIPWAY_VERSION << '\n';
  if (!farm.id().empty()) {
    Facts facts;
    facts.Add(session.text("controller", "控制器"), farm.controller_version());
    facts.Add(session.text("farm", "农场"), farm.id());
    session.out << facts.Render();
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
