#include "agent/link/task_spec_bytes.h"

#include <fmt/format.h>

#include <utility>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "slipway/v1/agent.pb.h"

namespace slipway::link {
namespace {

absl::Status Malformed(std::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_SPEC",
                   fmt::format("the controller's order makes no sense: {}", why),
                   "Run the same version of controller and agent.");
}

runner::BuildWork BuildWorkOf(const v1::BuildSpec& build) {
  return {.repository = build.repository(),
          .ref = build.ref(),
          .publish_follows = build.publish_follows(),
          .private_repository = build.private_repository(),
          .parameters = {build.parameters().begin(), build.parameters().end()},
          .no_caches = build.no_caches()};
}

}  // namespace

absl::StatusOr<runner::TaskSpec> ParseTaskSpec(std::string_view bytes) {
  v1::TaskSpec proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed("not a TaskSpec");
  }
  runner::TaskSpec spec{.application = proto.application(),
                        .application_name = proto.application_name(),
                        .platform = proto.platform(),
                        .version = proto.version(),
                        .description = proto.description(),
                        .work = {}};
  if (proto.has_build()) {
    spec.work = BuildWorkOf(proto.build());
    return spec;
  }
  if (proto.has_script()) {
    const std::string& name = proto.script().name();
    if (name.empty() || name == "." || name == ".." || name.size() > 255 ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
      return Malformed("script.name is no name of a file");
    }
    runner::BuildWork work = BuildWorkOf(proto.script().build());
    work.script = runner::BroughtScript{.name = name, .bytes = proto.script().script()};
    spec.work = std::move(work);
    return spec;
  }
  if (!proto.has_publish() && !proto.has_probe()) return Malformed("no kind of work");
  const v1::PublishSpec& publish = proto.has_probe() ? proto.probe() : proto.publish();
  SLIPWAY_ASSIGN_OR_RETURN(const Sha256Digest manifest,
                           rpc::DigestFromProto(publish.manifest(), "publish.manifest"));
  spec.work = runner::PublishWork{.manifest = manifest,
                                  .app_id = publish.app_id(),
                                  .image = publish.image(),
                                  .proxy = publish.proxy(),
                                  .ca_pem = publish.ca_pem(),
                                  .network = publish.network(),
                                  .mode = publish.mode(),
                                  .options = {publish.options().begin(), publish.options().end()},
                                  .deadline = rpc::FromProto(publish.deadline()),
                                  .commit = publish.commit(),
                                  .probe = proto.has_probe()};
  if (publish.image().empty()) return Malformed("publish.image is empty");
  return spec;
}

}  // namespace slipway::link
