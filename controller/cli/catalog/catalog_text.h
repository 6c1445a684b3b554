#pragma once

#include <string>

#include "controller/cli/catalog/catalog.h"

// The catalog as the YAML that CatalogReader reads: one way to write each object, so that two that
// are the same are the same text. What the farm makes (etags, times, ids) is left out. Pure.
namespace slipway::cli::catalog {

// For people who compare, certificates may be told by their digest, which CatalogReader refuses.
enum class Certificates { kWritten, kDigest };

[[nodiscard]] std::string TextOf(const v1::Environment& environment);
[[nodiscard]] std::string TextOf(const v1::Target& target, Certificates certificates);
[[nodiscard]] std::string TextOf(const v1::Application& application);
// All documents, in the order in which they are applied.
[[nodiscard]] std::string TextOf(const Catalog& catalog);

}  // namespace slipway::cli::catalog
