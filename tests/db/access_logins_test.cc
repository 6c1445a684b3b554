#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/password.h"
#include "controller/access/access.h"
#include "tests/db/access_fixture.h"

namespace slipway::testing {
namespace {

using namespace std::chrono_literals;
using access::Access;
using domain::AccountKind;

constexpr char kPassword[] = "correct horse battery";

class HandClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Mono() const override { return MonoTime(1h + passed); }
  [[nodiscard]] WallTime Wall() const override { return AccessFarm::Now() + passed; }
  Duration passed = Duration::zero();
};

// An Access on a real database, whose member "mei" has the password above.
struct Door {
  explicit Door(const Access::Options& options = {})
      : accounts(farm.accounts()),
        logins(farm.logins()),
        access(options, accounts, logins,
               access::SessionTokens(crypto::SecretBytes::CopyOf(std::string(32, 'k'))), clock) {
    mei = farm.Add("mei", AccountKind::kMember, crypto::HashPassword(kPassword));
  }
  access::LoginTokens LogIn(const std::string& address = "10.0.0.1") {
    auto tokens = access.Login("mei", kPassword, "test", address);
    REQUIRE_OK(tokens);
    return *tokens;
  }
  absl::Status Try(const std::string& bearer) {
    return access.Authenticate(bearer, "10.0.0.1").status();
  }
  access::Caller Caller(const std::string& bearer) {
    auto caller = access.Authenticate(bearer, "10.0.0.1");
    REQUIRE_OK(caller);
    return *caller;
  }

