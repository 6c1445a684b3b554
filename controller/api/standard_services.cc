#include "controller/api/standard_services.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include "common/base/check.h"
#include "grpc/health/v1/health.pb.h"

namespace slipway::api {

void ServeReflectionAndHealth() {
  // What is linked describes itself; without a use of it, it would not be linked.
  SLIPWAY_CHECK(::grpc::health::v1::HealthCheckResponse::descriptor() != nullptr);
  ::grpc::EnableDefaultHealthCheckService(true);
  ::grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

}  // namespace slipway::api
