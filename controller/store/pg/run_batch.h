#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/domain/task.h"
#include "controller/store/changes.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {

// New runs as the statement that stores them reads them: what many of a batch have in common is
// written once, because reading each of them whole is most of what storing one costs the server.
// Private to this library.
class RunBatch {
 public:
  // REQUIRES: IsStorable(change).
  void Add(const CreateRun& change);
  // JSON arrays of shapes of runs, of tasks and of targets in use, each with those that have it,
  // and last an array of scripts: what differs among them is in columns, arrays of PostgreSQL as
  // text. `place` is a task's place in the batch. REQUIRES: nothing is added afterwards.
  std::vector<std::string> TakeArguments();

 private:
  struct Shape {
    std::string common;  // a JSON object without its last brace
    std::vector<TextArrayWriter> columns;
  };
  class Shapes {
   public:
    // Adds a shape with so many columns when there is none like it.
    Shape& Of(std::string common, std::size_t columns);
    std::string Take(std::initializer_list<const char*> columns);

   private:
    std::vector<Shape> shapes_;
    std::unordered_map<std::string, std::size_t> numbers_;
  };
  void Add(const domain::Task& task);

  Shapes runs_;
  Shapes tasks_;
  Shapes targets_;
  boost::json::array scripts_;
  std::int64_t place_ = 0;
};

// False: a text in it holds a NUL byte or is no UTF-8, which PostgreSQL cannot store.
bool IsStorable(const CreateRun& change);

}  // namespace slipway::store::pg
