/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures for people that lib/base/str.h does not have: rates, shares, ages, gauges. Each writes
 * into buf of size bytes (STR_FIGURE_SIZE always suffices) and returns it. Any thread.
 */
#ifndef VOW_CLI_FIGURE_H
#define VOW_CLI_FIGURE_H

#include "lib/base/str.h"

/* Events a second: "3.41 k/s", "12.0 /s", "0.05 /s"; "-" when nothing was observed for no time. */
const char *figure_rate(char *buf, size_t size, uint64_t count, double window_s);

/*
 * A share as percent with two decimals, cut and not rounded: 99.996 % is not the 100 % that was
 * promised. "100 %" and "0 %" are exact; a smaller share than 0.01 % is "<0.01 %".
 */
const char *figure_share(char *buf, size_t size, double ratio);

/* How long ago, in the largest whole unit: "4 s", "12 min", "3 h", "9 d"; "-" for then == 0. */
const char *figure_age(char *buf, size_t size, wall_ns then, wall_ns now);

/* A value whose unit ends its name: "cpu_ratio", "memory_bytes", "oldest_ns", else a number. */
const char *figure_gauge(char *buf, size_t size, const char *name, double value);

/* A number with at most three decimals: "14.4", "0.05", "1200". */
const char *figure_number(char *buf, size_t size, double value);

#endif
