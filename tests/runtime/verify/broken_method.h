#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "runtime/methods/method.h"

// Methods whose decisions are spoiled, and ways to spoil them.

namespace tardigrad::testing {

/// Spoils what a method decides, of the call of that number (0: start).
class Broken final : public Method {
 public:
  using Spoil = std::function<void(Actions&)>;

  Broken(std::unique_ptr<Method> method, int call, Spoil spoil)
      : method_(std::move(method)), call_(call), spoil_(std::move(spoil)) {}

  ServerMemory memory() const override { return method_->memory(); }
  void start(Actions& actions) override {
    method_->start(actions);
    spoil(actions);
  }
  void arrive(const Arrival& arrival, Actions& actions) override {
    method_->arrive(arrival, actions);
    spoil(actions);
  }
  void lose(int worker, Actions& actions) override {
    method_->lose(worker, actions);
    spoil(actions);
  }
  void regain(int worker, Actions& actions) override {
    method_->regain(worker, actions);
    spoil(actions);
  }

 private:
  void spoil(Actions& actions) {
    if (calls_++ >= call_) spoil_(actions);
  }

  std::unique_ptr<Method> method_;
  int call_;
  int calls_ = 0;
  Spoil spoil_;
};

template <typename Kind>
void remove(Actions& actions) {
  std::erase_if(actions, [](const Action& action) { return std::holds_alternative<Kind>(action); });
}

template <typename Kind>
void change(Actions& actions, const std::function<void(Kind&)>& how) {
  for (Action& action : actions) {
    if (auto* one = std::get_if<Kind>(&action)) how(*one);
  }
}

template <typename Kind>
void move_to_front(Actions& actions) {
  std::ranges::stable_partition(actions,
                                [](const Action& action) { return std::holds_alternative<Kind>(action); });
}

inline Broken::Spoil adding(const Action& action) {
  return [action](Actions& actions) { actions.push_back(action); };
}

}  // namespace tardigrad::testing
