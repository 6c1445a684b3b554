#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>

#include "common/config/units.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"
#include "controller/cli/render_health.h"

namespace slipway::cli {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(300);
constexpr Duration kDefaultPatience = std::chrono::minutes(15);

bool IsPreparing(const v1::AgentImage& image) {
  return image.online() && image.state() == v1::IMAGE_STATE_PREPARING;
}

// 0: every node that is there has every image.
ExitCode Judge(const google::protobuf::RepeatedPtrField<v1::AgentImage>& images) {
  const bool good = std::all_of(images.begin(), images.end(), [](const v1::AgentImage& image) {
    return !image.online() || image.state() == v1::IMAGE_STATE_READY;
  });
  const bool any =
      std::any_of(images.begin(), images.end(), [](const auto& image) { return image.online(); });
  return good && any ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace

Outcome PrepareImages(Session& session, const PrepareImagesFlags& flags) {
  Duration patience = kDefaultPatience;
  if (!flags.patience.empty()) {
    const auto parsed = config::ParseDuration(flags.patience);
    if (!parsed.ok()) return UsageError(WithContext(parsed.status(), "--patience"));
    patience = *parsed;
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::PrepareImagesRequest request;
  v1::ListImagesRequest list;
  for (const std::string& image : flags.images) {
    request.add_images(image);
    list.add_images(image);
  }
  for (const std::string& agent : flags.agents) {
    request.add_agents(agent);
    list.add_agents(agent);
  }
  v1::PrepareImagesResponse prepared;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->agent_images(), &v1::AgentImageService::Stub::PrepareImages, request, prepared));
  v1::ListImagesResponse state;
  *state.mutable_images() = prepared.images();
  const SystemClock clock;
  const MonoTime give_up = clock.Mono() + patience;
  std::mutex mu;
  std::condition_variable_any pause;
  while (!flags.no_wait && std::any_of(state.images().begin(), state.images().end(), IsPreparing) &&
         clock.Mono() < give_up) {
    {
      std::unique_lock lock(mu);
      pause.wait_for(lock, session.stop, kPause, [] { return false; });
    }
    if (session.stop.stop_requested()) return ExitCode::kInterrupted;
    v1::ListImagesResponse now;
    const absl::Status listed =
        client->Call(client->agent_images(), &v1::AgentImageService::Stub::ListImages, list, now);
    // A controller that restarts has the orders still.
    if (!listed.ok() && !IsPassing(listed)) return listed;
    if (listed.ok()) state = std::move(now);
  }
  session.Print(state, RenderImages);
  if (flags.no_wait) return ExitCode::kOk;
  return Judge(state.images());
}

Outcome ListImages(Session& session, const ListImagesFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  if (!flags.forget.empty()) {
    v1::ForgetImageRequest request;
    request.set_image(flags.forget);
    request.set_agent(flags.agent);
    v1::ForgetImageResponse response;
    SLIPWAY_RETURN_IF_ERROR(client->Call(
        client->agent_images(), &v1::AgentImageService::Stub::ForgetImage, request, response));
    return ExitCode::kOk;
  }
  v1::ListImagesRequest request;
  if (!flags.agent.empty()) request.add_agents(flags.agent);
  v1::ListImagesResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->agent_images(), &v1::AgentImageService::Stub::ListImages, request, response));
  session.Print(response, RenderImages);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
