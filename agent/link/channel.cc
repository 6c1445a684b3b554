#include "agent/link/channel.h"

#include <string>

namespace slipway::link {

std::shared_ptr<grpc::Channel> MakeChannel(const Identity& identity) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = identity.ca_pem;
  if (!identity.key_pem.empty()) {
    tls.pem_private_key = std::string(identity.key_pem.view());
    tls.pem_cert_chain = identity.certificate_pem;
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // However long the controller was away: back within two seconds of its return. (MIN is how long
  // one attempt may take; packets that a dead network swallowed are not waited for any longer.)
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // A proxy of the environment is for platforms, not for the farm's own controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
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
