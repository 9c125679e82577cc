// The firms of a day, and their reverse: L neighbours among all (firm, member) at a time, as no firm needs another here.
#pragma once
#include "day.hpp"
#include "lanes.hpp"

namespace {

constexpr int64_t ABREAST = 256;  // numbers of each kind that are at hand at a time

// A number of the model for all (firm, member) of some firms: as it lies, or spread out.
template <class T> struct Spread {
  Room<T> room;
  const T *at = nullptr, *shared = nullptr;  // `shared`: by all firms, and spread out already
  int64_t size = 0;
  void of(const Number<T>& number, int64_t firm, int64_t firms, int64_t members) {
    if (!number.at) { at = nullptr; return; }
    if (number.firm == members && (number.member || members == 1)) { at = number.at + firm * members; return; }
    if (shared == number.at && size >= firms * members) return;
    T* to = room.of(firms * members);
    at = to, shared = number.firm ? nullptr : number.at, size = firms * members;
    for (int64_t i = 0; i < firms; i++, to += members) {
      const T* from = number.at + (firm + i) * number.firm;
      if (number.member) memcpy(to, from, members * sizeof(T));
      else for (int64_t m = 0; m < members; m++) to[m] = *from;
    }
  }
};
template <class T> struct Numbers {
  Spread<T> output, productivity, final_demand, capacity, enough, hiring, firing;
  void of(const Day<T>& day, int64_t firm, int64_t firms) {
    const int64_t M = day.members;
    output.of({day.output, 1, 0}, firm, firms, M), productivity.of(day.productivity, firm, firms, M);
    final_demand.of(day.final_demand, firm, firms, M), capacity.of(day.capacity, firm, firms, M);
    enough.of(day.enough, firm, firms, M), hiring.of(day.hiring, firm, firms, M), firing.of(day.firing, firm, firms, M);
  }
};

template <class T, int L> struct Firms {
  typedef Row<T, L> R;
  R output, productivity, final_demand, capacity, received, cover, level;
  R demand, inputs, most, limit, made, fill, consumed, activity, pressure, potential;
  INLINE Firms(const Day<T>& day, const Numbers<T>& of, int64_t k /* among those at hand */, int64_t at /* among all */) {
    output = R::load(of.output.at + k), productivity = R::load(of.productivity.at + k);
    final_demand = R::load(of.final_demand.at + k), capacity = R::load(of.capacity.at + k);
    received = R::load(day.received + at), cover = R::load(day.cover + at);
    demand = received + final_demand;
    inputs = of.enough.at ? cover / R::load(of.enough.at + k) : cover;
    most = productivity * capacity;
    if (day.rule == LITERAL) most = productivity * if_less(inputs, R(std::numeric_limits<T>::infinity()), inputs, capacity);
    if (day.rule == HIRING) level = R::load(day.level + at), most = least(level, most);
    limit = least(inputs, most);
    made = least(demand, limit * output);
    activity = safe_ratio(made, output), pressure = safe_ratio(demand, output), potential = least(pressure, most);
    if (day.rationing == PROPORTIONAL) {
      fill = safe_ratio(made, demand), consumed = fill * final_demand;
    } else {
      fill = least(safe_ratio(made, received), R(1)), consumed = least(positive(made - received), final_demand);
    }
  }
  INLINE R use(const Day<T>& day) const { return day.basis == DEMAND ? pressure : activity; }
  INLINE R wanted(const Day<T>& day) const { return day.target == OF_DEMAND ? pressure : day.target == OF_OUTPUT ? activity : potential; }
};

template <class T, int L> INLINE void firms_day(const Day<T>& day, const Numbers<T>& of, int64_t k, int64_t at) {
  typedef Row<T, L> R;
  const Firms<T, L> now(day, of, k, at);
  now.fill.store(day.fill + at), now.activity.store(day.activity + at);
  now.use(day).store(day.use_out + at);
  if (day.target != FIXED) now.wanted(day).store(day.wanted_out + at);
  if (day.rule == HIRING && day.level_out) {
    const R sought = least(now.pressure, now.inputs);
    const R days = if_at_most(sought, now.most, R::load(of.firing.at + k), R::load(of.hiring.at + k));
    (now.most + (sought - now.most) / days).store(day.level_out + at);
  }
  if (day.made) now.made.store(day.made + at);
  if (day.asked) now.demand.store(day.asked + at);
  if (day.most) now.most.store(day.most + at);
  if (day.consumed) now.consumed.store(day.consumed + at);
  const R zero(0);
  if (day.received_out) {
    zero.store(day.received_out + at);
    for (int64_t part = 1; part < day.parts; part++) zero.store(day.partial + (part - 1) * day.firms * day.members + at);
  }
}

template <class T, int L> INLINE Row<T, L> given(const T* from, int64_t at) { return from ? Row<T, L>::load(from + at) : Row<T, L>(0); }

// At equals, as JAX's minimum and maximum: half to each.
template <class T, int L> INLINE Row<T, L> to_first(const Row<T, L>& a, const Row<T, L>& b, const Row<T, L>& bar) {
  return if_less(a, b, bar, if_less(b, a, Row<T, L>(0), bar * Row<T, L>(T(0.5))));
}

template <class T, int L> INLINE void firms_reverse(const Back<T>& back, const Numbers<T>& of, int64_t k, int64_t at) {
  typedef Row<T, L> R;
  const Day<T>& day = back.day;
  const Firms<T, L> now(day, of, k, at);
  const R zero(0), one(1);
  R fill_bar = zero;
  for (int64_t part = 0; part < day.parts; part++) fill_bar = fill_bar + R::load(back.fill_bar + part * day.firms * day.members + at);
  R activity_bar = R::load(back.activity_bar + at), pressure_bar = zero, most_bar = given<T, L>(back.most_in, at), inputs_bar = zero;
  const R use_bar = R::load(back.use_bar + at);
  (day.basis == DEMAND ? pressure_bar : activity_bar) = use_bar + (day.basis == DEMAND ? pressure_bar : activity_bar);
  if (day.target != FIXED) {
    const R wanted_bar = R::load(back.wanted_bar + at);
    if (day.target == OF_DEMAND) pressure_bar = pressure_bar + wanted_bar;
    if (day.target == OF_OUTPUT) activity_bar = activity_bar + wanted_bar;
    if (day.target == POTENTIAL) to_lesser(now.pressure, now.most, wanted_bar, pressure_bar, most_bar);
  }
  if (day.rule == HIRING) {
    const R bar = R::load(back.level_in + at), sought = least(now.pressure, now.inputs);
    const R hiring = R::load(of.hiring.at + k), firing = R::load(of.firing.at + k), days = if_at_most(sought, now.most, firing, hiring);
    const R change = bar / days, by_days = zero - change * (sought - now.most) / days;
    most_bar = most_bar + bar - change;
    to_lesser(now.pressure, now.inputs, change, pressure_bar, inputs_bar);
    if (back.hiring) if_at_most(sought, now.most, zero, by_days).store(back.hiring + at);
    if (back.firing) if_at_most(sought, now.most, by_days, zero).store(back.firing + at);
  }
  R made_bar = given<T, L>(back.made_in, at) + safe_ratio(activity_bar, now.output);
  R demand_bar = given<T, L>(back.asked_in, at) + safe_ratio(pressure_bar, now.output), received_bar = zero, final_bar = zero;
  const R consumed_bar = given<T, L>(back.consumed_in, at);
  if (day.rationing == PROPORTIONAL) {
    final_bar = consumed_bar * now.fill;
    const R bar = safe_ratio(fill_bar + consumed_bar * now.final_demand, now.demand);
    made_bar = made_bar + bar, demand_bar = demand_bar - bar * now.fill;
  } else {
    const R share = safe_ratio(now.made, now.received), bar = safe_ratio(to_first(share, one, fill_bar), now.received);
    const R left = now.made - now.received, met_bar = to_first(positive(left), now.final_demand, consumed_bar);
    const R left_bar = to_first(zero, left, met_bar);
    final_bar = consumed_bar - met_bar;
    made_bar = made_bar + bar + left_bar, received_bar = zero - bar * share - left_bar;
  }
  R limit_bar = zero;
  to_lesser(now.demand, now.limit * now.output, made_bar, demand_bar, limit_bar);
  to_lesser(now.inputs, now.most, limit_bar * now.output, inputs_bar, most_bar);
  R productivity_bar = zero, capacity_bar = zero;
  if (day.rule == LITERAL) {
    const R infinite(std::numeric_limits<T>::infinity());
    const R by = most_bar * now.productivity;
    productivity_bar = most_bar * if_less(now.inputs, infinite, now.inputs, now.capacity);
    inputs_bar = inputs_bar + if_less(now.inputs, infinite, by, zero), capacity_bar = if_less(now.inputs, infinite, zero, by);
  } else {
    R bar = most_bar;
    if (day.rule == HIRING) {
      R level_bar = zero;
      bar = zero;
      to_lesser(now.level, now.productivity * now.capacity, most_bar, level_bar, bar);
      level_bar.store(back.level + at);
    }
    productivity_bar = bar * now.capacity, capacity_bar = bar * now.productivity;
  }
  if (of.enough.at) {
    const R enough = R::load(of.enough.at + k), bar = inputs_bar / enough;
    if (back.enough) if_less(now.inputs, R(std::numeric_limits<T>::infinity()), zero - bar * now.inputs, zero).store(back.enough + at);
    inputs_bar = bar;
  }
  (received_bar + demand_bar).store(back.received + at);
  inputs_bar.store(back.cover + at);
  if (back.productivity) productivity_bar.store(back.productivity + at);
  if (back.capacity) capacity_bar.store(back.capacity + at);
  if (back.final_demand) (final_bar + demand_bar).store(back.final_demand + at);
}

// All members of firms from ... to, with their numbers at hand.
#define ABREAST_OF(pass, whole, day, from, to) \
  Numbers<T> numbers; \
  constexpr int L = VECTOR_BYTES / sizeof(T); \
  const int64_t M = (day).members, rows = M < ABREAST ? ABREAST / M : 1; \
  for (int64_t firm = from; firm < to; firm += rows) { \
    const int64_t firms = firm + rows < to ? rows : to - firm, n = firms * M; \
    numbers.of(day, firm, firms); \
    int64_t k = 0; \
    for (; k + L <= n; k += L) pass<T, L>(whole, numbers, k, firm * M + k); \
    for (; k < n; k++) pass<T, 1>(whole, numbers, k, firm * M + k); \
  }
template <class T> void firms_of(const Day<T>& day, int64_t from, int64_t to) { ABREAST_OF(firms_day, day, day, from, to) }
template <class T> void firms_back_of(const Back<T>& back, int64_t from, int64_t to) { ABREAST_OF(firms_reverse, back, back.day, from, to) }

// The orders that parts of the links ask for, added part by part.
template <class T> void sums_of(const Day<T>& day, int64_t from, int64_t to) {
  for (int64_t part = 1; part < day.parts; part++) {
    const T* more = day.partial + (part - 1) * day.firms * day.members;
    for (int64_t k = from * day.members; k < to * day.members; k++) day.received_out[k] += more[k];
  }
}
}  // namespace
