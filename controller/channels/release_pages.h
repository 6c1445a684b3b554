#pragma once

#include <memory>

#include "common/base/time.h"
#include "controller/channels/package_folder.h"
#include "controller/gateway/linked_pages.h"
#include "controller/store/release_page_store.h"
#include "controller/store/run_reader.h"

namespace slipway::channels {

// The pages of products as HTTP serves them: "/p/<token>", and below it "file"; and
// "/r/<release>?…", to which the codes of releases lead.
struct ReleasePagesDeps {
  store::ReleasePageStore& pages;
  store::RunReader& reader;
  const PackageFolder& packages;
  const Clock& clock;
  std::string public_url;
};
// What is in `deps` must outlive it.
[[nodiscard]] std::shared_ptr<gateway::LinkedPages> NewReleasePages(const ReleasePagesDeps& deps);

}  // namespace slipway::channels
