#pragma once

#include <CLI/CLI.hpp>

#include "controller/cli/commands.h"
#include "controller/cli/grammar.h"

namespace slipway::cli {

// `slipway audit …`. Must not move and must outlive what the grammar parses. Confined to one
// thread.
class AuditGrammar {
 public:
  void AddTo(Grammar& grammar, CLI::App& app);

 private:
  AuditListFlags list_;
  AuditExportFlags export_;
  std::string expect_;
};

}  // namespace slipway::cli
