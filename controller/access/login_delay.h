#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

#include "common/base/time.h"

namespace slipway::access {

// How long whoever failed to log in has to wait before the next try counts: twice as long with each
// failure, up to a limit, so that guessing is slow and nobody is locked out for good. Failures are
// counted under keys (an account, an address); the newest `capacity` keys are remembered. Pure.
// Thread-compatible.
class LoginDelay {
 public:
  struct Options {
    // Failures in a row that cost nothing yet.
    int free_tries = 3;
    Duration first = std::chrono::seconds(1);
    Duration longest = std::chrono::minutes(1);
    // After so long without a failure all is forgiven.
    Duration forgiven_after = std::chrono::minutes(15);
    std::size_t capacity = 10'000;
  };

  explicit LoginDelay(const Options& options) : options_(options) {}

  // How long `key` has still to wait; zero: it may try.
  [[nodiscard]] Duration Left(const std::string& key, MonoTime now) const;
  void Failed(const std::string& key, MonoTime now);
  // All is forgiven.
  void Succeeded(const std::string& key);
  // The last failure was none.
  void TakeBack(const std::string& key);

 private:
  struct Record {
    std::string key;
    int failures = 0;
    MonoTime last;
    MonoTime before;  // the failure before it
  };

  const Options options_;
  std::list<Record> records_;  // the newest failure first
  std::unordered_map<std::string, std::list<Record>::iterator> by_key_;
};

}  // namespace slipway::access
