#include "controller/store/pg/session.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <map>

#include "common/status/status.h"
#include "controller/store/pg/pqxx_status.h"

namespace slipway::store::pg {
namespace {

std::int64_t Millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::string QuotedValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Both forms that libpq accepts, a URL or "key=value ...", as one that more keys can be added to.
absl::StatusOr<std::map<std::string, std::string>> ParseParameters(const std::string& text) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(text.c_str(), nullptr), &PQconninfoFree);
  if (parsed == nullptr) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "DATABASE_URL",
        "the connection string of the database cannot be read",
        "Write it as postgresql://user@host:port/database or as \"host=... dbname=...\".");
  }
  std::map<std::string, std::string> parameters;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) parameters[option->keyword] = option->val;
  }
  return parameters;
}

absl::StatusOr<std::string> CompleteParameters(const DatabaseOptions& options) {
  SLIPWAY_ASSIGN_OR_RETURN(auto parameters, ParseParameters(options.connection));
  const auto add = [&](const char* key, const std::string& value) {
    parameters.try_emplace(key, value);
  };
  // Whatever the URL says: a successor finds this process's connections by it.
  parameters["application_name"] = options.application_name;
  add("client_encoding", "UTF8");
  add("connect_timeout",
      fmt::format("{}", std::max<std::int64_t>(2, Millis(options.connect_timeout) / 1000)));
  // A peer that vanished without a word is seen after about half a minute.
  add("keepalives_idle", "15");
  add("keepalives_interval", "5");
  add("keepalives_count", "3");
  add("tcp_user_timeout", "30000");
  std::string& settings = parameters["options"];
  settings += fmt::format(
      " -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}"
      " -c client_min_messages=warning -c timezone=UTC -c datestyle=ISO"
      " -c default_transaction_isolation=read\\ committed",
      Millis(options.statement_timeout), Millis(options.lock_timeout),
      Millis(options.idle_in_transaction_timeout));
  std::string text;
  for (const auto& [key, value] : parameters)
    text += fmt::format("{}={} ", key, QuotedValue(value));
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const DatabaseOptions& options) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string parameters, CompleteParameters(options));
  return CatchPqxx([&]() -> absl::StatusOr<std::unique_ptr<Session>> {
    auto session = std::unique_ptr<Session>(new Session(parameters));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    session->connection_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
    return session;
  });
}

bool Session::LooksAlive() const {
  if (!connection_.is_open()) return false;
  // Between transactions the server has nothing to say but goodbye; a stray notice costs no more
  // than a fresh connection.
  pollfd waited{.fd = connection_.sock(), .events = POLLIN, .revents = 0};
  return poll(&waited, 1, 0) == 0;
}

bool Session::PrepareOnce(const Statement& statement) {
  if (!prepared_.insert(statement.name).second) return false;
  connection_.prepare(statement.name, statement.sql);
  return true;
}

std::vector<pqxx::result> Transaction::RunTogether(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    session_.PrepareOnce(call.statement);
    // Only exec_prepared would do it by itself.
    session_.connection().prepare_now(call.statement.name);
  }
  pqxx::pipeline pipeline(work_);
  pipeline.retain(static_cast<int>(calls.size()) + 1);
  for (const Call& call : calls) {
    std::string query = fmt::format("EXECUTE {}", call.statement.name);
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      query += i == 0 ? "(" : ", ";
      query += work_.quote(call.arguments[i]);
    }
    if (!call.arguments.empty()) query += ')';
    pipeline.insert(query);
  }
  pipeline.complete();
  std::vector<pqxx::result> results;
  results.reserve(calls.size());
  while (!pipeline.empty()) results.push_back(pipeline.retrieve().second);
  return results;
}

bool IsStorableText(std::string_view text) {
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  while (at < text.size()) {
    const unsigned char lead = byte(at);
    if (lead == 0) return false;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = lead < 0xC2   ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || text.size() - at < length) return false;
    for (std::size_t i = 1; i < length; ++i) {
      if ((byte(at + i) & 0xC0) != 0x80) return false;
    }
    const unsigned char second = byte(at + 1);
    // Overlong forms, surrogates, and what lies above U+10FFFF.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
      return false;
    }
    at += length;
  }
  return true;
}

}  // namespace slipway::store::pg
