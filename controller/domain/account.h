#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"

// People and machines, and what they were granted. Values only.
namespace slipway::domain {

// What an account is at most allowed; docs/access.md has the table.
enum class AccountKind { kDeveloper = 1, kMember = 2, kOperator = 3, kAdmin = 4, kService = 5 };

enum class AccountState { kActive = 1, kDisabled = 2, kDeleted = 3 };

// What may be done with an application.
enum class Operation {
  kView = 1,
  kRunScript = 2,
  kPackage = 3,
  kPreview = 4,
  kPublish = 5,
  kApprove = 6,
  kDeploy = 7,
  kManage = 8,
};
inline constexpr int kOperationCount = 8;

// "developer", "run_script" and so on, as the database and the audit trail have them.
std::string_view AccountKindName(AccountKind kind);
std::string_view AccountStateName(AccountState state);
std::string_view OperationName(Operation operation);
// nullopt: nothing has this name.
std::optional<AccountKind> ParseAccountKind(std::string_view name);
std::optional<AccountState> ParseAccountState(std::string_view name);
std::optional<Operation> ParseOperation(std::string_view name);

// A set of operations.
class Operations {
 public:
  constexpr Operations() = default;
  constexpr Operations(std::initializer_list<Operation> operations) {
    for (const Operation operation : operations) Add(operation);
  }
  static constexpr Operations All() {
    Operations all;
    for (int i = 1; i <= kOperationCount; ++i) all.Add(static_cast<Operation>(i));
    return all;
  }

  constexpr void Add(Operation operation) { bits_ |= Bit(operation); }
  constexpr void Remove(Operation operation) { bits_ &= ~Bit(operation); }
  [[nodiscard]] constexpr bool Has(Operation operation) const {
    return (bits_ & Bit(operation)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  // In the order of the enumeration.
  [[nodiscard]] std::vector<Operation> List() const;

  friend constexpr Operations operator&(Operations a, Operations b) {
    return Operations(a.bits_ & b.bits_);
  }
  friend constexpr Operations operator|(Operations a, Operations b) {
    return Operations(a.bits_ | b.bits_);
  }
  friend constexpr Operations operator-(Operations a, Operations b) {
    return Operations(a.bits_ & ~b.bits_);
  }
  friend constexpr bool operator==(Operations, Operations) = default;

 private:
  constexpr explicit Operations(std::uint32_t bits) : bits_(bits) {}
  static constexpr std::uint32_t Bit(Operation operation) {
    return 1U << static_cast<std::uint32_t>(operation);
  }
  std::uint32_t bits_ = 0;
};

struct Profile {
  std::string full_name;
  std::string department;
  std::string post;
  std::string employee_number;
  std::string email;
  friend bool operator==(const Profile&, const Profile&) = default;
};

struct Account {
  AccountId id{};
  std::string name{};  // unique whatever the case and width; never changes
  AccountKind kind = AccountKind::kMember;
  AccountState state = AccountState::kActive;
  Profile profile{};
  WallTime created_at{};
  std::string created_by{};
  // Rises whenever all its logins are ended at once.
  std::int64_t epoch = 1;
  // Rises with every change that people see.
  std::int64_t revision = 1;
  std::vector<std::string> groups{};  // by name
};

struct AccountGroup {
  GroupId id;
  std::string name{};
  std::string description{};
  std::vector<std::string> members{};  // names of accounts, sorted
  std::int64_t revision = 1;
};

// What one subject may do with one application or with all.
struct Grant {
  ApplicationId application;  // empty: all
  Operations operations;
  std::string environment;  // of previews, publishes, approvals and deploys; empty: all
  std::string pages;        // of deploys: this path and what is below; empty: all
  friend bool operator==(const Grant&, const Grant&) = default;
};

// A person's session: from a login until logout, expiry or the end of the account.
struct Login {
  LoginId id{};
  AccountId account{};
  std::int64_t epoch = 1;       // of the account when it began
  std::int64_t generation = 1;  // of its refresh token
  WallTime created_at{};
  WallTime refreshed_at{};
  WallTime expires_at{};
  std::string address{};
  std::string client{};
};

// A machine's token; only the hash of its secret is stored.
struct ApiToken {
  ApiTokenId id{};
  AccountId account{};
  std::string name{};
  Operations operations{};                    // empty: all
  std::vector<ApplicationId> applications{};  // empty: all
  WallTime created_at{};
  WallTime expires_at{};    // epoch 0: never
  WallTime last_used_at{};  // epoch 0: never
  WallTime revoked_at{};    // epoch 0: it is not
  [[nodiscard]] bool narrowed() const { return !operations.empty() || !applications.empty(); }
};

}  // namespace slipway::domain
