#include "data/formats/pickle.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <stdexcept>

#include "data/formats/byte_reader.h"

namespace tardigrad::data {
namespace {

constexpr std::size_t most_values = 50'000'000;

}  // namespace

/// Follows the operations of a pickle (Lib/pickletools.py of Python lists them) on a stack of values.
class PickleReader {
 public:
  PickleReader(Pickle& pickle, std::string path)
      : pickle_(pickle), path_(std::move(path)), left_(pickle.file_) {}

  const PickleValue* read() {
    if (take_byte() != 0x80 || take_byte() > 5) refuse("no pickle, expected one of protocol 2 to 5");
    while (true) {
      const std::uint8_t operation = take_byte();
      if (operation == '.') return pop();
      follow(operation);
    }
  }

 private:
  using Kind = PickleValue::Kind;

  void follow(std::uint8_t operation) {
    if (make_plain(operation) || change_container(operation) || remember(operation)) return;
    switch (operation) {
      case 'c': {
        take_line();
        push({.kind = Kind::function, .text = take_line()});
        return;
      }
      case 0x93: {  // the module and the name stand on the stack
        const PickleValue* const name = pop();
        pop();
        push({.kind = Kind::function, .text = name->text});
        return;
      }
      case 0x81:  // NEWOBJ
      case 'R': {
        const PickleValue* const arguments = pop();
        const PickleValue* const function = pop();
        push({.kind = Kind::object, .members = {function, arguments}});
        return;
      }
      case 'b': {
        const PickleValue* const state = pop();
        top(Kind::object).members.push_back(state);
        return;
      }
      case 0x95:  // the length of what follows
        take(8);
        return;
      default:
        refuse(fmt::format("operation 0x{:02x} in a pickle, expected plain objects", operation));
    }
  }

  bool make_plain(std::uint8_t operation) {
    switch (operation) {
      case 'N':
        return push({.kind = Kind::none});
      case 0x88:
      case 0x89:
        return push({.kind = Kind::number, .number = operation == 0x88 ? 1 : 0});
      case 'K':
        return push({.kind = Kind::number, .number = take_byte()});
      case 'M':
        return push({.kind = Kind::number, .number = static_cast<std::int64_t>(take_number(2))});
      case 'J':
        return push({.kind = Kind::number,
                     .number = std::bit_cast<std::int32_t>(static_cast<std::uint32_t>(take_number(4)))});
      case 0x8a: {
        const std::size_t bytes = take_byte();
        if (bytes > 8) refuse("a number of more than 8 bytes");
        return push({.kind = Kind::number, .number = static_cast<std::int64_t>(take_number(bytes))});
      }
      case 'U':
      case 'C':
      case 0x8c:
        return push({.kind = Kind::text, .text = take(take_byte())});
      case 'T':
      case 'X':
      case 'B':
        return push({.kind = Kind::text, .text = take(take_number(4))});
      case 0x8d:
      case 0x8e:
        return push({.kind = Kind::text, .text = take(take_number(8))});
      default:
        return false;
    }
  }

  bool change_container(std::uint8_t operation) {
    switch (operation) {
      case '}':
        return push({.kind = Kind::dictionary});
      case ']':
        return push({.kind = Kind::list});
      case ')':
        return push({.kind = Kind::tuple});
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case 'a':
        append(Kind::list, pop_last(1));
        return true;
      case 'e':
        append(Kind::list, pop_marked());
        return true;
      case 's':
        append(Kind::dictionary, pop_last(2));
        return true;
      case 'u':
        append(Kind::dictionary, pop_marked());
        return true;
      case 't':
        return push_tuple(pop_marked());
      case 0x85:
      case 0x86:
      case 0x87:
        return push_tuple(pop_last(operation - std::size_t{0x84}));
      default:
        return false;
    }
  }

  bool remember(std::uint8_t operation) {
    switch (operation) {
      case 'q':
        memo_[take_byte()] = last();
        return true;
      case 'r':
        memo_[take_number(4)] = last();
        return true;
      case 0x94:
        memo_[memo_.size()] = last();
        return true;
      case 'h':
        recall(take_byte());
        return true;
      case 'j':
        recall(take_number(4));
        return true;
      default:
        return false;
    }
  }

  void recall(std::uint64_t number) {
    const auto found = memo_.find(number);
    if (found == memo_.end()) refuse("a pickle that recalls what it has not, expected a whole one");
    stack_.push_back(found->second);
  }

  void append(Kind kind, const std::vector<PickleValue*>& members) {
    PickleValue& container = top(kind);
    container.members.insert(container.members.end(), members.begin(), members.end());
  }

  bool push(PickleValue value) {
    if (pickle_.values_.size() == most_values) refuse("more values than any data set has");
    stack_.push_back(&pickle_.values_.emplace_back(std::move(value)));
    return true;
  }

  bool push_tuple(const std::vector<PickleValue*>& members) {
    return push({.kind = Kind::tuple, .members = {members.begin(), members.end()}});
  }

  PickleValue* last() {
    if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back())) {
      refuse("a pickle that takes what is not there, expected a whole one");
    }
    return stack_.back();
  }

  PickleValue* pop() {
    PickleValue* const value = last();
    stack_.pop_back();
    return value;
  }

  PickleValue& top(Kind kind) {
    PickleValue* const value = last();
    if (value->kind != kind) refuse("a pickle that fills what is no container, expected plain objects");
    return *value;
  }

  std::vector<PickleValue*> pop_last(std::size_t count) {
    std::vector<PickleValue*> values(count);
    for (std::size_t i = count; i-- > 0;) values[i] = pop();
    return values;
  }

  std::vector<PickleValue*> pop_marked() {
    if (marks_.empty() || marks_.back() > stack_.size()) {
      refuse("a pickle without a mark, expected a whole one");
    }
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue*> values(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return values;
  }

  std::string_view take(std::uint64_t count) {
    if (count > left_.size()) refuse("it is cut short, expected a whole pickle");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  std::uint8_t take_byte() { return static_cast<std::uint8_t>(take(1).front()); }

  std::uint64_t take_number(std::size_t bytes) {
    const std::string_view digits = take(bytes);
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      number |= std::uint64_t{static_cast<std::uint8_t>(digits[i])} << 8 * i;
    }
    return number;
  }

  std::string_view take_line() {
    const std::size_t end = left_.find('\n');
    if (end == left_.npos) refuse("it is cut short, expected a whole pickle");
    const std::string_view line = take(end);
    take(1);
    return line;
  }

  [[noreturn]] void refuse(const std::string& reason) const {
    throw std::invalid_argument(fmt::format("{}: {}", path_, reason));
  }

  Pickle& pickle_;
  std::string path_;
  std::string_view left_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, PickleValue*> memo_;
};

const PickleValue* PickleValue::at(std::string_view key) const {
  if (kind != Kind::dictionary) return nullptr;
  for (std::size_t i = 0; i + 1 < members.size(); i += 2) {
    if (members[i]->kind == Kind::text && members[i]->text == key) return members[i + 1];
  }
  return nullptr;
}

Pickle::Pickle(const std::filesystem::path& path) : file_(read_text(path)) {
  value_ = PickleReader(*this, path.string()).read();
}

}  // namespace tardigrad::data
