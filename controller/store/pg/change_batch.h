#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controller/domain/audit.h"
#include "controller/store/changes.h"

// How a batch of changes becomes a few set-based statements. Pure. Private to this library.
namespace slipway::store::pg {

// Changes of one kind that touch different tasks, so that one statement does for all of them and
// their order among each other cannot matter.
struct ChangeGroup {
  // Index into Change's alternatives.
  std::size_t kind = 0;
  // Indices into the batch, rising.
  std::vector<std::size_t> members;
};

// Orders the changes of `batch` that `wanted` marks into groups such that two changes touching the
// same task, or the same request of a run, are in different groups in the order of the batch.
std::vector<ChangeGroup> GroupChanges(const std::vector<Change>& batch,
                                      const std::vector<bool>& wanted);

// What a statement's rows name a change by: its task, or for CreateRun the run.
std::string SubjectOf(const Change& change);

// True: the statement for such changes reads ArrayArguments, of others ChangeToJson. Arrays cost
// the server half; those are the changes that every build makes and that have few columns or, many
// of them, the same values.
bool ReadsArrays(const Change& change);

// The arguments of the statement for changes of one kind.
// REQUIRES: ReadsArrays and IsStorable of each.
std::vector<std::string> ArrayArguments(const std::vector<Change>& batch,
                                        std::span<const std::size_t> members);

// False: a text in it holds a NUL byte or is no UTF-8. REQUIRES: ReadsArrays(change).
bool IsStorable(const Change& change);

// The change as its statement reads it. REQUIRES: not ReadsArrays(change).
boost::json::object ChangeToJson(const Change& change);

// False: a text in it holds a NUL byte or is no UTF-8, which PostgreSQL cannot store.
bool IsStorable(const boost::json::object& object);

// The entry of a change in the audit trail; nullopt for one without a cause. What was before
// (SetAvailability) only the statement's answer says.
std::optional<domain::AuditEntry> AuditEntryOf(const Change& change);

}  // namespace slipway::store::pg
