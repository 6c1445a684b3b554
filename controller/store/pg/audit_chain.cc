#include "controller/store/pg/audit_chain.h"

#include "common/crypto/hash.h"
#include "controller/store/pg/lock_keys.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

// A statement of its own, so that the next one sees what was committed while this one waited.
constexpr Statement kLockChain{"audit_lock", "SELECT pg_advisory_xact_lock($1::bigint)"};
constexpr Statement kLastEntry{"audit_last",
                               "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1"};
constexpr Statement kAppend{"audit_append", R"(
INSERT INTO audit (sequence, entry, hash)
SELECT $1::bigint + c.n, c.entry, c.hash
  FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS c(entry, hash, n))"};

}  // namespace

std::vector<Call> HoldAuditEnd() {
  return {{kLockChain, {std::to_string(kAuditChain)}}, {kLastEntry, {}}};
}

void AppendAudit(Transaction& transaction, const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  AppendAudit(transaction, transaction.RunTogether(HoldAuditEnd()), entries);
}

void AppendAudit(Transaction& transaction, std::span<const pqxx::result> end,
                 const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  std::int64_t sequence = 0;
  std::string hash;
  if (const pqxx::result& last = end[1]; !last.empty()) {
    sequence = last[0][0].as<std::int64_t>();
    hash = last[0][1].as<std::string>();
  }
  std::vector<std::string> hashes;
  hashes.reserve(entries.size());
  for (const std::string& entry : entries) {
    hash = crypto::Sha256Of(hash + "\n" + entry).Hex();
    hashes.push_back(hash);
  }
  transaction.Run(kAppend, sequence, TextArray(entries), TextArray(hashes));
}

}  // namespace slipway::store::pg
