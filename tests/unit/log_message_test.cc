#include "controller/api/log_message.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

using slipway::testing::StatusIs;

v1::ReadLogResponse Parse(const grpc::ByteBuffer& message) {
  grpc::ByteBuffer bytes = message;
  v1::ReadLogResponse response;
  REQUIRE(grpc::SerializationTraits<v1::ReadLogResponse>::Deserialize(&bytes, &response).ok());
  return response;
}

TEST_CASE("ReadLog messages: a message made around bytes reads as the one protobuf makes",
          "[unit]") {
  for (const std::size_t size : {1UL, 127UL, 128UL, 16'383UL, 16'384UL, 65'536UL, 3'000'000UL}) {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
      CAPTURE(size, offset);
      const auto data = std::make_shared<const std::string>(size, '\xff');
      const v1::ReadLogResponse response = Parse(ToMessage(offset, Attempt(300), *data, data));
      CHECK(response.offset() == offset);
      CHECK(response.attempt() == 300);
      CHECK(response.data() == *data);
      CHECK_FALSE(response.complete());
    }
  }
  v1::ReadLogResponse last;
  last.set_offset(7);
  last.set_complete(true);
  CHECK(Parse(ToMessage(last)).SerializeAsString() == last.SerializeAsString());
}

TEST_CASE("ReadLog messages: bytes are held while a message refers to them, and not copied",
          "[unit]") {
  auto data = std::make_shared<const std::string>(100'000, 'x');
  const std::weak_ptr<const std::string> held = data;
  const char* const at = data->data();
  {
    const grpc::ByteBuffer message = ToMessage(0, Attempt(1), *data, data);
    const grpc::ByteBuffer another = message;
    data.reset();
    std::vector<grpc::Slice> slices;
    REQUIRE(another.Dump(&slices).ok());
    REQUIRE(slices.size() == 2);
    CHECK(reinterpret_cast<const char*>(slices[1].begin()) == at);
    CHECK_FALSE(held.expired());
  }
  CHECK(held.expired());
}

TEST_CASE("ReadLog messages: what is no request is refused", "[unit]") {
  v1::ReadLogRequest request;
  request.set_task("task-a");
  request.set_offset(9);
  const grpc::Slice good(request.SerializeAsString());
  const auto parsed = ParseReadLogRequest(grpc::ByteBuffer(&good, 1));
  REQUIRE_OK(parsed);
  CHECK(parsed->SerializeAsString() == request.SerializeAsString());
  const grpc::Slice empty;
  CHECK_OK(ParseReadLogRequest(grpc::ByteBuffer(&empty, 1)));
  const grpc::Slice bad(std::string("\x0a\xffnot that long"));
  CHECK_THAT(ParseReadLogRequest(grpc::ByteBuffer(&bad, 1)).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

}  // namespace
}  // namespace slipway::api
