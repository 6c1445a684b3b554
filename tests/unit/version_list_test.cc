#include "controller/api/version_list.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

git::Version Tag(const std::string& name) {
  git::Version version;
  version.name = name;
  version.is_tag = true;
  version.commit.commit = std::string(40, 'a');
  return version;
}

TEST_CASE("PageOf: goes on behind a name of any length that git keeps", "[unit]") {
  std::string longest = "refs";
  while (longest.size() + 201 < 4096) longest += "/" + std::string(200, 'x');
  git::VersionList list;
  list.versions = {Tag(longest), Tag("v1")};
  v1::ListVersionsRequest request;
  request.set_page_size(1);
  const auto first = PageOf(list, request);
  REQUIRE_OK(first);
  REQUIRE_FALSE(first->next_page_token.empty());
  request.set_page_token(first->next_page_token);
  const auto second = PageOf(list, request);
  REQUIRE_OK(second);
  REQUIRE(second->versions.size() == 1);
  CHECK(second->versions[0]->name == "v1");
  CHECK(second->next_page_token.empty());
  CHECK(second->total == 2);
}

}  // namespace
}  // namespace slipway::api
