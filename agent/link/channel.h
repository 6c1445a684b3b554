#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>

#include "agent/link/identity.h"

namespace slipway::link {

// A channel to the farm's controller with the agent's certificate, trusting the farm's CA alone. A
// connection whose other end is silent is given up after about 15 s. Nothing is connected yet.
[[nodiscard]] std::shared_ptr<grpc::Channel> MakeChannel(const Identity& identity);

// The channel that a call which begins now should use.
using ChannelSource = std::function<std::shared_ptr<grpc::Channel>()>;

// The agent's channels, made of its newest certificate: what began on an older one goes on there,
// and the older channel ends with the last of it. Thread-safe.
class Channels {
 public:
  explicit Channels(const Identity& identity) { Use(identity); }

  // From now on channels are made of this identity.
  void Use(const Identity& identity);
  // Of the Connect stream and the logs.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Control() const;
  // Of products, so that one on its way does not wait in front of what keeps leases alive.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Bulk() const;

 private:
  mutable std::mutex mu_;
  std::shared_ptr<grpc::Channel> control_;
  std::shared_ptr<grpc::Channel> bulk_;
};

}  // namespace slipway::link
