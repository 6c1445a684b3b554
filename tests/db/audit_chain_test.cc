#include <string>
#include <vector>

#include "tests/db/audit_trail.h"

namespace slipway::store::pg {
namespace {

using audit::Fault;

// What is found in a trail of twenty rows after `sql`.
audit::Finding FoundAfter(const std::string& sql) {
  Trail trail;
  trail.Fill(20);
  REQUIRE_FALSE(trail.Check().finding);
  trail.Tamper(sql);
  const audit::Verdict verdict = trail.Check();
  REQUIRE(verdict.finding);
  return *verdict.finding;
}

void CheckFound(const std::string& sql, Fault fault, std::int64_t sequence,
                const std::string& words) {
  INFO(sql);
  const audit::Finding finding = FoundAfter(sql);
  CHECK(finding.fault == fault);
  CHECK(finding.sequence == sequence);
  CHECK_THAT(finding.message, Catch::Contains(words));
}

TEST_CASE("Audit: an untouched trail is right to its end, also an empty one", "[db]") {
  Trail trail;
  CHECK_FALSE(trail.Check().finding);
  CHECK(trail.Check().head == AuditHead{});
  trail.Fill(20);
  const audit::Verdict verdict = trail.Check();
  CHECK_FALSE(verdict.finding);
  CHECK(verdict.head.sequence == 20);
  CHECK(verdict.head.hash == trail.Sql("SELECT hash FROM audit WHERE sequence = 20").at(0).at(0));
  // Whatever the pages are.
  CHECK(trail.Check(std::nullopt, 1).head == verdict.head);
  CHECK(trail.Check(std::nullopt, 20).head == verdict.head);
  CHECK(trail.Check(std::nullopt, 1000).head == verdict.head);
}

TEST_CASE("Audit: a changed entry is found and named", "[db]") {
  CheckFound(
      "UPDATE audit SET entry = replace(entry, 'admin', 'eve'), actor = 'eve' WHERE sequence = 9",
      Fault::kChanged, 9, "row 9");
  CheckFound("UPDATE audit SET entry = 'nonsense' WHERE sequence = 20", Fault::kChanged, 20,
             "row 20");
}

TEST_CASE("Audit: a changed hash is found and named", "[db]") {
  CheckFound("UPDATE audit SET hash = repeat('0', 64) WHERE sequence = 9", Fault::kHashChanged, 9,
             "hash of row 9");
}

TEST_CASE("Audit: removed rows are found and named", "[db]") {
  CheckFound("DELETE FROM audit WHERE sequence = 9", Fault::kMissing, 9, "row 9 is missing");
  CheckFound("DELETE FROM audit WHERE sequence < 4", Fault::kMissing, 1, "rows 1 to 3");
  // And when those behind it move up.
  CheckFound(
      "DELETE FROM audit WHERE sequence = 9; UPDATE audit SET sequence = -sequence WHERE sequence "
      "> 9; UPDATE audit SET sequence = -sequence - 1 WHERE sequence < 0",
      Fault::kChanged, 9, "row 9 was changed, or rows before it were taken out");
}

TEST_CASE("Audit: rows that changed places are found and named", "[db]") {
  const std::string swap =
      "UPDATE audit SET sequence = -1 WHERE sequence = 5; UPDATE audit SET sequence = 5 WHERE "
      "sequence = {}; UPDATE audit SET sequence = {} WHERE sequence = -1";
  const auto with = [&](const std::string& other) {
    std::string sql = swap;
    for (auto at = sql.find("{}"); at != std::string::npos; at = sql.find("{}")) {
      sql.replace(at, 2, other);
    }
    return sql;
  };
  CheckFound(with("6"), Fault::kReordered, 5, "what belongs at row 5 stands at row 6");
  CheckFound(with("15"), Fault::kReordered, 5, "what belongs at row 5 stands at row 15");
}

TEST_CASE("Audit: rows cut off the end are found, with the number there had been", "[db]") {
  CheckFound("DELETE FROM audit WHERE sequence > 17", Fault::kCut, 18, "20 had been written");
  CheckFound("DELETE FROM audit", Fault::kCut, 1, "20 had been written");
}

TEST_CASE("Audit: an inserted row is found and named", "[db]") {
  const std::string row =
      "INSERT INTO audit SELECT {}, entry, hash, at, actor, action, object, subject, reason FROM "
      "audit WHERE sequence = 3";
  CheckFound(
      "UPDATE audit SET sequence = -sequence WHERE sequence > 9; UPDATE audit SET sequence = "
      "-sequence + 1 WHERE sequence < 0; INSERT INTO audit SELECT 10, entry, hash, at, actor, "
      "action, object, subject, reason FROM audit WHERE sequence = 3",
      Fault::kInserted, 10, "row 10 was inserted");
  // As whoever knows the rule would do it, at the end.
  CheckFound(
      "INSERT INTO audit SELECT 21, entry, encode(sha256(convert_to(hash || E'\\n' || entry, "
      "'UTF8')), 'hex'), at, actor, action, object, subject, reason FROM audit WHERE sequence = 20",
      Fault::kBeyondHead, 21, "row 21 was added past the controller");
}

TEST_CASE("Audit: a changed or removed record of the chain's end is found", "[db]") {
  CheckFound("UPDATE audit_head SET hash = repeat('0', 64)", Fault::kHeadChanged, 20,
             "another hash");
  CheckFound("DELETE FROM audit_head", Fault::kHeadChanged, 20, "gone");
}

TEST_CASE("Audit: columns that say something else than the entry are found", "[db]") {
  CheckFound("UPDATE audit SET actor = 'eve' WHERE sequence = 9", Fault::kColumns, 9, "row 9");
  CheckFound("UPDATE audit SET at = at + interval '1 microsecond' WHERE sequence = 9",
             Fault::kColumns, 9, "row 9");
}

TEST_CASE("Audit: a chain that was made anew is found by the head that somebody kept", "[db]") {
  Trail trail;
  trail.Fill(20);
  const AuditHead kept = trail.Check().head;
  trail.Fill(5);
  CHECK_FALSE(trail.Check(kept).finding);
  // Row 9 is replaced, and every hash from there on is right again.
  const std::string remake =
      "UPDATE audit SET entry = replace(entry, 'admin', 'nobody'), actor = 'nobody' "
      "WHERE sequence = 9; "
      "DO $$ DECLARE last text; r record; BEGIN "
      "SELECT hash INTO last FROM audit WHERE sequence = 8; "
      "FOR r IN SELECT sequence, entry FROM audit WHERE sequence > 8 ORDER BY sequence LOOP "
      "last := encode(sha256(convert_to(last || E'\\n' || r.entry, 'UTF8')), 'hex'); "
      "UPDATE audit SET hash = last WHERE sequence = r.sequence; END LOOP; "
      "UPDATE audit_head SET hash = last; END $$";
  trail.Tamper(remake);
  CHECK_FALSE(trail.Check().finding);
  const auto found = trail.Check(kept).finding;
  REQUIRE(found);
  CHECK(found->fault == Fault::kNotExpected);
  CHECK(found->sequence == 20);
}

TEST_CASE("Audit: a tail cut off with its record is found by the head that somebody kept", "[db]") {
  Trail trail;
  trail.Fill(20);
  const AuditHead kept = trail.Check().head;
  trail.Tamper(
      "DELETE FROM audit WHERE sequence > 17; UPDATE audit_head SET sequence = 17, hash = (SELECT "
      "hash FROM audit WHERE sequence = 17)");
  CHECK_FALSE(trail.Check().finding);
  const auto found = trail.Check(kept).finding;
  REQUIRE(found);
  CHECK(found->fault == Fault::kCut);
  CHECK(found->sequence == 18);
}

TEST_CASE("Audit: guards that are off are found", "[db]") {
  Trail trail;
  trail.Fill(3);
  trail.Sql("ALTER TABLE audit DISABLE TRIGGER audit_stays");
  const audit::Verdict verdict = trail.Check();
  REQUIRE(verdict.finding);
  CHECK(verdict.finding->fault == Fault::kUnguarded);
  CHECK(verdict.head.sequence == 3);
}

TEST_CASE("Audit: a check ends when nobody listens any more", "[db]") {
  Trail trail;
  trail.Fill(20);
  int heard = 0;
  const auto stopped = audit::CheckChain(*trail.audit, {.page = 5}, [&](const audit::Progress& p) {
    CHECK(p.newest == 20);
    return ++heard < 2;
  });
  CHECK(stopped.status().code() == absl::StatusCode::kCancelled);
  CHECK(heard == 2);
}

}  // namespace
}  // namespace slipway::store::pg
