#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/init/posix.h"
#include "agent/init/protocol.h"

// The small files of process 1: results, secrets, and what the kernel tells about memory.
namespace slipway::init {

// The durable result of one step. Its space is taken before the step starts, so that a full disk
// cannot swallow it. Thread-compatible.
class ResultFile {
 public:
  // Makes step-<n>.tmp in `dir_fd`, which must outlive this.
  [[nodiscard]] Problem Prepare(int dir_fd, std::uint32_t step);
  // Writes, syncs and renames to step-<n>.result. REQUIRES: prepared.
  [[nodiscard]] Problem Commit(const StepResult& result);

 private:
  int dir_fd_ = -1;
  std::string stem_;
  Fd file_;
};

// Puts a secret into a file on tmpfs, acting as `secret.uid`. docs/init.md, "Secrets".
struct WriteSecretOutcome {
  AckCode code = AckCode::kOk;
  Problem problem;
};
WriteSecretOutcome WriteSecretFile(const WriteSecret& secret);

// How many processes of this container the kernel has killed for want of memory; nullopt when its
// control group cannot be seen.
std::optional<std::uint64_t> ReadOomKills();

}  // namespace slipway::init
