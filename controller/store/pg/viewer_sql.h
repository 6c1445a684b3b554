#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "controller/store/pg/authority_check.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"
#include "controller/store/viewer.h"

// How lists are narrowed to what their viewer sees. Private to this library.
namespace slipway::store::pg {

// A condition on `app`, the id of an application; the others are the numbers of three parameters,
// which are those of ViewerArguments.
#define SLIPWAY_PG_VISIBLE(app, account, holdable, only)                                \
  " (" account "::text IS NULL OR " app                                                 \
  " IN (SELECT h.application_id FROM held_applications h WHERE h.account_id = " account \
  " AND h.application_id IS NOT NULL AND h.operations && " holdable                     \
  "::text[]) OR EXISTS (SELECT FROM held_applications h WHERE h.account_id = " account  \
  " AND h.application_id IS NULL AND h.operations && " holdable "::text[])) AND (" only \
  "::text[] = '{}' OR " app " = ANY (" only "::text[])) "

struct ViewerArguments {
  explicit ViewerArguments(const Viewer& viewer)
      : account(viewer.account ? viewer.account->value().c_str() : nullptr),
        holdable(OperationsArray(viewer.holdable)) {
    std::vector<std::string> ids;
    for (const ApplicationId& id : viewer.only) ids.push_back(id.value());
    only = TextArray(ids);
  }
  const char* account;  // into the viewer
  std::string holdable;
  std::string only;
};

// The applications that the viewer sees, of which only `application` counts when there is one: a
// value of the type text[] as its text. nullopt: all there are. For lists of what belongs to
// applications, whose statements begin with these. Throws.
std::optional<std::string> SeenApplications(Transaction& transaction, const Viewer& viewer,
                                            const std::optional<ApplicationId>& application);
constexpr std::string_view kNoApplications = "{}";

}  // namespace slipway::store::pg
