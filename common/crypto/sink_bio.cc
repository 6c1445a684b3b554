#include "common/crypto/sink_bio.h"

#include "common/base/check.h"

namespace slipway::crypto::internal {
namespace {

int Write(BIO* bio, const char* data, int size) {
  auto* output = static_cast<BioOutput*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!output->status.ok()) return -1;
  if (size <= 0) return 0;
  output->status = output->sink({data, static_cast<std::size_t>(size)});
  return output->status.ok() ? size : -1;
}

int Read(BIO* bio, char* data, int size) {
  auto* input = static_cast<BioInput*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!input->status.ok()) return -1;
  if (size <= 0) return 0;
  const auto n = input->read({data, static_cast<std::size_t>(size)});
  input->status = n.status();
  return n.ok() ? static_cast<int>(*n) : -1;
}

long Control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* NewMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "slipway");
  SLIPWAY_CHECK(method != nullptr);
  SLIPWAY_CHECK(BIO_meth_set_ctrl(method, Control) == 1);
  return method;
}

BioPtr NewBio(const BIO_METHOD* method, void* data) {
  BioPtr bio(BIO_new(method));
  SLIPWAY_CHECK(bio != nullptr);
  BIO_set_data(bio.get(), data);
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace

BioPtr OutputBio(BioOutput& output) {
  // Never freed: OpenSSL's objects may outlive what is static here.
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = NewMethod();
    SLIPWAY_CHECK(BIO_meth_set_write(method, Write) == 1);
    return method;
  }();
  return NewBio(kMethod, &output);
}

BioPtr InputBio(BioInput& input) {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = NewMethod();
    SLIPWAY_CHECK(BIO_meth_set_read(method, Read) == 1);
    return method;
  }();
  return NewBio(kMethod, &input);
}

}  // namespace slipway::crypto::internal
