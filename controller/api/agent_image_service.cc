#include "controller/api/agent_image_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/health_convert.h"
#include "common/status/status.h"
#include "controller/api/agent_selection.h"

namespace slipway::api {
namespace {

// More would not fit into an agent's inventory.
constexpr std::size_t kMaxImages = 200;
constexpr std::size_t kMaxReference = 512;

absl::Status CheckReference(const std::string& image) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/:@").find(c) != std::string_view::npos;
  };
  const bool good = !image.empty() && image.size() <= kMaxReference &&
                    std::all_of(image.begin(), image.end(), fits) &&
                    std::string_view("._-/:@").find(image.front()) == std::string_view::npos &&
                    image.find("..") == std::string::npos && image.find("//") == std::string::npos;
  if (good) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_FIELD",
      fmt::format("images: \"{}\" is not an image's reference", image.substr(0, kMaxReference)),
      "Write it as for docker pull: NAME:TAG, REGISTRY/NAME:TAG or NAME@sha256:….");
}

// Ids of the agents that names, ids and patterns mean.
absl::StatusOr<std::set<AgentId>> Find(const std::map<AgentId, domain::Agent>& agents,
                                       const std::vector<std::string>& wanted) {
  std::vector<domain::Agent> all;
  for (const auto& [id, agent] : agents) all.push_back(agent);
  SLIPWAY_ASSIGN_OR_RETURN(const auto selected, SelectAgents(all, wanted));
  std::set<AgentId> found;
  for (const domain::Agent& agent : selected) found.insert(agent.id);
  return found;
}

std::vector<std::string> Words(const google::protobuf::RepeatedPtrField<std::string>& words) {
  return {words.begin(), words.end()};
}

}  // namespace

grpc::Status AgentImageService::PrepareImages(grpc::ServerContext* context,
                                              const v1::PrepareImagesRequest* request,
                                              v1::PrepareImagesResponse* response) {
  return rpc::ToGrpc(*context, DoPrepare(*context, *request, *response));
}

grpc::Status AgentImageService::ListImages(grpc::ServerContext* context,
                                           const v1::ListImagesRequest* request,
                                           v1::ListImagesResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

grpc::Status AgentImageService::ForgetImage(grpc::ServerContext* context,
                                            const v1::ForgetImageRequest* request,
                                            v1::ForgetImageResponse*) {
  return rpc::ToGrpc(*context, DoForget(*context, *request));
}

absl::Status AgentImageService::DoPrepare(grpc::ServerContext& context,
                                          const v1::PrepareImagesRequest& request,
                                          v1::PrepareImagesResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  if (request.images().empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", "images: none is named");
  }
  for (const std::string& image : request.images()) SLIPWAY_RETURN_IF_ERROR(CheckReference(image));
  SLIPWAY_ASSIGN_OR_RETURN(const Agents agents, LoadAgents());
  SLIPWAY_ASSIGN_OR_RETURN(const std::set<AgentId> only, Find(agents, Words(request.agents())));
  const std::set<std::string> images(request.images().begin(), request.images().end());

  SLIPWAY_ASSIGN_OR_RETURN(const auto known, orders_.List());
  std::set<std::string> all = images;
  for (const domain::ImageOrder& order : known) all.insert(order.image);
  if (all.size() > kMaxImages) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_IMAGES",
                     fmt::format("more than {} images are to be kept ready", kMaxImages),
                     "`slipway agents images --forget REF` removes one that nobody needs.");
  }
  std::vector<domain::ImageOrder> wanted;
  for (const std::string& image : images) {
    domain::ImageOrder order{.image = image,
                             .agent = {},
                             .number = 0,
                             .requested_by = caller.account.name,
                             .requested_at = deps_.clock.Wall()};
    if (only.empty()) wanted.push_back(order);
    for (const AgentId& agent : only) {
      order.agent = agent;
      wanted.push_back(order);
    }
  }
  SLIPWAY_RETURN_IF_ERROR(
      orders_
          .Put(std::move(wanted),
               deps_.auth.access().CauseOf(
                   caller, {caller.AuthorityFor(domain::Authority::Need::kOperator)}))
          .status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto orders, Spread());
  for (v1::AgentImage& line : Lines(orders, agents, images, only)) {
    *response.add_images() = std::move(line);
  }
  return absl::OkStatus();
}

