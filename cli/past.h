/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The past, read by vow itself from the journal of an agent that may or may not run: what the
 * window that ended at some time held. One thread; reads files, never writes.
 */
#ifndef VOW_CLI_PAST_H
#define VOW_CLI_PAST_H

#include "lib/base/clock.h"
#include "view/view.h"

/*
 * "2026-11-22T03:00", with seconds or without, local time or, with a Z behind, UTC; "03:00", the
 * latest there was; "-15m" before now. -EINVAL with d filled; also for a time that is still to come.
 */
int past_parse(const char *text, wall_ns now, wall_ns *at, struct diag *d);

struct past; /* the figures of one window */
/*
 * Reads the journal below dir (NULL: the default folder). -ENODATA with d naming what is there when
 * the journal does not reach to that time; else an errno of its files.
 */
int past_open(const char *dir, wall_ns at, enum series_window window, struct past **past,
	      struct diag *d);
void past_close(struct past *past); /* NULL is allowed */
/* As ask_view(), for the window that was opened: *view is the caller's. -ENOMEM. */
int past_view(const struct past *past, const struct view_query *query, struct view **view);

#endif
