#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "common/base/digest.h"
#include "common/base/time.h"

namespace slipway::runner {

// What a task asks of an agent: slipway.v1.TaskSpec as values.
// A script that somebody brought, instead of the one of slipway.yaml.
struct BroughtScript {
  std::string name;  // of its file: any but ".", ".." and with '/'
  std::string bytes;
};

struct BuildWork {
  std::string repository;
  std::string ref;
  // The platform must name a credential file that exists in the commit.
  bool publish_follows = false;
  // The controller has a credential for the repository, to be asked for.
  bool private_repository = false;
  // As submitted, unchecked: name → value.
  std::map<std::string, std::string> parameters{};
  // Run instead of the commit's own; nothing is archived then.
  std::optional<BroughtScript> script{};
  // It begins with empty caches; those that it leaves take the place of the kept ones.
  bool no_caches = false;
};

struct PublishWork {
  Sha256Digest manifest;
  std::string app_id;
  std::string image;
  std::string proxy;   // URL; empty: direct
  std::string ca_pem;  // empty: the host's certificates only
  std::string network;
  std::string mode;
  std::map<std::string, std::string> options;
  Duration deadline{};
  std::string commit;
  // Nothing is fetched or sent: the platform is asked what became of this publish.
  bool probe = false;

  // A test package instead of a publish: may be made again however often.
  [[nodiscard]] bool preview() const { return !probe && mode == "preview"; }
};

struct TaskSpec {
  std::string application;
  std::string application_name;
  std::string platform;
  std::string version;
  std::string description;
  std::variant<BuildWork, PublishWork> work;
};

}  // namespace slipway::runner
