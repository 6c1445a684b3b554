#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "controller/agent_gateway/gateway.h"
#include "controller/api/task_service.h"
#include "controller/store/image_order_store.h"
#include "slipway/v1/agent_images.grpc.pb.h"

namespace slipway::api {

// Images that agents have ready. Thread-safe.
class AgentImageService final : public v1::AgentImageService::Service {
 public:
  AgentImageService(const Deps& deps, agent_gateway::Gateway& gateway,
                    store::ImageOrderStore& orders)
      : deps_(deps), gateway_(gateway), orders_(orders) {}

  grpc::Status PrepareImages(grpc::ServerContext* context, const v1::PrepareImagesRequest* request,
                             v1::PrepareImagesResponse* response) override;
  grpc::Status ListImages(grpc::ServerContext* context, const v1::ListImagesRequest* request,
                          v1::ListImagesResponse* response) override;
  grpc::Status ForgetImage(grpc::ServerContext* context, const v1::ForgetImageRequest* request,
                           v1::ForgetImageResponse* response) override;

 private:
  // By id; those that may no longer connect are left out.
  using Agents = std::map<AgentId, domain::Agent>;

  absl::Status DoPrepare(grpc::ServerContext& context, const v1::PrepareImagesRequest& request,
                         v1::PrepareImagesResponse& response);
  absl::Status DoList(grpc::ServerContext& context, const v1::ListImagesRequest& request,
                      v1::ListImagesResponse& response);
  absl::Status DoForget(grpc::ServerContext& context, const v1::ForgetImageRequest& request);
  [[nodiscard]] absl::StatusOr<Agents> LoadAgents();
  // The orders as stored now, told to the agents.
  [[nodiscard]] absl::StatusOr<std::vector<domain::ImageOrder>> Spread();
  // One line per image and agent; empty sets: all.
  [[nodiscard]] std::vector<v1::AgentImage> Lines(const std::vector<domain::ImageOrder>& orders,
                                                  const Agents& agents,
                                                  const std::set<std::string>& images,
                                                  const std::set<AgentId>& only) const;

  const Deps deps_;
  agent_gateway::Gateway& gateway_;
  store::ImageOrderStore& orders_;
  // What is told to agents is never older than what was told before.
  std::mutex spreading_;
};

}  // namespace slipway::api
