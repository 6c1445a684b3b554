#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/artifacts/artifact_index.h"
#include "controller/store/catalog_store.h"
#include "controller/store/image_order_store.h"
#include "controller/store/run_reader.h"
#include "controller/store/scheduler_store.h"
#include "controller/store/target_store.h"

namespace slipway::testing {

// The stores of one controller process. Those of a leader may write.
struct StoreProcess {
  virtual ~StoreProcess() = default;
  virtual store::SchedulerStore& scheduler() = 0;
  virtual store::RunReader& reader() = 0;
  virtual store::ApplicationStore& applications() = 0;
  virtual store::TargetStore& targets() = 0;
  virtual store::AgentStore& agents() = 0;
  virtual store::ImageOrderStore& image_orders() = 0;
  virtual store::FarmStore& farm() = 0;
  virtual artifacts::ArtifactIndex& artifacts() = 0;
};

// One empty database that several controllers may open: what the contract is checked against. Each
// test program of the contract defines MakeStoreHarness for its implementation.
struct StoreHarness {
  virtual ~StoreHarness() = default;
  virtual std::unique_ptr<StoreProcess> NewProcess() = 0;
  // What each audited change is about, oldest first.
  virtual std::vector<std::string> AuditedSubjects() = 0;
  // What the garbage collection does to a blob first.
  virtual void MarkBlob(const Sha256Digest& digest) = 0;
};
std::unique_ptr<StoreHarness> MakeStoreHarness();

}  // namespace slipway::testing
