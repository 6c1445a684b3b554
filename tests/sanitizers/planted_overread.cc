// One byte more than there is.
#include <memory>
#include <string_view>

#include "common/mask/secret_forms.h"

int main() {
  constexpr std::size_t kSize = 16;
  const auto bytes = std::make_unique<char[]>(kSize);
  return slipway::mask::SecretForms(std::string_view(bytes.get(), kSize + 1)).empty() ? 1 : 0;
}
