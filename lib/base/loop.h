/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event loop per thread, on libuv, whose types stay behind this door. Everything here is for
 * the loop's own thread except loop_wake(). Callbacks run on the loop's thread, one at a time; a
 * callback may add and remove sources, its own included.
 */
#ifndef VOW_LIB_BASE_LOOP_H
#define VOW_LIB_BASE_LOOP_H

#include <stdbool.h>

#include "lib/base/types.h"

struct loop;
struct loop_timer;
struct loop_fd;
struct loop_signal;
struct loop_wakeup;

typedef void (*loop_fn)(void *arg);

/* Heap; NULL when memory or a descriptor lacks. loop_free() ends every source still attached. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Runs callbacks until loop_stop() was called, or until no source is attached. Returns 0. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * A timer that calls fn first after `after`, then every `every` (0: once), never early, at most
 * 1 ms later than due while the loop is idle. Intervals count from the start and do not drift; a
 * late loop calls once, not once for each interval missed. NULL when memory lacks.
 */
struct loop_timer *loop_timer_start(struct loop *loop, dur_ns after, dur_ns every, loop_fn fn,
				    void *arg);
/* Changes a running or finished timer. */
void loop_timer_again(struct loop_timer *timer, dur_ns after, dur_ns every);
void loop_timer_stop(struct loop_timer *timer); /* frees it; NULL is allowed */

/* LOOP_PRIORITY: what the kernel tells out of turn, as a pressure trigger of /proc/pressure does. */
enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4, LOOP_PRIORITY = 8 };
typedef void (*loop_fd_fn)(void *arg, int fd, unsigned ready);

/*
 * Calls fn while fd is ready for any of `events` (level-triggered). The descriptor stays the
 * caller's, is made non-blocking, and must outlive the watch; one watch a descriptor. NULL when
 * memory lacks or the fd cannot be polled (a regular file). LOOP_HANGUP is reported when asked
 * for, and always on an error condition (a refused connect, a pipe without reader); the watch is
 * then silent until loop_fd_change().
 * The end of both directions calls fn whatever it waits for.
 */
struct loop_fd *loop_fd_watch(struct loop *loop, int fd, unsigned events, loop_fd_fn fn, void *arg);
void loop_fd_change(struct loop_fd *watch, unsigned events);
void loop_fd_unwatch(struct loop_fd *watch); /* frees it; NULL is allowed */

typedef void (*loop_signal_fn)(void *arg, int signum);
struct loop_signal *loop_signal_catch(struct loop *loop, int signum, loop_signal_fn fn, void *arg);
void loop_signal_release(struct loop_signal *signal); /* frees it; NULL is allowed */

/* A wake-up that other threads may ring: rings before the call are merged into one call of fn. */
struct loop_wakeup *loop_wakeup_new(struct loop *loop, loop_fn fn, void *arg);
/* Any thread, async-signal-safe. fn then sees all that this thread wrote before. */
void loop_wake(struct loop_wakeup *wakeup);
/* No thread may ring it during or after this call; it frees it; NULL is allowed. */
void loop_wakeup_free(struct loop_wakeup *wakeup);

#endif