  AccessFarm farm;
  HandClock clock;
  store::pg::PgAccountStore accounts;
  store::pg::PgLoginStore logins;
  Access access;
  domain::Account mei;
};

std::string ReasonOf(const absl::Status& status) { return GetErrorInfo(status).reason; }

TEST_CASE("Access: a login gives a token that is good until it expires", "[db]") {
  Door door;
  const auto tokens = door.LogIn();
  const auto caller = door.Caller(tokens.access);
  CHECK(caller.account.name == "mei");
  CHECK(caller.address == "10.0.0.1");
  CHECK_FALSE(caller.api_token);
  door.clock.passed += 11min;
  CHECK(ReasonOf(door.Try(tokens.access)) == "BAD_TOKEN");
  CHECK(ReasonOf(door.Try("")) == "NO_TOKEN");
  CHECK(ReasonOf(door.Try("slt_nothing")) == "BAD_TOKEN");
}

TEST_CASE("Access: an unknown account, a wrong password and a disabled account answer alike",
          "[db]") {
  Door door;
  const auto unknown = door.access.Login("nobody", kPassword, "", "10.0.0.1").status();
  const auto wrong = door.access.Login("mei", "not the password", "", "10.0.0.1").status();
  store::AccountChange off;
  off.state = domain::AccountState::kDisabled;
  REQUIRE_OK(door.accounts.Update("mei", off, AccessFarm::By("root")));
  const auto disabled = door.access.Login("mei", kPassword, "", "10.0.0.1").status();
  door.farm.Add("robot", AccountKind::kService, crypto::HashPassword(kPassword));
  const auto service = door.access.Login("robot", kPassword, "", "10.0.0.1").status();
  CHECK(ReasonOf(unknown) == "BAD_LOGIN");
  CHECK(unknown == wrong);
  CHECK(unknown == disabled);
  CHECK(unknown == service);
}

TEST_CASE("Access: refreshing gives the next pair; a spent one that comes late ends the login",
          "[db]") {
  Door door;
  const auto first = door.LogIn();
  door.clock.passed += 1min;
  const auto second = door.access.Refresh(first.refresh, "");
  REQUIRE_OK(second);
  CHECK(second->refresh != first.refresh);
  // The reply was lost: the same question soon after has the same answer.
  door.clock.passed += 10s;
  const auto repeated = door.access.Refresh(first.refresh, "");
  REQUIRE_OK(repeated);
  CHECK(repeated->refresh == second->refresh);
  door.clock.passed += 1min;
  CHECK_OK(door.Try(second->access));
  CHECK(ReasonOf(door.access.Refresh(first.refresh, "").status()) == "BAD_REFRESH");
  CHECK(ReasonOf(door.Try(second->access)) == "BAD_TOKEN");
  CHECK(ReasonOf(door.access.Refresh(second->refresh, "").status()) == "BAD_REFRESH");
}

TEST_CASE("Access: a login that nobody refreshes ends by itself", "[db]") {
  Door door({.login_lifetime = 1h});
  const auto tokens = door.LogIn();
  door.clock.passed += 61min;
  CHECK(ReasonOf(door.access.Refresh(tokens.refresh, "").status()) == "BAD_REFRESH");
}

TEST_CASE("Access: who holds a stream open outlasts the access token, not login or API token",
          "[db]") {
  Door door({.login_lifetime = 1h});
  const auto tokens = door.LogIn();
  const auto by_login = door.Caller(tokens.access);
  CHECK(by_login.expires_at == door.clock.Wall() + 1h);
  domain::ApiToken wanted;
  wanted.account = door.mei.id;
  wanted.name = "ci";
  const auto made = door.access.CreateToken(by_login, wanted, 30min);
  REQUIRE_OK(made);
  const auto by_token = door.Caller(made->second);
  CHECK(by_token.expires_at == door.clock.Wall() + 30min);
  door.clock.passed += 29min;
  CHECK_OK(door.access.Again(by_login));
  CHECK_OK(door.access.Again(by_token));
  door.clock.passed += 2min;
  CHECK(ReasonOf(door.access.Again(by_token).status()) == "BAD_TOKEN");
  // Refreshed, it lasts longer than was known when it was remembered.
  REQUIRE_OK(door.access.Refresh(tokens.refresh, ""));
  door.clock.passed += 45min;
  const auto now = door.access.Again(by_login);
  REQUIRE_OK(now);
  CHECK(now->expires_at == door.clock.Wall() + 15min);
  door.clock.passed += 16min;
  CHECK(ReasonOf(door.access.Again(by_login).status()) == "BAD_TOKEN");
}

TEST_CASE("Access: logging out ends one login or all, at once", "[db]") {
  Door door;
  const auto one = door.LogIn();
  const auto two = door.LogIn();
  const auto three = door.LogIn();
  REQUIRE_OK(door.access.Logout(door.Caller(one.access), false));
  CHECK(ReasonOf(door.Try(one.access)) == "BAD_TOKEN");
  CHECK_OK(door.Try(two.access));
  const auto ended = door.access.Logout(door.Caller(two.access), true);
  REQUIRE_OK(ended);
  CHECK(*ended == 2);
  for (const auto* tokens : {&two, &three}) {
    CHECK(ReasonOf(door.Try(tokens->access)) == "BAD_TOKEN");
    CHECK(ReasonOf(door.access.Refresh(tokens->refresh, "").status()) == "BAD_REFRESH");
  }
  CHECK_OK(door.Try(door.LogIn().access));
}

TEST_CASE("Access: a new password keeps the login that set it and ends the others", "[db]") {
  Door door;
  const auto here = door.LogIn();
  const auto there = door.LogIn();
  const auto caller = door.Caller(here.access);
  CHECK(ReasonOf(door.access.ChangePassword(caller, "wrong password", "another long one")) ==
        "WRONG_PASSWORD");
  CHECK(ReasonOf(door.access.ChangePassword(caller, kPassword, "short")) == "BAD_PASSWORD");
  CHECK(ReasonOf(door.access.ChangePassword(caller, kPassword, kPassword)) == "BAD_PASSWORD");
  REQUIRE_OK(door.access.ChangePassword(caller, kPassword, "another long one"));
  CHECK_OK(door.Try(here.access));
  CHECK(ReasonOf(door.Try(there.access)) == "BAD_TOKEN");
  CHECK(ReasonOf(door.access.Login("mei", kPassword, "", "10.0.0.9").status()) == "BAD_LOGIN");
  CHECK_OK(door.access.Login("MEI", "another long one", "", "10.0.0.9"));
}

TEST_CASE("Access: a disabled or deleted account's tokens are good no more", "[db]") {
  Door door;
  const auto tokens = door.LogIn();
  const auto made = door.access.CreateToken(door.Caller(tokens.access),
                                            {.account = door.mei.id, .name = "ci"}, 1h);
  REQUIRE_OK(made);
  CHECK_OK(door.Try(made->second));
  SECTION("disabled") {
    store::AccountChange off;
    off.state = domain::AccountState::kDisabled;
    REQUIRE_OK(door.accounts.Update("mei", off, AccessFarm::By("root")));
  }
  SECTION("deleted") { REQUIRE_OK(door.accounts.Delete("mei", AccessFarm::By("root"))); }
  door.access.Changed();
  CHECK(ReasonOf(door.Try(tokens.access)) == "BAD_TOKEN");
  CHECK(ReasonOf(door.Try(made->second)) == "BAD_TOKEN");
  CHECK(ReasonOf(door.access.Refresh(tokens.refresh, "").status()) == "BAD_REFRESH");
}

TEST_CASE("Access: an API token lives its time, may be revoked, and makes no other when narrowed",
          "[db]") {
  Door door;
  const auto caller = door.Caller(door.LogIn().access);
  domain::ApiToken narrow{.account = door.mei.id, .name = "narrow"};
  narrow.operations = {domain::Operation::kPackage};
  const auto made = door.access.CreateToken(caller, narrow, 1h);
  REQUIRE_OK(made);
  const auto robot = door.Caller(made->second);
  CHECK(ReasonOf(door.access.CreateToken(robot, narrow, 1h).status()) == "TOKEN_FORBIDS");
  // For somebody else only admins make them.
  CHECK(
      ReasonOf(door.access.CreateToken(caller, {.account = door.farm.root.id, .name = "stolen"}, 1h)
                   .status()) == "ADMIN_ONLY");
  door.access.FlushTokenUse();
  CHECK(door.logins.ListTokens(door.mei.id, door.clock.Wall(), {})->objects.at(0).last_used_at ==
        door.clock.Wall());
  door.clock.passed += 2h;
  CHECK(ReasonOf(door.Try(made->second)) == "BAD_TOKEN");
  door.clock.passed -= 2h;
  REQUIRE_OK(door.access.RevokeToken(caller, made->first.id));
  CHECK(ReasonOf(door.Try(made->second)) == "BAD_TOKEN");
}

TEST_CASE("Access: what ended more than 30 days ago is forgotten, some at a time", "[db]") {
  Door door;
  const auto kept = door.LogIn();
  const auto caller = door.Caller(kept.access);
  domain::ApiToken wanted;
  wanted.account = door.mei.id;
  wanted.name = "kept";
  REQUIRE_OK(door.access.CreateToken(caller, wanted, 24h * 90));
  // As many as two batches that ended, and one without an end that was revoked.
  REQUIRE_OK(RunSql(door.farm.url, R"(
INSERT INTO logins (id, account_id, epoch, created_at, refreshed_at, expires_at, address, client,
                    ended_at)
SELECT 'old-' || n, 'acct-mei', 1, from_micros(1), from_micros(1),
       from_micros(1800000000000000), '', '', CASE n % 2 WHEN 0 THEN from_micros(1) END
  FROM generate_series(1, 700) AS n;
INSERT INTO api_tokens (token_hash, id, account_id, name, created_at, expires_at, revoked_at)
SELECT 'hash-' || n, 'old-' || n, 'acct-mei', 'old', from_micros(1),
       CASE n WHEN 1 THEN NULL ELSE from_micros(1800000000000000) END, from_micros(1)
  FROM generate_series(1, 3) AS n)"));
  const auto left = [&](const std::string& table) {
    const auto rows = RunSql(door.farm.url, "SELECT count(*) FROM " + table);
    REQUIRE_OK(rows);
    return rows->at(0).at(0);
  };
  // Those that expired have not been over for 30 days yet.
  while (door.access.ForgetEnded()) {
  }
  CHECK(left("logins") == "351");
  CHECK(left("api_tokens") == "2");
  const auto tokens = door.logins.ListTokens(door.mei.id, door.clock.Wall(), {});
  REQUIRE_OK(tokens);
  REQUIRE(tokens->objects.size() == 2);
  CHECK(tokens->objects.at(0).name == "kept");
  door.clock.passed += 24h * 31;
  while (door.access.ForgetEnded()) {
  }
  CHECK(left("logins") == "1");
  CHECK(left("api_tokens") == "2");
}

TEST_CASE("Access: a request id makes one API token, whose secret is not shown again", "[db]") {
  Door door;
  const auto caller = door.Caller(door.LogIn().access);
  domain::ApiToken wanted{.account = door.mei.id, .name = "ci"};
  wanted.operations = {domain::Operation::kPackage, domain::Operation::kPublish};
  wanted.applications = {ApplicationId("app-shop"), ApplicationId("app-bakery")};
  const auto made = door.access.CreateToken(caller, wanted, 1h, "one");
  REQUIRE_OK(made);
  door.clock.passed += 1min;
  std::swap(wanted.applications[0], wanted.applications[1]);
  const auto again = door.access.CreateToken(caller, wanted, 1h, "one").status();
  CHECK_THAT(again, StatusIs(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE"));
  CHECK(std::string(again.message()).find(made->first.id.value()) != std::string::npos);
  CHECK(ReasonOf(door.access.CreateToken(caller, wanted, 2h, "one").status()) ==
        "REQUEST_ID_REUSED");
  wanted.operations = {};
  CHECK(ReasonOf(door.access.CreateToken(caller, wanted, 1h, "one").status()) ==
        "REQUEST_ID_REUSED");
  CHECK_OK(door.access.CreateToken(caller, wanted, 1h, "two"));
  CHECK(door.logins.ListTokens(door.mei.id, door.clock.Wall(), {})->total == 2);
  CHECK_OK(door.Try(made->second));
}

// The ids of all pages of two, `between` being called after the first.
template <typename List, typename Between>
std::vector<std::string> Walk(const List& list, const Between& between) {
  std::vector<std::string> ids;
  store::PageRequest page{.size = 2};
  do {
    const auto listed = list(page);
    REQUIRE_OK(listed);
    CHECK(listed->objects.size() <= 2);
    for (const auto& object : listed->objects) ids.push_back(object.id.value());
    if (page.token.empty()) between();
    page.token = listed->next_page_token;
  } while (!page.token.empty());
  return ids;
}

TEST_CASE("Access: who walks the pages of logins meets each once, whatever comes and goes",
          "[db]") {
  Door door;
  std::vector<LoginId> made;
  for (int i = 0; i < 7; ++i) {
    // Two of each time.
    if (i % 2 == 0) door.clock.passed += 1min;
    made.push_back(door.Caller(door.LogIn().access).login);
  }
  const auto list = [&](const store::PageRequest& page) {
    return door.logins.LiveLogins(door.mei.id, door.clock.Wall(), page);
  };
  CHECK(list({})->total == 7);
  const auto met = Walk(list, [&] {
    door.clock.passed += 1min;
    (void)door.LogIn();
    REQUIRE_OK(door.logins.EndLogin(made[6], door.mei.id, "", AccessFarm::By("mei")));
    REQUIRE_OK(door.logins.EndLogin(made[0], door.mei.id, "", AccessFarm::By("mei")));
  });
  CHECK(met.size() == 6);
  CHECK(met.front() == made[6].value());
  const std::set<std::string> once(met.begin(), met.end());
  CHECK(once.size() == 6);
  for (int i = 1; i < 7; ++i) CHECK(once.contains(made[static_cast<std::size_t>(i)].value()));
  for (const char* token : {"x", "12", "-3:x", "99999999999999999999:x", "9000000000000000000:x"}) {
    CHECK_THAT(list({.size = 2, .token = token}).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
  }
}

TEST_CASE("Access: who walks the pages of API tokens meets each once, whatever comes and goes",
          "[db]") {
  Door door;
  const auto caller = door.Caller(door.LogIn().access);
  std::vector<ApiTokenId> made;
  const auto make = [&](Duration lifetime) {
    const auto token =
        door.access.CreateToken(caller, {.account = door.mei.id, .name = "ci"}, lifetime);
    REQUIRE_OK(token);
    made.push_back(token->first.id);
  };
  for (int i = 0; i < 3; ++i) make(1h);
  door.clock.passed += 1min;
  for (int i = 0; i < 3; ++i) make(i == 0 ? Duration(2min) : Duration(1h));
  REQUIRE_OK(door.access.RevokeToken(caller, made[4]));
  const auto list = [&](const store::PageRequest& page) {
    return door.logins.ListTokens(door.mei.id, door.clock.Wall(), page);
  };
  CHECK(list({})->total == 6);
  CHECK(list({})->objects.back().id == made[4]);
  const auto met = Walk(list, [&] {
    // One expires, one is revoked, and there is a newer one: none of them moves.
    door.clock.passed += 5min;
    REQUIRE_OK(door.access.RevokeToken(caller, made[1]));
    make(1h);
  });
  CHECK(met.size() == 6);
  CHECK(std::set(met.begin(), met.end()).size() == 6);
  CHECK(met.back() == made[4].value());
  CHECK_FALSE(std::set(met.begin(), met.end()).contains(made[6].value()));
  CHECK(list({})->total == 7);
  CHECK_THAT(list({.size = 2, .token = "1:1:1"}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
}

TEST_CASE("Access: nobody ends another's login or token, but an admin does", "[db]") {
  Door door;
  const auto mei = door.Caller(door.LogIn().access);
  door.farm.Add("li", AccountKind::kDeveloper, crypto::HashPassword(kPassword));
  const auto li = door.access.Login("li", kPassword, "", "10.0.0.2");
  REQUIRE_OK(li);
  const LoginId of_li = door.Caller(li->access).login;
  int changes = 0;
  const auto listening = door.access.OnChange([&] { ++changes; });
  CHECK(ReasonOf(door.access.EndLogin(mei, of_li)) == "NO_SUCH_LOGIN");
  CHECK(ReasonOf(door.access.RevokeToken(mei, ApiTokenId("none"))) == "NO_SUCH_TOKEN");
  CHECK(changes == 0);
  CHECK_OK(door.Try(li->access));
  const access::Caller root{.account = door.farm.root};
  CHECK_OK(door.access.EndLogin(root, of_li));
  CHECK(changes == 1);
  CHECK(ReasonOf(door.Try(li->access)) == "BAD_TOKEN");
}

TEST_CASE("Access: guessing gets slower by account and by address, and nobody is locked out",
          "[db]") {
  Door door({.by_account = {.free_tries = 1, .first = 10s},
             .by_address = {.free_tries = 3, .first = 10s}});
  (void)door.LogIn("10.0.0.1");  // where she usually is
  const auto guess = [&](const std::string& account, const std::string& address) {
    return ReasonOf(door.access.Login(account, "a wild guess", "", address).status());
  };
  CHECK(guess("mei", "6.6.6.6") == "BAD_LOGIN");
  CHECK(guess("mei", "6.6.6.7") == "BAD_LOGIN");
  CHECK(guess("MEI", "6.6.6.8") == "LOGIN_DELAYED");
  // The right password has to wait as well, elsewhere; at home it does not.
  CHECK(ReasonOf(door.access.Login("mei", kPassword, "", "6.6.6.9").status()) == "LOGIN_DELAYED");
  (void)door.LogIn("10.0.0.1");
  for (int i = 0; i < 4; ++i) CHECK(guess("nobody-" + std::to_string(i), "7.7.7.7") == "BAD_LOGIN");
  CHECK(guess("nobody-9", "7.7.7.7") == "LOGIN_DELAYED");
  door.clock.passed += 61s;
  CHECK(guess("nobody-9", "7.7.7.7") == "BAD_LOGIN");
}

TEST_CASE("Access: an error of the database is nobody's wrong password", "[db]") {
  Door door;
  for (int i = 0; i < 3; ++i) {
    CHECK(ReasonOf(door.access.Login("mei", "wrong wrong", "", "10.0.0.9").status()) ==
          "BAD_LOGIN");
  }
  REQUIRE_OK(RunSql(door.farm.url, "ALTER TABLE logins RENAME TO logins_away"));
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(door.access.Login("mei", kPassword, "", "10.0.0.9").ok());
  }
  REQUIRE_OK(RunSql(door.farm.url, "ALTER TABLE logins_away RENAME TO logins"));
  CHECK_OK(door.access.Login("mei", kPassword, "", "10.0.0.9"));
}

TEST_CASE("Access: a name is one name for the delay, however it is spelled", "[db]") {
  Door door({.by_account = {.free_tries = 1, .first = 10s}});
  const auto guess = [&](const std::string& account) {
    return ReasonOf(door.access.Login(account, "a wild guess", "", "6.6.6.6").status());
  };
  CHECK(guess("mei") == "BAD_LOGIN");
  CHECK(guess("ＭＥＩ") == "BAD_LOGIN");
  CHECK(guess("Meı") == "BAD_LOGIN");  // another letter, another name
  CHECK(guess("ｍeI") == "LOGIN_DELAYED");
  CHECK(guess(std::string(100'000, 'x')) == "BAD_LOGIN");
}

TEST_CASE("Access: who logs in while the password is changed has not logged in", "[db]") {
  Door door;
  const domain::Login login{.id = LoginId("login-late"),
                            .account = door.mei.id,
                            .created_at = door.clock.Wall(),
                            .refreshed_at = door.clock.Wall(),
                            .expires_at = door.clock.Wall() + 1h};
  const auto before = door.accounts.FindPassword("mei");
  REQUIRE_OK(before);
  REQUIRE_OK(
      door.accounts.SetPassword(door.mei.id, "new hash", "", LoginId(), AccessFarm::By("root")));
  CHECK_THAT(door.logins.AddLogin(login, before->second, AccessFarm::By("mei")),
             StatusIs(absl::StatusCode::kAborted));
  // Nor does an old password's holder set the next one.
  CHECK_THAT(door.accounts.SetPassword(door.mei.id, "thief's", before->second, LoginId(),
                                       AccessFarm::By("mei")),
             StatusIs(absl::StatusCode::kAborted));
  CHECK(door.accounts.FindPassword("mei")->second == "new hash");
}

TEST_CASE("Access: whoever listens hears of each change until it has had enough", "[db]") {
  Door door;
  int heard = 0;
  auto handle = door.access.OnChange([&] { ++heard; });
  door.access.Changed();
  CHECK(heard == 1);
  (void)door.access.Logout(door.Caller(door.LogIn().access), false);
  CHECK(heard == 2);
  handle.reset();
  door.access.Changed();
  CHECK(heard == 2);
}

}  // namespace
}  // namespace slipway::testing
