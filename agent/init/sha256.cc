#define OPENSSL_SUPPRESS_DEPRECATED
#include "agent/init/sha256.h"

#include <openssl/sha.h>

namespace slipway::init {

struct RunningSha256::State {
  SHA256_CTX context;
};

RunningSha256::RunningSha256() : state_(std::make_unique<State>()) {
  SHA256_Init(&state_->context);
}
RunningSha256::~RunningSha256() = default;

void RunningSha256::Update(std::string_view bytes) {
  SHA256_Update(&state_->context, bytes.data(), bytes.size());
}

std::array<std::uint8_t, 32> RunningSha256::Value() const {
  SHA256_CTX copy = state_->context;
  std::array<std::uint8_t, 32> value{};
  SHA256_Final(value.data(), &copy);
  return value;
}

}  // namespace slipway::init
