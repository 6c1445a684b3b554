#include "controller/store/pg/pg_audit_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <string_view>
#include <utility>

#include "common/status/status.h"
#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/page_token.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

#define SLIPWAY_PG_AUDIT_QUERY                                                                 \
  "SELECT sequence, entry, hash, to_micros(at) AS at, actor, action, object, subject, reason " \
  "FROM audit "
#define SLIPWAY_PG_AUDIT_PAGE                                   \
  " AND ($3 = '' OR object = $3) AND ($4 = '' OR subject = $4)" \
  " AND ($5::bigint IS NULL OR at >= from_micros($5::bigint))"  \
  " AND ($6::bigint IS NULL OR at < from_micros($6::bigint))"   \
  " AND (NOT $7::boolean OR reason <> '') AND sequence < $8"    \
  " ORDER BY sequence DESC LIMIT $9"
constexpr Statement kList{
    "audit_list", SLIPWAY_PG_AUDIT_QUERY
    "WHERE ($1 = '' OR actor = $1) AND starts_with(action, $2)" SLIPWAY_PG_AUDIT_PAGE};
// The same when $2 begins none of the actions of every build, which are not in the index of
// actions. What begins with $2 lies between it and itself with the last of all characters.
constexpr Statement kListRare{
    "audit_list_rare", SLIPWAY_PG_AUDIT_QUERY
    "WHERE ($1 = '' OR actor = $1)"
    " AND action NOT IN ('create_run', 'offer_task', 'start_task', 'finish_task')"
    " AND action COLLATE \"C\" >= $2 AND action COLLATE \"C\" < $2 || "
    "U&'\\+10FFFF'" SLIPWAY_PG_AUDIT_PAGE};
constexpr std::string_view kOften[] = {"create_run", "offer_task", "start_task", "finish_task"};

constexpr Statement kReadAfter{
    "audit_read_after", SLIPWAY_PG_AUDIT_QUERY "WHERE sequence > $1 ORDER BY sequence LIMIT $2"};
constexpr Statement kHead{"audit_head", R"(
SELECT sequence, hash,
       3 = (SELECT count(*) FROM pg_trigger
             WHERE tgrelid IN ('audit'::regclass, 'audit_head'::regclass) AND tgenabled = 'A'
               AND tgname IN ('audit_stays', 'audit_head_stays', 'audit_head_rises')) AS guarded
  FROM audit_head)"};
constexpr Statement kLastBefore{"audit_last_before", R"(
SELECT coalesce(max(sequence), 0) FROM audit WHERE at < from_micros($1::bigint))"};

// The texts of an entry by their keys; what has another type or is not there is empty.
class EntryReader {
 public:
  explicit EntryReader(const std::string& text) {
    boost::system::error_code error;
    value_ = json::parse(text, error);
    if (error || !value_.is_object()) value_ = json::object();
  }

  [[nodiscard]] std::string Text(std::string_view key) const {
    const json::value* found = value_.get_object().if_contains({key.data(), key.size()});
    if (found == nullptr || !found->is_string()) return "";
    return {found->get_string().data(), found->get_string().size()};
  }
  [[nodiscard]] std::int64_t Number(std::string_view key) const {
    const json::value* found = value_.get_object().if_contains({key.data(), key.size()});
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
  }
  // What no field of an AuditEntry is for.
  [[nodiscard]] std::vector<std::pair<std::string, domain::AuditEntry::Value>> Details() const {
    constexpr std::string_view kFields[] = {"v",      "at",     "actor",   "from",
                                            "action", "object", "subject", "outcome",
                                            "reason", "before", "after"};
    std::vector<std::pair<std::string, domain::AuditEntry::Value>> details;
    for (const auto& [key, value] : value_.get_object()) {
      const std::string_view name(key.data(), key.size());
      if (std::find(std::begin(kFields), std::end(kFields), name) != std::end(kFields)) continue;
      if (value.is_string()) details.emplace_back(name, Text(name));
      if (value.is_int64()) details.emplace_back(name, value.get_int64());
    }
    return details;
  }

 private:
  json::value value_;
};

