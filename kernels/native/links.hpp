// The links of a part, for L neighbouring members from `column` on: a day, and its reverse.
#pragma once
#include "day.hpp"
#include "lanes.hpp"

namespace {

constexpr int AHEAD = 12;  // links

template <class T, int L> INLINE Row<T, L> of(const Number<T>& number, int64_t firm, int64_t column) {
  const T* at = number.at + firm * number.firm;
  return number.member ? Row<T, L>::load(at + column) : Row<T, L>(*at);
}

// What a buyer's links have in common.
template <class T, int L> struct Buyer {
  typedef Row<T, L> R;
  R use, target, use_after, target_after, pace, activity, days, wanted, wanted_after;
  INLINE Buyer(const Day<T>& day, int64_t firm, int64_t column) {
    const int64_t at = firm * day.members + column;
    use = R::load(day.use + at), use_after = R::load(day.use_out + at), activity = R::load(day.activity + at);
    pace = of<T, L>(day.pace, firm, column), days = of<T, L>(day.days, firm, column);
    wanted = day.wanted ? R::load(day.wanted + at) : R(1), wanted_after = day.wanted ? R::load(day.wanted_out + at) : R(1);
    target = days * wanted, target_after = days * wanted_after;
  }
  INLINE R order(const R& stock) const { return positive(use + (target - stock) * pace); }
  INLINE R order_after(const R& stock) const { return positive(use_after + (target_after - stock) * pace); }
};

// The share of a pool's cover that is left after use.
template <class T, int L> INLINE Row<T, L> kept_of(const Row<T, L>& cover, const Row<T, L>& use) {
  return positive((cover - use) / (cover + Row<T, L>(Tiny<T>::root)));
}

// What a pool's use is drawn from, and what it leaves of a pool of one link: for Leontief's, what is delivered today comes afterwards.
template <class T, int L> INLINE Row<T, L> before_use(const Day<T>& day, const Row<T, L>& stock, const Row<T, L>& delivered) {
  return day.leontief ? stock : stock + delivered;
}
template <class T, int L> INLINE Row<T, L> after_use(const Day<T>& day, const Row<T, L>& stock, const Row<T, L>& delivered, const Row<T, L>& use) {
  return day.leontief ? positive(stock - use) + delivered : positive(stock + delivered - use);
}

// Memory that is needed soon, of a supplier.
template <class T, int L> INLINE void prefetch_read(const T* at) {
  for (size_t line = 0; line < L * sizeof(T); line += 64) __builtin_prefetch((const char*)at + line);
}
template <class T, int L> INLINE void prefetch_write(const T* at) {
  for (size_t line = 0; line < L * sizeof(T); line += 64) __builtin_prefetch((const char*)at + line, 1);
}

// What the cover of a pool allows to make.
template <class T, int L> INLINE Row<T, L> limit_of(const Day<T>& day, int64_t pool, const Row<T, L>& cover) {
  if (!day.slope) return cover;
  const T slope = day.slope[pool];
  return slope > 0 ? Row<T, L>(slope) * cover + Row<T, L>(1 - slope) : Row<T, L>(std::numeric_limits<T>::infinity());
}

template <class T, int L> void links_day(const Day<T>& whole_day, int64_t part, int64_t column) {
  typedef Row<T, L> R;
  const Day<T> day = whole_day;  // of its own, so that no store can change it
  const int64_t M = day.members, from = first_buyer(day, part), to = first_buyer(day, part + 1);
  const int32_t* supplier = day.supplier;
  const int64_t last = day.links - 1;
  T* received = (part ? day.partial + (part - 1) * day.firms * M : day.received_out) + column;
  const T *fill = day.fill + column, *stock_in = day.stock + column;
  T* stock_out = day.stock_out + column;
  auto soon = [&](int64_t link) __attribute__((always_inline)) {
    const int64_t next = link + AHEAD < last ? link + AHEAD : last, at = supplier[next] * M;
    prefetch_read<T, L>(fill + at), prefetch_write<T, L>(received + at);
  };
  for (int64_t firm = from; firm < to; firm++) {
    const Buyer<T, L> buyer(day, firm, column);
    R lowest(std::numeric_limits<T>::infinity());
    auto ask = [&](int64_t link, const R& stock) __attribute__((always_inline)) {
      T* to = received + supplier[link] * M;
      (R::load(to) + R(day.amount[link]) * buyer.order_after(stock)).store(to);
    };
    for (int64_t pool = day.of_buyer[firm]; pool < day.of_buyer[firm + 1]; pool++) {
      const int64_t first = day.of_pool[pool], end = day.of_pool[pool + 1];
      R cover(0);
      if (end - first == 1) {
        soon(first);
        const R stock = R::load(stock_in + first * M);
        const R delivered = R::load(fill + supplier[first] * M) * buyer.order(stock);
        cover = after_use(day, stock, delivered, buyer.activity);
        cover.store(stock_out + first * M);
        ask(first, cover);
      } else {
        const T whole = 1 / day.pool_amount[pool];
        R held(0);
        for (int64_t link = first; link < end; link++) {
          soon(link);
          R stock = R::load(stock_in + link * M);
          if (!day.leontief) {
            stock = stock + R::load(fill + supplier[link] * M) * buyer.order(stock);
            stock.store(stock_out + link * M);
          }
          held = held + R(day.amount[link] * whole) * stock;
        }
        const R kept = kept_of(held, buyer.activity);
        for (int64_t link = first; link < end; link++) {
          R stock;
          if (day.leontief) {
            stock = R::load(stock_in + link * M);
            stock = stock * kept + R::load(fill + supplier[link] * M) * buyer.order(stock);
          } else {
            stock = R::load(stock_out + link * M) * kept;
          }
          stock.store(stock_out + link * M);
          cover = cover + R(day.amount[link] * whole) * stock;
          ask(link, stock);
        }
      }
      lowest = least(limit_of(day, pool, cover), lowest);
    }
    lowest.store(day.cover_out + firm * M + column);
  }
}

// The reverse. Stocks of the evening are computed anew, as their links are read.
template <class T, int L> void links_reverse(const Back<T>& whole_back, int64_t part, int64_t column) {
  typedef Row<T, L> R;
  const Back<T> back = whole_back;
  const Day<T>& day = back.day;  // of its own, so that no store can change it
  const int64_t M = day.members, from = first_buyer(day, part), to = first_buyer(day, part + 1), last = day.links - 1;
  const int32_t* supplier = day.supplier;
  T* fill_bar = back.fill_bar + part * day.firms * M + column;
  const T *fill = day.fill + column, *asked = back.received_in + column, *stock_in = day.stock + column, *bar_in = back.stock_in + column;
  T* bar_out = back.stock + column;
  const R zero(0), one(1), tiny(Tiny<T>::root);
  thread_local Room<R> stocks, limits;
  for (int64_t firm = from; firm < to; firm++) {
    const Buyer<T, L> buyer(day, firm, column);
    const int64_t pools = day.of_buyer[firm], pools_end = day.of_buyer[firm + 1], start = day.of_pool[pools], at = firm * M + column;
    const size_t n_links = day.of_pool[pools_end] - start, n_pools = pools_end - pools;
    R *after = stocks.of(n_links), *covers = limits.of(n_pools);
    auto fill_of = [&](int64_t link) __attribute__((always_inline)) { return R::load(fill + supplier[link] * M); };
    auto stock_of = [&](int64_t link) __attribute__((always_inline)) { return R::load(stock_in + link * M); };
    auto soon = [&](int64_t link) __attribute__((always_inline)) {
      const int64_t next = supplier[link + AHEAD < last ? link + AHEAD : last] * M;
      prefetch_read<T, L>(fill + next), prefetch_read<T, L>(asked + next), prefetch_write<T, L>(fill_bar + next);
    };
    auto drawn_from = [&](int64_t link) __attribute__((always_inline)) {
      const R stock = stock_of(link);
      return before_use(day, stock, fill_of(link) * buyer.order(stock));
    };
    R lowest(std::numeric_limits<T>::infinity());
    for (int64_t pool = pools; pool < pools_end; pool++) {
      const int64_t first = day.of_pool[pool], end = day.of_pool[pool + 1];
      R cover(0);
      if (end - first == 1) {
        soon(first);
        const R stock = stock_of(first), delivered = fill_of(first) * buyer.order(stock);
        cover = after_use(day, stock, delivered, buyer.activity);
        after[first - start] = cover;
      } else {
        const T whole = 1 / day.pool_amount[pool];
        R held(0);
        for (int64_t link = first; link < end; link++) {
          soon(link);
          const R stock = stock_of(link), delivered = fill_of(link) * buyer.order(stock);
          after[link - start] = day.leontief ? delivered : stock + delivered;
          held = held + R(day.amount[link] * whole) * before_use(day, stock, delivered);
        }
        const R kept = kept_of(held, buyer.activity);
        for (int64_t link = first; link < end; link++) {
          R& stock = after[link - start];
          stock = day.leontief ? stock_of(link) * kept + stock : stock * kept;
          cover = cover + R(day.amount[link] * whole) * stock;
        }
      }
      covers[pool - pools] = limit_of(day, pool, cover);
      lowest = least(covers[pool - pools], lowest);
    }
    R ties(0), use_bar(0), use_after_bar(0), activity_bar(0), pace_bar(0);
    for (size_t k = 0; k < n_pools; k++) ties = ties + if_at_most(covers[k], lowest, one, zero);
    const R each = R::load(back.cover_in + at) / if_less(ties, one, one, ties);
    // cotangent of the stock of the evening: of the day after, of orders and of cover
    auto evening = [&](int64_t link, const R& of_cover) __attribute__((always_inline)) {
      const R stock = after[link - start];
      const R order_bar = if_less(zero, buyer.order_after(stock), R(day.amount[link]) * R::load(asked + supplier[link] * M), zero);
      use_after_bar = use_after_bar + order_bar;
      pace_bar = pace_bar + order_bar * (buyer.target_after - stock);
      return R::load(bar_in + link * M) + of_cover - buyer.pace * order_bar;
    };
    // cotangent of the stock of the morning, of what was delivered and of what was left of it
    auto morning = [&](int64_t link, const R& delivered_bar, const R& left_bar) __attribute__((always_inline)) {
      const R stock = stock_of(link), order = buyer.order(stock);
      const R order_bar = if_less(zero, order, fill_of(link) * delivered_bar, zero);
      T* to = fill_bar + supplier[link] * M;
      (R::load(to) + order * delivered_bar).store(to);
      use_bar = use_bar + order_bar;
      pace_bar = pace_bar + order_bar * (buyer.target - stock);
      (left_bar - buyer.pace * order_bar).store(bar_out + link * M);
    };
    for (int64_t pool = pools; pool < pools_end; pool++) {
      const int64_t first = day.of_pool[pool], end = day.of_pool[pool + 1];
      R cover_bar = if_at_most(covers[pool - pools], lowest, each, zero);
      if (day.slope) cover_bar = cover_bar * R(day.slope[pool]);
      if (end - first == 1) {
        const R bar = evening(first, cover_bar);
        const R left_bar = if_at_most(buyer.activity, drawn_from(first) + tiny, bar, zero);
        activity_bar = activity_bar - left_bar;
        morning(first, day.leontief ? bar : left_bar, left_bar);
        continue;
      }
      const T whole = 1 / day.pool_amount[pool];
      R held(0), pull(0);
      for (int64_t link = first; link < end; link++) held = held + R(day.amount[link] * whole) * drawn_from(link);
      for (int64_t link = first; link < end; link++) {
        R bar = evening(link, R(day.amount[link] * whole) * cover_bar);
        after[link - start] = bar;
        pull = pull + bar * (drawn_from(link) + tiny);
      }
      pull = if_at_most(buyer.activity, held + tiny, pull / (held + tiny), zero);
      const R kept = kept_of(held, buyer.activity);
      activity_bar = activity_bar - pull;
      for (int64_t link = first; link < end; link++) {
        const R bar = after[link - start], left_bar = kept * bar + R(day.amount[link] * whole) * (one - kept) * pull;
        morning(link, day.leontief ? bar : left_bar, left_bar);
      }
    }
    use_bar.store(back.use + at);
    if (back.days) ((use_bar * buyer.wanted + use_after_bar * buyer.wanted_after) * buyer.pace).store(back.days + at);
    if (back.pace) pace_bar.store(back.pace + at);
    if (back.wanted) {
      (use_bar * buyer.pace * buyer.days).store(back.wanted + at);
      (R::load(back.wanted_in + at) + use_after_bar * buyer.pace * buyer.days).store(back.wanted_bar + at);
    }
    (R::load(back.use_in + at) + use_after_bar).store(back.use_bar + at);
    activity_bar.store(back.activity_bar + at);
  }
}

// All members of a part: the widest rows first, what is left in narrower ones.
#define IN_COLUMNS(pass, whole) \
  for (int64_t column = 0; column < members;) { \
    const int64_t left = members - column; \
    constexpr int most = 2 * VECTOR_BYTES / sizeof(T); \
    if (most >= 32 && left >= 32) { pass<T, most >= 32 ? 32 : 1>(whole, part, column); column += 32; } \
    else if (most >= 16 && left >= 16) { pass<T, most >= 16 ? 16 : 1>(whole, part, column); column += 16; } \
    else if (most >= 8 && left >= 8) { pass<T, most >= 8 ? 8 : 1>(whole, part, column); column += 8; } \
    else if (left >= 4) { pass<T, 4>(whole, part, column); column += 4; } \
    else if (left >= 2) { pass<T, 2>(whole, part, column); column += 2; } \
    else { pass<T, 1>(whole, part, column); column += 1; } \
  }

}  // namespace
