#pragma once

#include <grpcpp/grpcpp.h>

#include <mutex>

#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::testing {

// The call by which agents get the credentials of private repositories: all get the same. Own
// synchronisation.
class FakeCredentialCall : public v1::AgentService::Service {
 public:
  struct Credential {
    void Set(const v1::GetRepositoryCredentialResponse& value) {
      const std::lock_guard lock(mu);
      response = value;
    }
    std::mutex mu;
    v1::GetRepositoryCredentialResponse response;
  };
  explicit FakeCredentialCall(Credential& credential) : credential_(credential) {}

  grpc::Status GetRepositoryCredential(grpc::ServerContext*,
                                       const v1::GetRepositoryCredentialRequest*,
                                       v1::GetRepositoryCredentialResponse* response) override {
    const std::lock_guard lock(credential_.mu);
    *response = credential_.response;
    return grpc::Status::OK;
  }

 private:
  Credential& credential_;
};

}  // namespace slipway::testing
