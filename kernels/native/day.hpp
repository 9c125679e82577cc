// One day of the model for CPUs, the link and the firm part in one call: what step.py says, for the switches that
// native/day.py lists. Symbols are those of step.py. Stocks are in days of use, s = S / Z0 of the link.
//
//   firms   D = R + C,  x = min(D, min(r, most) x0),  fill f, activity a = x / x0, wish u', t' of the evening
//   links   o = [u + (t - s) / tau]+        ordered yesterday evening, relative to Z0
//           s' = left(s, a) + f o           a pool's use is drawn from its links in proportion to their stocks
//           c' = min over pools of cover    what inputs of tomorrow allow
//           R'[supplier] += Z0 [u' + (t' - s') / tau]+
//
// No product and sum is contracted, and every sum has a fixed order: the bits are the same for every instruction set,
// every width of vectors and every number of threads.
#pragma once
#include <cstddef>
#include <cstdint>

enum Target { FIXED, OF_DEMAND, OF_OUTPUT, POTENTIAL };
enum Basis { DEMAND, OUTPUT };
enum Rationing { PROPORTIONAL, FINAL_DEMAND_LAST };
enum Rule { CONSTANT, LITERAL, HIRING };

// A number of the model, (firm|1, member|1): how far apart neighbours lie, 0 where all share one.
template <class T> struct Number {
  const T* at = nullptr;
  int64_t firm = 0, member = 0;
};

template <class T> struct Day {
  int64_t firms, links, members, parts;
  int64_t target, basis, rationing, leontief, rule;
  // the network; pools of buyer i are of_buyer[i] ... of_buyer[i + 1], links of pool p of_pool[p] ... of_pool[p + 1]
  // links of buyer i are of_links[i] ... of_links[i + 1], and its pools of several links (their buyer, first link and
  // number of links) several[3 of_several[i]] ... several[3 of_several[i + 1]]
  const int32_t *supplier, *of_pool, *of_buyer, *of_links, *several, *of_several;
  const T *amount, *pool_amount, *slope /* of an input limit by cover, 0: not needed; null: 1 */, *output;
  // numbers: z, C, n, 1 / tau, kappa, days of cover that are enough (null: 1), days of hiring and of firing
  Number<T> productivity, final_demand, days, pace, capacity, enough, hiring, firing;
  // the morning, and the evening (links may be the same memory)
  const T *stock, *received, *cover, *use, *wanted, *level;
  T *stock_out, *received_out, *cover_out, *use_out, *wanted_out, *level_out;
  // what happened (null: not asked for): x, D, most, c
  T *made, *asked, *most, *consumed;
  // scratch: fill and activity (firm, member), partial sums of suppliers (parts - 1, firm, member)
  T *fill, *activity, *partial;
};

template <class T> struct Back {
  Day<T> day;  // its *_out are the wishes computed anew, by firm
  // cotangents: of the evening and of what happened (null: 0), of the morning (stock may be the same memory)
  const T *stock_in, *received_in, *cover_in, *use_in, *wanted_in, *level_in, *made_in, *asked_in, *most_in, *consumed_in;
  T *stock, *received, *cover, *use, *wanted, *level;
  // of numbers, (firm, member); null: not asked for
  T *productivity, *final_demand, *days, *pace, *capacity, *enough, *hiring, *firing;
  // scratch by firm: of fill (parts of them), activity, tomorrow's use and target
  T *fill_bar, *activity_bar, *use_bar, *wanted_bar;
};

// What each instruction set provides: phases of a day over firms from ... to, or over one of the parts of the links.
template <class T> struct Phases {
  void (*firms)(const Day<T>&, int64_t from, int64_t to);
  void (*links)(const Day<T>&, int64_t part);
  void (*sums)(const Day<T>&, int64_t from, int64_t to);
  void (*links_back)(const Back<T>&, int64_t part);
  void (*firms_back)(const Back<T>&, int64_t from, int64_t to);
};
struct Kernels {
  Phases<float> single;
  Phases<double> twice;
};

// The first buyer of a part: parts have about as many links each, whoever computes them.
template <class T> static inline int64_t first_buyer(const Day<T>& day, int64_t part) {
  const int64_t before = day.links * part / day.parts;
  int64_t low = 0, high = day.firms;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (day.of_links[middle] < before) low = middle + 1; else high = middle;
  }
  return part == day.parts ? day.firms : low;
}
