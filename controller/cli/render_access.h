#pragma once

#include <string>

#include "controller/cli/render.h"
#include "slipway/v1/access.pb.h"
#include "slipway/v1/session.pb.h"

// Accounts, logins and rights as people read them. Pure functions; every result ends with a
// newline.
namespace slipway::cli {

[[nodiscard]] std::string RenderAccounts(const v1::ListAccountsResponse& accounts,
                                         const View& view);
[[nodiscard]] std::string RenderAccount(const v1::Account& account, const View& view);
[[nodiscard]] std::string RenderSelf(const v1::Self& self, const View& view);
[[nodiscard]] std::string RenderLogins(const v1::ListLoginsResponse& logins, const View& view);
[[nodiscard]] std::string RenderApiTokens(const v1::ListApiTokensResponse& tokens,
                                          const View& view);
[[nodiscard]] std::string RenderGroups(const v1::ListGroupsResponse& groups, const View& view);
[[nodiscard]] std::string RenderGroup(const v1::AccountGroup& group, const View& view);
[[nodiscard]] std::string RenderGrants(const v1::ListGrantsResponse& grants, const View& view);

}  // namespace slipway::cli
