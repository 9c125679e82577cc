// The links of a part for one member: a buyer's links side by side in rows of 64 bytes. The same sums as `links.hpp`,
// link by link; what differs by pool is done for the pools of several links alone.
#pragma once
#include "links.hpp"

namespace {

constexpr int64_t AT_HAND = 512;  // links, or those of one buyer

// Lanes of the first n numbers: value, else 0 or what is given.
template <class T, int L> struct First {
  Row<T, L> place;
  First() {
    T numbers[L];
    for (int k = 0; k < L; k++) numbers[k] = k;
    place = Row<T, L>::load(numbers);
  }
  INLINE Row<T, L> of(int64_t n, const Row<T, L>& value, const Row<T, L>& other) const { return if_less(place, Row<T, L>(T(n)), value, other); }
};
// Halves added, or compared, down to one: in the same order whatever the machine's width.
template <class T> INLINE T sum_of(const Row<T, 1>& row) { return row.v[0]; }
template <class T, int L> INLINE T sum_of(const Row<T, L>& row) {
  Row<T, L / 2> halves[2];
  memcpy(halves, row.v, sizeof(row.v));
  return sum_of(halves[0] + halves[1]);
}
template <class T> INLINE T least_of(const Row<T, 1>& row) { return row.v[0]; }
template <class T, int L> INLINE T least_of(const Row<T, L>& row) {
  Row<T, L / 2> halves[2];
  memcpy(halves, row.v, sizeof(row.v));
  return least_of(least(halves[0], halves[1]));
}

// Some buyers, and what is at hand of their links: places count from the first of them.
template <class T> struct Block {
  static constexpr int L = 64 / sizeof(T);
  typedef Row<T, L> R;
  const Day<T>& day;
  int64_t from, to, start, links;
  T *stock, *fill, *after, *limit;
  // buyers from `from` on, of at most AT_HAND links or one buyer
  INLINE Block(const Day<T>& day, int64_t from, int64_t most, Room<T>* rooms) : day(day), from(from), to(from + 1) {
    start = day.of_links[from];
    while (to < most && day.of_links[to + 1] - start <= AT_HAND) to++;
    links = day.of_links[to] - start;
    stock = rooms[0].of(links + L), fill = rooms[1].of(links + L), after = rooms[2].of(links + L), limit = rooms[3].of(links + L);
  }
  INLINE int64_t begin(int64_t firm) const { return day.of_links[firm] - start; }
  template <class Job> INLINE void for_pools_of_several(const Job& job) const {
    for (int64_t k = day.of_several[from]; k < day.of_several[to]; k++) {
      const int32_t *of = day.several + 3 * k, first = of[1] - start;
      T whole = 0;
      for (int64_t link = of[1]; link < of[1] + of[2]; link++) whole += day.amount[link];
      job(of[0], first, first + of[2], 1 / whole);
    }
  }
  // Stocks of the evening, and what they allow: of each pool, at its first link, and infinite at the others.
  INLINE void evening() {
    memcpy(stock, day.stock + start, links * sizeof(T));
    const int32_t* supplier = day.supplier + start;
    for (int64_t k = 0; k < links; k++) fill[k] = day.fill[supplier[k]];
    int64_t end = 0;
    for (int64_t firm = from; firm < to; firm++) {
      const Buyer<T, 1> buyer(day, firm, 0);
      const R use(buyer.use.v[0]), target(buyer.target.v[0]), pace(buyer.pace.v[0]), activity(buyer.activity.v[0]);
      int64_t k = end;
      end = begin(firm + 1);
      for (; k < end; k += L) {
        const R of = R::load(stock + k), delivered = R::load(fill + k) * positive(use + (target - of) * pace);
        const R found = after_use(day, of, delivered, activity);
        found.store(after + k), found.store(limit + k);
      }
    }
    for_pools_of_several([&](int64_t firm, int64_t first, int64_t end, T whole) __attribute__((always_inline)) {
      const Buyer<T, 1> buyer(day, firm, 0);
      T held = 0, cover = 0;
      for (int64_t k = first; k < end; k++) {
        const T delivered = fill[k] * buyer.order(stock[k]).v[0];
        after[k] = day.leontief ? delivered : stock[k] + delivered;
        held += day.amount[start + k] * whole * (day.leontief ? stock[k] : after[k]);
      }
      const T kept = kept_of<T, 1>(Row<T, 1>(held), buyer.activity).v[0];
      for (int64_t k = first; k < end; k++) {
        after[k] = day.leontief ? stock[k] * kept + after[k] : after[k] * kept;
        limit[k] = std::numeric_limits<T>::infinity();
        cover += day.amount[start + k] * whole * after[k];
      }
      limit[first] = cover;
    });
    if (day.slope)
      for (int64_t pool = day.of_buyer[from]; pool < day.of_buyer[to]; pool++) {
        T& of = limit[day.of_pool[pool] - start];
        of = limit_of<T, 1>(day, pool, Row<T, 1>(of)).v[0];
      }
  }
};

template <class T> void single_day(const Day<T>& whole_day, int64_t part) {
  constexpr int L = Block<T>::L;
  typedef Row<T, L> R;
  const Day<T> day = whole_day;
  const First<T, L> first;
  const R none(std::numeric_limits<T>::infinity());
  const int64_t last = first_buyer(day, part + 1);
  T* received = part ? day.partial + (part - 1) * day.firms : day.received_out;
  Room<T> rooms[4];
  for (int64_t from = first_buyer(day, part); from < last;) {
    Block<T> block(day, from, last, rooms);
    from = block.to;
    block.evening();
    memcpy(day.stock_out + block.start, block.after, block.links * sizeof(T));
    T* asked = block.fill;
    const T* amount = day.amount + block.start;
    int64_t end = 0;
    for (int64_t firm = block.from; firm < block.to; firm++) {
      const Buyer<T, 1> buyer(day, firm, 0);
      const R use(buyer.use_after.v[0]), target(buyer.target_after.v[0]), pace(buyer.pace.v[0]);
      R lowest = none;
      int64_t k = end;
      end = block.begin(firm + 1);
      for (; k < end; k += L) {
        lowest = least(first.of(end - k, R::load(block.limit + k), none), lowest);
        positive(use + (target - R::load(block.after + k)) * pace).store(asked + k);
      }
      day.cover_out[firm] = least_of(lowest);
    }
    const int32_t* supplier = day.supplier + block.start;
    for (int64_t k = 0; k < block.links; k++) received[supplier[k]] += amount[k] * asked[k];
  }
}

template <class T> void single_back(const Back<T>& whole_back, int64_t part) {
  constexpr int L = Block<T>::L;
  typedef Row<T, L> R;
  const Back<T> back = whole_back;
  const Day<T>& day = back.day;
  const First<T, L> first;
  const R zero(0), none(std::numeric_limits<T>::infinity()), tiny(Tiny<T>::root);
  const int64_t last = first_buyer(day, part + 1);
  T* fill_bar = back.fill_bar + part * day.firms;
  Room<T> rooms[4], more[5];
  for (int64_t from = first_buyer(day, part); from < last;) {
    Block<T> block(day, from, last, rooms);
    from = block.to;
    const int32_t* supplier = day.supplier + block.start;
    T* room[5];
    for (int k = 0; k < 5; k++) room[k] = more[k].of(block.links + L);
    T *asked = room[0], *bar = room[1], *left = room[2], *drawn = room[3], *amount = room[4], *stock = block.stock, *fill = block.fill, *by_cover = block.limit;
    for (int64_t k = 0; k < block.links; k++) asked[k] = back.received_in[supplier[k]];
    memcpy(amount, day.amount + block.start, block.links * sizeof(T)), memcpy(bar, back.stock_in + block.start, block.links * sizeof(T));
    block.evening();
    // the cotangent of each pool's cover, shared by all that tie for the least; of a pool of several, at its first link
    int64_t end = 0;
    for (int64_t firm = block.from; firm < block.to; firm++) {
      const int64_t begin = end;
      end = block.begin(firm + 1);
      R lowest = none, ties = zero;
      for (int64_t k = begin; k < end; k += L) lowest = least(first.of(end - k, R::load(block.limit + k), none), lowest);
      const R all(least_of(lowest));
      for (int64_t k = begin; k < end; k += L) ties = ties + first.of(end - k, if_at_most(R::load(block.limit + k), all, R(1), zero), zero);
      const T tied = sum_of(ties);
      const R each(back.cover_in[firm] / (tied < 1 ? T(1) : tied));
      for (int64_t k = begin; k < end; k += L) first.of(end - k, if_at_most(R::load(block.limit + k), all, each, zero), R::load(block.limit + k)).store(by_cover + k);
    }
    if (day.slope)
      for (int64_t pool = day.of_buyer[block.from]; pool < day.of_buyer[block.to]; pool++) by_cover[day.of_pool[pool] - block.start] *= day.slope[pool];
    block.for_pools_of_several([&](int64_t, int64_t begin, int64_t end, T whole) __attribute__((always_inline)) {
      const T of_pool = by_cover[begin];
      for (int64_t k = begin; k < end; k++) by_cover[k] = amount[k] * whole * of_pool;
    });
    // of stocks in the evening, and of what was left of them
    end = 0;
    for (int64_t firm = block.from; firm < block.to; firm++) {
      const Buyer<T, 1> buyer(day, firm, 0);
      const R use(buyer.use.v[0]), target(buyer.target.v[0]), pace(buyer.pace.v[0]), activity(buyer.activity.v[0]);
      const R use_after(buyer.use_after.v[0]), target_after(buyer.target_after.v[0]);
      R used = zero, paced = zero;
      int64_t k = end;
      end = block.begin(firm + 1);
      for (; k < end; k += L) {
        const R of = R::load(stock + k), gap = first.of(end - k, target_after - R::load(block.after + k), zero), was = R::load(bar + k);
        const R before = before_use(day, of, R::load(fill + k) * positive(use + (target - of) * pace));
        const R order_bar = first.of(end - k, if_less(zero, use_after + gap * pace, R::load(amount + k) * R::load(asked + k), zero), zero);
        used = used + order_bar, paced = paced + order_bar * gap;
        const R of_evening = first.of(end - k, was + R::load(by_cover + k) - pace * order_bar, was);
        const R of_left = if_at_most(activity, before + tiny, of_evening, zero);
        of_evening.store(bar + k), of_left.store(left + k), of_left.store(drawn + k);
      }
      const T used_after = sum_of(used), moved = used_after * buyer.pace.v[0];
      back.use_bar[firm] = back.use_in[firm] + used_after;
      if (back.pace) back.pace[firm] = sum_of(paced);
      if (back.days) back.days[firm] = moved * buyer.wanted_after.v[0];
      if (back.wanted) back.wanted_bar[firm] = back.wanted_in[firm] + moved * buyer.days.v[0];
    }
    block.for_pools_of_several([&](int64_t firm, int64_t begin, int64_t end, T whole) __attribute__((always_inline)) {
      const Buyer<T, 1> buyer(day, firm, 0);
      const auto before = [&](int64_t k) { return day.leontief ? stock[k] : stock[k] + fill[k] * buyer.order(stock[k]).v[0]; };
      T held = 0, pull = 0;
      for (int64_t k = begin; k < end; k++) held += amount[k] * whole * before(k), pull += bar[k] * (before(k) + Tiny<T>::root);
      const Row<T, 1> all(held + Tiny<T>::root);
      pull = if_at_most(buyer.activity, all, Row<T, 1>(pull) / all, Row<T, 1>(0)).v[0];
      const T kept = kept_of<T, 1>(Row<T, 1>(held), buyer.activity).v[0];
      for (int64_t k = begin; k < end; k++) left[k] = kept * bar[k] + amount[k] * whole * (1 - kept) * pull, drawn[k] = 0;
      drawn[begin] = pull;
    });
    // of stocks in the morning, of orders and of what was delivered
    end = 0;
    for (int64_t firm = block.from; firm < block.to; firm++) {
      const Buyer<T, 1> buyer(day, firm, 0);
      const R use(buyer.use.v[0]), target(buyer.target.v[0]), pace(buyer.pace.v[0]);
      R used = zero, paced = zero, drawn_bar = zero;
      int64_t k = end;
      end = block.begin(firm + 1);
      for (; k < end; k += L) {
        const R gap = first.of(end - k, target - R::load(stock + k), zero), raw = use + gap * pace, of_left = R::load(left + k), was = R::load(bar + k);
        const R delivered = day.leontief ? was : of_left;
        const R order_bar = first.of(end - k, if_less(zero, raw, R::load(fill + k) * delivered, zero), zero);
        used = used + order_bar, paced = paced + order_bar * gap, drawn_bar = drawn_bar - first.of(end - k, R::load(drawn + k), zero);
        first.of(end - k, positive(raw) * delivered, R::load(asked + k)).store(asked + k);
        first.of(end - k, of_left - pace * order_bar, was).store(bar + k);
      }
      const T use_bar = sum_of(used), moved = use_bar * buyer.pace.v[0];
      back.use[firm] = use_bar, back.activity_bar[firm] = sum_of(drawn_bar);
      if (back.pace) back.pace[firm] += sum_of(paced);
      if (back.days) back.days[firm] += moved * buyer.wanted.v[0];
      if (back.wanted) back.wanted[firm] = moved * buyer.days.v[0];
    }
    memcpy(back.stock + block.start, bar, block.links * sizeof(T));
    for (int64_t k = 0; k < block.links; k++) fill_bar[supplier[k]] += asked[k];
  }
}

template <class T> void links_of(const Day<T>& day, int64_t part) {
  const int64_t members = day.members;
  if (members == 1) single_day(day, part);
  else IN_COLUMNS(links_day, day)
}
template <class T> void links_back_of(const Back<T>& back, int64_t part) {
  const int64_t members = back.day.members;
  memset(back.fill_bar + part * back.day.firms * members, 0, back.day.firms * members * sizeof(T));
  if (members == 1) single_back(back, part);
  else IN_COLUMNS(links_reverse, back)
}

}  // namespace
