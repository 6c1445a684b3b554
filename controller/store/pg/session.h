#pragma once

#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/store/pg/database.h"

// What the Pg stores write their statements with. Private to this library: it shows libpqxx.
namespace slipway::store::pg {

// A named constant beside the one store that runs it; prepared once per connection.
// REQUIRES: static storage, the name unique in the program.
struct Statement {
  const char* name;
  const char* sql;
};

// One connection to the server. It never reconnects by itself: libpqxx would do so unseen and lose
// session locks and settings. Used by one thread at a time.
class Session {
 public:
  // kUnavailable DATABASE_UNAVAILABLE: no server answers. kInvalidArgument DATABASE_URL: the
  // connection string is not one (its text is not repeated: it may hold a password).
  static absl::StatusOr<std::unique_ptr<Session>> Open(const DatabaseOptions& options);

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False when the server has closed or reset the connection, as far as this side can see.
  [[nodiscard]] bool LooksAlive() const;
  [[nodiscard]] pqxx::connection& connection() { return connection_; }
  // True the first time for each name.
  bool PrepareOnce(const Statement& statement);

 private:
  explicit Session(const std::string& parameters) : connection_(parameters) {}

  pqxx::connection connection_;
  std::unordered_set<std::string_view> prepared_;
};

// A statement with its arguments as text.
struct Call {
  const Statement& statement;
  std::vector<std::string> arguments;
};

// An open transaction as the stores see it. What its methods throw is caught by Database.
class Transaction {
 public:
  Transaction(Session& session, pqxx::transaction_base& work) : session_(session), work_(work) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // REQUIRES: text arguments passed IsStorableText; libpq ends them at a NUL byte.
  template <typename... Arguments>
  pqxx::result Run(const Statement& statement, Arguments&&... arguments) {
    session_.PrepareOnce(statement);
    return work_.exec_prepared(statement.name, std::forward<Arguments>(arguments)...);
  }

  // The same for several, in their order and in one round trip, each with a snapshot of its own.
  std::vector<pqxx::result> RunTogether(const std::vector<Call>& calls);

  [[nodiscard]] pqxx::transaction_base& work() { return work_; }

 private:
  Session& session_;
  pqxx::transaction_base& work_;
};

// True when PostgreSQL can hold it as text: valid UTF-8 without a NUL byte.
bool IsStorableText(std::string_view text);

}  // namespace slipway::store::pg