absl::Status AgentImageService::DoList(grpc::ServerContext& context,
                                       const v1::ListImagesRequest& request,
                                       v1::ListImagesResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireOperator(context).status());
  SLIPWAY_ASSIGN_OR_RETURN(const Agents agents, LoadAgents());
  SLIPWAY_ASSIGN_OR_RETURN(const std::set<AgentId> only, Find(agents, Words(request.agents())));
  SLIPWAY_ASSIGN_OR_RETURN(const auto orders, orders_.List());
  const std::set<std::string> images(request.images().begin(), request.images().end());
  for (v1::AgentImage& line : Lines(orders, agents, images, only)) {
    *response.add_images() = std::move(line);
  }
  return absl::OkStatus();
}

absl::Status AgentImageService::DoForget(grpc::ServerContext& context,
                                         const v1::ForgetImageRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  AgentId agent;
  if (!request.agent().empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const Agents agents, LoadAgents());
    SLIPWAY_ASSIGN_OR_RETURN(const std::set<AgentId> found, Find(agents, {request.agent()}));
    if (found.size() != 1) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                       "agent: the pattern means several agents", "Name one, or none for all.");
    }
    agent = *found.begin();
  }
  SLIPWAY_ASSIGN_OR_RETURN(
      const int removed,
      orders_.Remove(request.image(), agent,
                     deps_.auth.access().CauseOf(
                         caller, {caller.AuthorityFor(domain::Authority::Need::kOperator)})));
  if (removed == 0) {
    return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_IMAGE",
                     fmt::format("nobody asked for the image '{}' there",
                                 request.image().substr(0, kMaxReference)),
                     "`slipway agents images` lists what is kept ready.");
  }
  return Spread().status();
}

absl::StatusOr<AgentImageService::Agents> AgentImageService::LoadAgents() {
  SLIPWAY_ASSIGN_OR_RETURN(const auto all, deps_.agents.List());
  Agents agents;
  for (const domain::Agent& agent : all) {
    if (!domain::IsGone(agent.availability.mode)) agents.emplace(agent.id, agent);
  }
  return agents;
}

absl::StatusOr<std::vector<domain::ImageOrder>> AgentImageService::Spread() {
  const std::lock_guard lock(spreading_);
  SLIPWAY_ASSIGN_OR_RETURN(auto orders, orders_.List());
  gateway_.SetImageOrders(orders);
  return orders;
}

std::vector<v1::AgentImage> AgentImageService::Lines(const std::vector<domain::ImageOrder>& orders,
                                                     const Agents& agents,
                                                     const std::set<std::string>& images,
                                                     const std::set<AgentId>& only) const {
  // The newest order of each image and agent counts.
  std::map<std::tuple<std::string, std::string, AgentId>, const domain::ImageOrder*> newest;
  for (const domain::ImageOrder& order : orders) {
    if (!images.empty() && !images.contains(order.image)) continue;
    for (const auto& [id, agent] : agents) {
      if (!order.agent.value().empty() && order.agent != id) continue;
      if (!only.empty() && !only.contains(id)) continue;
      const domain::ImageOrder*& kept = newest[{order.image, agent.name, id}];
      if (kept == nullptr || kept->number < order.number) kept = &order;
    }
  }
  std::vector<v1::AgentImage> lines;
  for (const auto& [key, order] : newest) {
    const auto& [image, name, id] = key;
    v1::AgentImage& line = lines.emplace_back();
    line.set_image(image);
    line.set_agent(id.value());
    line.set_agent_name(name);
    line.set_state(v1::IMAGE_STATE_PREPARING);
    line.set_requested_by(order->requested_by);
    *line.mutable_requested_at() = rpc::ToProto(order->requested_at);
    const auto about = gateway_.AboutAgent(id);
    line.set_online(about.has_value());
    if (!about) continue;
    for (const protocol::ImageReport& report : about->images) {
      if (report.order.image != image || report.order.number < order->number) continue;
      line.set_state(static_cast<v1::ImageState>(report.state));
      line.set_id(report.id);
      if (report.failure) *line.mutable_failure() = rpc::ToProto(*report.failure);
    }
  }
  return lines;
}

}  // namespace slipway::api
