#include "agent/link/channel.h"

#include <string>

#include "common/rpc/agent_channel.h"

namespace slipway::link {

std::shared_ptr<grpc::Channel> MakeChannel(const Identity& identity) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = identity.ca_pem;
  if (!identity.key_pem.empty()) {
    tls.pem_private_key = std::string(identity.key_pem.view());
    tls.pem_cert_chain = identity.certificate_pem;
  }
  grpc::ChannelArguments arguments = rpc::AgentChannelArguments();
  if (!identity.server_name.empty()) {
    arguments.SetSslTargetNameOverride(identity.server_name);
  }
  return grpc::CreateCustomChannel(identity.server, grpc::SslCredentials(tls), arguments);
}

void Channels::Use(const Identity& identity) {
  const std::shared_ptr<grpc::Channel> control = MakeChannel(identity);
  const std::shared_ptr<grpc::Channel> bulk = MakeChannel(identity);
  const std::lock_guard lock(mu_);
  control_ = control;
  bulk_ = bulk;
}

std::shared_ptr<grpc::Channel> Channels::Control() const {
  const std::lock_guard lock(mu_);
  return control_;
}

std::shared_ptr<grpc::Channel> Channels::Bulk() const {
  const std::lock_guard lock(mu_);
  return bulk_;
}

}  // namespace slipway::link
