#pragma once

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status/status.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

// How the catalog stores run their statements. Private to this library: it shows libpqxx.
namespace slipway::store::pg {

inline absl::Status CheckStorable(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    if (!IsStorableText(text)) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TEXT",
                       "a text holds a NUL byte or bytes that are no UTF-8", "Send text in UTF-8.");
    }
  }
  return absl::OkStatus();
}

inline absl::StatusOr<std::string> LabelsText(const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) SLIPWAY_RETURN_IF_ERROR(CheckStorable({key, value}));
  return std::string(boost::json::serialize(LabelsToJson(labels)));
}

// Says in the caller's words what a unique constraint said in the table's.
inline absl::Status ExplainDuplicate(const absl::Status& status, std::string_view message) {
  return absl::IsAlreadyExists(status)
             ? absl::AlreadyExistsError(absl::string_view(message.data(), message.size()))
             : status;
}

template <typename Value, typename FromRow, typename... Arguments>
absl::StatusOr<std::vector<Value>> Select(Database& database, const Statement& statement,
                                          FromRow from_row, const Arguments&... arguments) {
  std::vector<Value> values;
  SLIPWAY_RETURN_IF_ERROR(database.Read([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(statement, arguments...)) {
      values.push_back(from_row(row));
    }
    return absl::OkStatus();
  }));
  return values;
}

template <typename Value, typename FromRow>
absl::StatusOr<Value> SelectOne(Database& database, const Statement& statement, FromRow from_row,
                                const std::string& key, std::string_view what,
                                std::string_view reason = "") {
  std::vector<Value> found;
  if (IsStorableText(key)) {
    SLIPWAY_ASSIGN_OR_RETURN(found, Select<Value>(database, statement, from_row, key));
  }
  if (found.empty()) {
    return MakeError(absl::StatusCode::kNotFound, reason, fmt::format("there is no {}", what));
  }
  return std::move(found.front());
}

template <typename... Arguments>
absl::Status Execute(Database& database, const Statement& statement,
                     const Arguments&... arguments) {
  return database.Write([&](Transaction& transaction) {
    transaction.Run(statement, arguments...);
    return absl::OkStatus();
  });
}

}  // namespace slipway::store::pg
