#pragma once

#include <cstddef>
#include <cstdint>

// What a fuzz target defines: checks its property for one input and aborts when it does not hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
