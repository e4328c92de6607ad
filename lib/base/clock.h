/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time, asked in one place so that tests can stand in for it. Any thread; about 25 ns each.
 */
#ifndef VOW_LIB_BASE_CLOCK_H
#define VOW_LIB_BASE_CLOCK_H

#include "lib/base/types.h"

mono_ns clock_mono(void); /* CLOCK_MONOTONIC */
wall_ns clock_wall(void); /* CLOCK_REALTIME */

/*
 * For tests: from now on both clocks stand still at these values until the next call;
 * clock_fake_end() goes back to the real ones. Not for programs; one thread.
 */
void clock_fake(mono_ns mono, wall_ns wall);
void clock_fake_end(void);

#endif
