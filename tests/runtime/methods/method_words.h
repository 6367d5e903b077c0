#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <variant>

#include "runtime/methods/method.h"

// What methods make of what they are told, as text that reads like the papers.

namespace tardigrad::testing {

struct InWords {
  std::ostream& out;
  void operator()(const FoldRow& fold) const {
    out << (fold.update_mean ? " fold " : " lazily fold ") << (fold.table == Table::next ? "next " : "")
        << fold.worker << "*" << fold.weight;
  }
  void operator()(const AverageRows&) const { out << " average"; }
  void operator()(const CountRow& row) const {
    if (row.update_mean) {
      out << (row.counts ? " enter " : " leave ") << row.worker;
    } else {
      out << (row.counts ? " count " : " skip ") << row.worker;
    }
  }
  void operator()(const Correct& correct) const {
    out << (correct.restart ? " restart by " : " correct ") << correct.worker << "*" << correct.weight;
    if (correct.keep) out << " keeping " << *correct.keep;
    if (correct.kept) out << " kept " << *correct.kept;
  }
  void operator()(const ScaleMean& scale) const { out << " scale " << scale.factor; }
  void operator()(const SwapTables&) const { out << " swap"; }
  void operator()(const Accumulate& add) const { out << (add.restart ? " restart+" : " add ") << add.weight; }
  void operator()(const Step& step) const { out << " step*" << step.scale; }
  void operator()(const HandOver& hand_over) const { out << " hand " << hand_over.worker; }
  void operator()(const Discard& discard) const { out << " discard " << discard.worker; }
};

/// Actions as text: " fold 2*1 step*1 hand 2".
inline std::string text(const Actions& actions) {
  std::ostringstream out;
  for (const Action& action : actions) std::visit(InWords{out}, action);
  return out.str();
}

inline std::string start(Method& method) {
  Actions actions;
  method.start(actions);
  return text(actions);
}

inline std::unique_ptr<Method> started(const char* name, const MethodOptions& options) {
  auto method = make_method(name, options);
  start(*method);
  return method;
}

inline std::string arrive(Method& method, const Arrival& arrival) {
  Actions actions;
  method.arrive(arrival, actions);
  return text(actions);
}

inline std::string arrive(Method& method, int worker) { return arrive(method, Arrival{.worker = worker}); }

inline std::string lose(Method& method, int worker) {
  Actions actions;
  method.lose(worker, actions);
  return text(actions);
}

inline std::string regain(Method& method, int worker) {
  Actions actions;
  method.regain(worker, actions);
  return text(actions);
}

}  // namespace tardigrad::testing
