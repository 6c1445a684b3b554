#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "agent/link/channel.h"
#include "agent/link/identity.h"
#include "common/base/time.h"

namespace slipway::link {

// When a certificate issued at `issued` is to be renewed: two thirds into its lifetime, and up to a
// twentieth of that later. `random` in [0, 1) spreads the agents that joined together.
[[nodiscard]] WallTime RenewAt(WallTime issued, WallTime not_after, double random);

struct RenewerOptions {
  // Where the identity is kept.
  std::string data_dir;
  // Between the first use of the new certificate and its confirmation: calls that began with the
  // old one have been heard by then. Less for certificates that last less than some minutes.
  Duration settle = std::chrono::seconds(10);
};

// Keeps the agent's certificate from ending (EnrollmentService.Renew tells the protocol): makes a
// new key, gets a certificate for it, writes both to the disk, hands them to the channels and
// confirms. Whatever fails is tried again until the certificate has ended.
//
// `channels` and what `ended` refers to must outlive it. Thread-safe.
class Renewer {
 public:
  // `ended` hears, once and from the renewer's thread, that the certificate has ended:
  // kUnauthenticated, reason CERTIFICATE_EXPIRED.
  Renewer(Identity identity, RenewerOptions options, Channels& channels,
          std::function<void(const absl::Status&)> ended);
  ~Renewer();
  Renewer(const Renewer&) = delete;
  Renewer& operator=(const Renewer&) = delete;

  void Start();
  // Breaks nothing off: a call under way is waited for, a few seconds at most.
  void Stop();

 private:
  void Run();
  [[nodiscard]] absl::Status Renew();
  [[nodiscard]] absl::Status Confirm();
  // False: it is to stop.
  [[nodiscard]] bool Pause(Duration time);
  [[nodiscard]] double Random();

  const RenewerOptions options_;
  Channels& channels_;
  const std::function<void(const absl::Status&)> ended_;
  const SystemClock clock_;

  // Confined to the worker once started.
  Identity identity_;
  WallTime issued_;
  WallTime not_after_;
  bool confirmed_ = true;
  std::mt19937_64 random_;

  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace slipway::link