AuditRecord RecordFromRow(const pqxx::row& row) {
  AuditRecord record;
  record.row = {.sequence = row["sequence"].as<std::int64_t>(),
                .entry = row["entry"].as<std::string>(),
                .hash = row["hash"].as<std::string>()};
  const EntryReader entry(record.row.entry);
  const std::int64_t at = entry.Number("at");
  record.at = FromUnixMicros(at);
  record.about = {.actor = entry.Text("actor"),
                  .from = entry.Text("from"),
                  .action = entry.Text("action"),
                  .object = entry.Text("object"),
                  .subject = entry.Text("subject"),
                  .reason = entry.Text("reason"),
                  .before = entry.Text("before"),
                  .after = entry.Text("after"),
                  .details = entry.Details()};
  const auto is = [&](const char* column, const std::string& text) {
    return row[column].as<std::string>() == text;
  };
  record.row.columns_match =
      row["at"].as<std::int64_t>() == at && is("actor", record.about.actor) &&
      is("action", record.about.action) && is("object", record.about.object) &&
      is("subject", record.about.subject) && is("reason", record.about.reason);
  return record;
}

// As an argument: NULL when there is none.
class Optional {
 public:
  explicit Optional(const std::optional<WallTime>& time)
      : text_(time ? std::to_string(ToUnixMicros(*time)) : "") {}
  [[nodiscard]] const char* get() const { return text_.empty() ? nullptr : text_.c_str(); }

 private:
  std::string text_;
};

}  // namespace

absl::Status PgAuditStore::Append(const std::vector<domain::AuditEntry>& entries) {
  return database_.Write([&](Transaction& transaction) {
    AppendAudit(transaction, entries);
    return absl::OkStatus();
  });
}

absl::StatusOr<AuditPage> PgAuditStore::List(const AuditFilter& filter) {
  if (filter.page_size < 1 || filter.page_size > 1000) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_SIZE",
                     fmt::format("a page has 1 to 1000 rows, not {}", filter.page_size));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::int64_t below, ParsePageToken(filter.page_token));
  const Optional since(filter.since);
  const Optional until(filter.until);
  const bool often =
      std::any_of(std::begin(kOften), std::end(kOften),
                  [&](std::string_view action) { return action.starts_with(filter.action); });
  AuditPage page;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    page = {};
    // Which index is best depends on what is asked for.
    transaction.work().exec("SET LOCAL plan_cache_mode = force_custom_plan");
    for (const pqxx::row& row :
         transaction.Run(often ? kList : kListRare, domain::StorableText(filter.actor),
                         domain::StorableText(filter.action), domain::StorableText(filter.object),
                         domain::StorableText(filter.subject), since.get(), until.get(),
                         filter.refused_only, below, filter.page_size + 1)) {
      page.entries.push_back(RecordFromRow(row));
    }
    return absl::OkStatus();
  }));
  if (page.entries.size() > static_cast<std::size_t>(filter.page_size)) {
    page.entries.pop_back();
    page.next_page_token = std::to_string(page.entries.back().row.sequence);
  }
  return page;
}

absl::StatusOr<AuditStretch> PgAuditStore::ReadAfter(std::int64_t sequence, int limit) {
  AuditStretch stretch;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    stretch = {};
    for (const pqxx::row& row : transaction.Run(kReadAfter, sequence, limit)) {
      stretch.rows.push_back(RecordFromRow(row).row);
    }
    const pqxx::result head = transaction.Run(kHead);
    // Whoever removed its row has cut the head off.
    if (!head.empty()) {
      stretch.head = {.sequence = head[0]["sequence"].as<std::int64_t>(),
                      .hash = head[0]["hash"].as<std::string>()};
      stretch.guarded = head[0]["guarded"].as<bool>();
    }
    return absl::OkStatus();
  }));
  return stretch;
}

absl::StatusOr<std::int64_t> PgAuditStore::LastBefore(WallTime time) {
  std::int64_t last = 0;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    last = transaction.Run(kLastBefore, ToUnixMicros(time)).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return last;
}

}  // namespace slipway::store::pg
