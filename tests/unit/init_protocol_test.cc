#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <variant>

#include "agent/init/protocol.h"

namespace slipway::init {
namespace {

std::string Body(const std::string& frame) { return frame.substr(4); }

StepResult SomeResult() {
  StepResult r;
  r.step = 3;
  r.reason = StopReason::kRunTimeout;
  r.exit_code = -1;
  r.signal = 9;
  r.error = "execve: Permission denied";
  r.spool_begin = 10;
  r.spool_end = (std::uint64_t{1} << 40) + 7;
  r.user_us = 1;
  r.system_us = 2;
  r.max_rss_kib = 3;
  r.start_unix_us = 1'700'000'000'000'000;
  r.end_unix_us = r.start_unix_us + 5;
  r.oom = OomState::kYes;
  r.left_processes = true;
  return r;
}

StepSpec SomeSpec() {
  StepSpec s;
  s.step = 1;
  s.argv = {"/bin/sh", "-c", std::string("a\0b", 3)};
  s.env = {"A=1", "B="};
  s.cwd = "/workspace";
  s.uid = 4294967294U;
  s.gid = 7;
  s.run_timeout = Millis(3'600'000);
  s.no_output_timeout = Millis(60'000);
  s.term_grace = Millis(1);
  s.drain_time = Millis(2);
  s.max_file_size = 1ULL << 33;
  return s;
}

TEST_CASE("init frames: a step and a result survive the trip unchanged", "[unit][init]") {
  const auto decoded = DecodeCommand(Body(Encode(77, RunStep{SomeSpec()})));
  REQUIRE(decoded.has_value());
  CHECK(decoded->request == 77);
  REQUIRE(decoded->command.has_value());
  CHECK(std::get<RunStep>(*decoded->command).spec == SomeSpec());

  Hello hello;
  hello.state = RunState::kEnding;
  hello.spool_end = 99;
  hello.results = {SomeResult(), SomeResult()};
  const auto event = DecodeEvent(Body(Encode(Event(hello))));
  REQUIRE(std::holds_alternative<Event>(event));
  const auto& back = std::get<Hello>(std::get<Event>(event));
  CHECK(back.state == RunState::kEnding);
  CHECK(back.spool_end == 99);
  CHECK(back.results == hello.results);

  CHECK(DecodeResultFile(EncodeResultFile(SomeResult())) == SomeResult());
}

TEST_CASE("init frames: a latest start is sent only where there is one", "[unit][init]") {
  StepSpec spec = SomeSpec();
  const std::string without = Body(Encode(1, RunStep{spec}));
  spec.start_before_ns = 1'234'567'890'123;
  const std::string with = Body(Encode(1, RunStep{spec}));
  // What an init of before this field reads.
  CHECK(with.substr(0, without.size()) == without);
  const auto decoded = DecodeCommand(with);
  REQUIRE(decoded.has_value());
  CHECK(std::get<RunStep>(*decoded->command).spec == spec);
  CHECK_FALSE(DecodeCommand(with.substr(0, with.size() - 1)).has_value());
  CHECK_FALSE(DecodeCommand(without + std::string(8, '\0')).has_value());
  CHECK_FALSE(DecodeCommand(without + std::string(8, '\xff')).has_value());

  StepResult late = SomeResult();
  late.reason = StopReason::kTooLate;
  CHECK(DecodeResultFile(EncodeResultFile(late)) == late);
  CHECK(ToString(late.reason) == "too_late");
}

TEST_CASE("init frames: a text goes in and comes back masked", "[unit][init]") {
  const auto asked = DecodeCommand(Body(Encode(9, MaskText{"a secret"})));
  REQUIRE(asked.has_value());
  CHECK(std::get<MaskText>(*asked->command).bytes == "a secret");
  const auto told = DecodeEvent(Body(Encode(Event(Masked{9, "a ***"}))));
  REQUIRE(std::holds_alternative<Event>(told));
  CHECK(std::get<Masked>(std::get<Event>(told)).request == 9);
  CHECK(std::get<Masked>(std::get<Event>(told)).bytes == "a ***");
}

TEST_CASE("init frames: the bytes of version 1 do not change", "[unit][init]") {
  CHECK(Encode(1, SetDurable{0x0102030405060708ULL}) ==
        std::string("\x0d\0\0\0\x06\x01\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01", 17));
  CHECK(Encode(Event(Ack{2, AckCode::kBusy, "no"})) ==
        std::string("\x0c\0\0\0\x42\x02\0\0\0\x02\x02\0\0\0no", 16));
}

TEST_CASE("init frames: every cut and every extra byte is refused", "[unit][init]") {
  const std::string command = Body(Encode(1, RunStep{SomeSpec()}));
  for (std::size_t n = 5; n < command.size(); ++n) {
    INFO(n);
    CHECK_FALSE(DecodeCommand(command.substr(0, n)).has_value());
  }
  CHECK_FALSE(DecodeCommand(command + "x").has_value());
  CHECK_FALSE(DecodeCommand("").has_value());

  const std::string event = Body(Encode(Event(StepExited{SomeResult()})));
  for (std::size_t n = 0; n < event.size(); ++n) {
    INFO(n);
    const auto decoded = DecodeEvent(event.substr(0, n));
    REQUIRE(std::holds_alternative<DecodeError>(decoded));
    CHECK(std::get<DecodeError>(decoded) == DecodeError::kMalformed);
  }
  const std::string file = EncodeResultFile(SomeResult());
  for (std::size_t n = 0; n < file.size(); ++n) {
    CHECK_FALSE(DecodeResultFile(file.substr(0, n)).has_value());
  }
  CHECK_FALSE(DecodeResultFile(file + std::string(kMaxResultFile, 'x')).has_value());
}

TEST_CASE("init frames: a huge count takes no memory", "[unit][init]") {
  const std::string body = std::string("\x02\x01\0\0\0", 5) + "\xff\xff\xff\xff";
  CHECK_FALSE(DecodeCommand(body).has_value());
}

TEST_CASE("init frames: unknown types are told apart from broken ones", "[unit][init]") {
  const auto command = DecodeCommand(std::string("\x63\x09\0\0\0rest", 9));
  REQUIRE(command.has_value());
  CHECK(command->request == 9);
  CHECK_FALSE(command->command.has_value());

  const auto event = DecodeEvent("\x7frest");
  REQUIRE(std::holds_alternative<DecodeError>(event));
  CHECK(std::get<DecodeError>(event) == DecodeError::kUnknownType);

  // Bytes that are reserved say nothing, so whatever lies there is no error.
  std::string reserved = Body(Encode(Event(StepExited{SomeResult()})));
  const std::size_t at = reserved.rfind(std::string(32, '\0'));
  REQUIRE(at != std::string::npos);
  reserved.replace(at, 32, 32, '\xab');
  const auto ignored = DecodeEvent(reserved);
  REQUIRE(std::holds_alternative<Event>(ignored));
  CHECK(std::get<StepExited>(std::get<Event>(ignored)).result == SomeResult());

  std::string bad_reason = Body(Encode(Event(StepExited{SomeResult()})));
  bad_reason[5] = 99;
  CHECK(std::holds_alternative<DecodeError>(DecodeEvent(bad_reason)));
}

TEST_CASE("init frames: random bytes never crash a decoder", "[unit][init]") {
  std::mt19937 random(20240607);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    if (!bytes.empty()) bytes[0] = static_cast<char>((round % 2 != 0 ? 65 : 1) + random() % 9);
    (void)DecodeCommand(bytes);
    (void)DecodeEvent(bytes);
    (void)DecodeResultFile("SLWR" + std::string("\x01\0\0\0", 4) + bytes);
  }
}

TEST_CASE("FrameBuffer: frames come out whole however the stream is cut", "[unit][init]") {
  const std::string stream = Encode(1, GetStatus{}) + Encode(2, SetBudget{5}) +
                             Encode(3, AppendLog{std::string(3000, 'x')});
  for (std::size_t piece = 1; piece < 50; ++piece) {
    FrameBuffer buffer;
    std::vector<RequestId> seen;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      buffer.Append(std::string_view(stream).substr(at, piece));
      while (auto frame = buffer.Next()) seen.push_back(DecodeCommand(*frame)->request);
    }
    CHECK(seen == std::vector<RequestId>{1, 2, 3});
  }
}

TEST_CASE("FrameBuffer: an empty or oversized length ends the stream", "[unit][init]") {
  for (const std::string& head :
       {std::string(4, '\0'), std::string("\x01\0\x10\0", 4), std::string(4, '\xff')}) {
    FrameBuffer buffer;
    buffer.Append(head);
    CHECK_FALSE(buffer.Next().has_value());
    CHECK(buffer.broken());
    buffer.Append(Encode(1, GetStatus{}));
    CHECK_FALSE(buffer.Next().has_value());
  }
}

}  // namespace
}  // namespace slipway::init
