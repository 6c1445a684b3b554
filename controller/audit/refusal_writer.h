#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/time.h"
#include "controller/store/audit_store.h"

namespace slipway::audit {

struct RefusalWriterOptions {
  // Different refusals that may wait to be written; what comes beyond them is only counted.
  std::size_t max_waiting = 256;
  // Longest text of an entry; what is longer is cut. Callers choose what they call themselves.
  std::size_t max_text_bytes = 256;
  // Between two transactions, so that a flood of refusals is few rows and costs others nothing.
  Duration pause = std::chrono::seconds(1);
};

// Enters refused attempts into the audit trail, from a thread of its own. Refusals that differ in
// nothing and come within one pause are one entry, which says how often; when too many different
// ones come, one entry says how many attempts were left out. A transaction that failed is tried
// again after the pause. Memory is bounded by the options, whatever comes.
//
// Destruction writes what waits, trying once. Thread-safe.
class RefusalWriter final : public store::RefusalRecorder {
 public:
  // `audit` must outlive it.
  explicit RefusalWriter(store::AuditStore& audit) : RefusalWriter(audit, {}) {}
  RefusalWriter(store::AuditStore& audit, RefusalWriterOptions options);
  ~RefusalWriter() override;

  void RecordRefusal(domain::AuditEntry refused) override;

 private:
  struct Waiting {
    domain::AuditEntry entry;
    std::int64_t times = 0;
  };
  // By the canonical bytes of the entry.
  using ByBytes = std::map<std::string, Waiting>;

  void Loop();
  void Clip(domain::AuditEntry& entry) const;

  // Constant after construction.
  const RefusalWriterOptions options_;
  store::AuditStore& audit_;

  std::mutex mu_;
  std::condition_variable wake_;
  // Guarded by mu_.
  ByBytes waiting_;
  std::int64_t left_out_ = 0;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace slipway::audit
