/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to libuv. Each source is one heap block that begins with its libuv handle, so closing a
 * handle and freeing its block are one act: uv_close() promises that no callback comes any more,
 * and the block goes when libuv lets go of it in a later round of the loop.
 */
#include "lib/base/loop.h"

#include <stdlib.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
};

struct loop_timer {
	uv_timer_t uv; /* first: loop_source_closed() frees the block by this address */
	uint64_t due; /* ns of uv_hrtime(); the next call is not before it */
	dur_ns every;
	loop_fn fn;
	void *arg;
};

struct loop_fd {
	uv_poll_t uv; /* first */
	int fd;
	loop_fd_fn fn;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv; /* first */
	loop_signal_fn fn;
	void *arg;
};

struct loop_wakeup {
	uv_async_t uv; /* first */
	int rung;
	loop_fn fn;
	void *arg;
};

static void loop_source_closed(uv_handle_t *handle)
{
	free(handle);
}

static void loop_source_close(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, loop_source_closed);
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop && uv_loop_init(&loop->uv) < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	uv_walk(&loop->uv, loop_source_close, NULL);
	/*
	 * Only closing handles are left: this ends as soon as each had its loop_source_closed(). A
	 * loop_stop() that no run has met yet ends the first one at once.
	 */
	while (uv_run(&loop->uv, UV_RUN_DEFAULT))
		;
	uv_loop_close(&loop->uv);
	free(loop);
}

int loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return 0;
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

/*
 * libuv counts whole milliseconds and repeats a timer from the moment it was served, so a tick of
 * one second would drift by the lateness of each round. The due time is therefore kept here, and
 * libuv is only told to come back at the first whole millisecond that is not before it.
 */
static void loop_timer_arm(struct loop_timer *timer);

static void loop_timer_fired(uv_timer_t *uv)
{
	struct loop_timer *timer = (struct loop_timer *)uv;
	uint64_t now = uv_hrtime();

	if (timer->every) {
		timer->due += timer->every;
		if (timer->due <= now)
			timer->due += ((now - timer->due) / timer->every + 1) * timer->every;
		loop_timer_arm(timer);
	}
	/* Last, because fn may stop the timer; its block lives until the round ends. */
	timer->fn(timer->arg);
}

static void loop_timer_arm(struct loop_timer *timer)
{
	uint64_t due_ms = (timer->due + NS_PER_MS - 1) / NS_PER_MS;
	uint64_t now_ms;

	/* The loop's own idea of now is as old as the round, or as the loop. */
	uv_update_time(timer->uv.loop);
	now_ms = uv_now(timer->uv.loop);
	uv_timer_start(&timer->uv, loop_timer_fired, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

struct loop_timer *loop_timer_start(struct loop *loop, dur_ns after, dur_ns every, loop_fn fn,
				    void *arg)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	timer->fn = fn;
	timer->arg = arg;
	uv_timer_init(&loop->uv, &timer->uv); /* has no way to fail */
	loop_timer_again(timer, after, every);
	return timer;
}

void loop_timer_again(struct loop_timer *timer, dur_ns after, dur_ns every)
{
	timer->due = uv_hrtime() + after;
	timer->every = every;
	loop_timer_arm(timer);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (timer)
		loop_source_close((uv_handle_t *)&timer->uv, NULL);
}

static void loop_fd_ready(uv_poll_t *uv, int status, int events)
{
	struct loop_fd *watch = (struct loop_fd *)uv;
	unsigned ready = 0;

	if (events & UV_READABLE)
		ready |= LOOP_READ;
	if (events & UV_WRITABLE)
		ready |= LOOP_WRITE;
	if (events & UV_PRIORITIZED)
		ready |= LOOP_PRIORITY;
	/* An error on the descriptor comes as a negative status, and libuv has stopped. */
	if (status < 0 || (events & UV_DISCONNECT))
		ready |= LOOP_HANGUP;
	watch->fn(watch->arg, watch->fd, ready);
}

struct loop_fd *loop_fd_watch(struct loop *loop, int fd, unsigned events, loop_fd_fn fn, void *arg)
{
	struct loop_fd *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->fd = fd;
	watch->fn = fn;
	watch->arg = arg;
	/* On failure libuv has not taken the handle into its loop, so the block is still ours. */
	if (uv_poll_init(&loop->uv, &watch->uv, fd) < 0) {
		free(watch);
		return NULL;
	}
	loop_fd_change(watch, events);
	return watch;
}

void loop_fd_change(struct loop_fd *watch, unsigned events)
{
	int wanted = 0;

	if (events & LOOP_READ)
		wanted |= UV_READABLE;
	if (events & LOOP_WRITE)
		wanted |= UV_WRITABLE;
	if (events & LOOP_HANGUP)
		wanted |= UV_DISCONNECT;
	if (events & LOOP_PRIORITY)
		wanted |= UV_PRIORITIZED;
	/* Starting with no events is libuv's way of stopping. */
	uv_poll_start(&watch->uv, wanted, loop_fd_ready);
}

void loop_fd_unwatch(struct loop_fd *watch)
{
	if (watch)
		loop_source_close((uv_handle_t *)&watch->uv, NULL);
}

static void loop_signal_caught(uv_signal_t *uv, int signum)
{
	struct loop_signal *source = (struct loop_signal *)uv;

	source->fn(source->arg, signum);
}

struct loop_signal *loop_signal_catch(struct loop *loop, int signum, loop_signal_fn fn, void *arg)
{
	struct loop_signal *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->fn = fn;
	source->arg = arg;
	if (uv_signal_init(&loop->uv, &source->uv) < 0) {
		free(source);
		return NULL;
	}
	if (uv_signal_start(&source->uv, loop_signal_caught, signum) < 0) {
		loop_signal_release(source);
		return NULL;
	}
	return source;
}

void loop_signal_release(struct loop_signal *source)
{
	if (source)
		loop_source_close((uv_handle_t *)&source->uv, NULL);
}

static void loop_wakeup_rung(uv_async_t *uv)
{
	struct loop_wakeup *wakeup = (struct loop_wakeup *)uv;

	/* Partner: loop_wake(). From here on a ring leads to another call. */
	__atomic_exchange_n(&wakeup->rung, 0, __ATOMIC_ACQ_REL);
	wakeup->fn(wakeup->arg);
}

struct loop_wakeup *loop_wakeup_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_wakeup *wakeup = calloc(1, sizeof(*wakeup));

	if (!wakeup)
		return NULL;
	wakeup->fn = fn;
	wakeup->arg = arg;
	if (uv_async_init(&loop->uv, &wakeup->uv, loop_wakeup_rung) < 0) {
		free(wakeup);
		return NULL;
	}
	return wakeup;
}

/*
 * libuv 1.44 looks at its own flag with a plain load before it rings, so what a thread wrote just
 * before could still be on its way when the loop clears that flag and looks: a lost wake-up. `rung`
 * closes the gap, since exchanges of one word have one order. Ours before the loop's: that one
 * reads it and sees what we wrote. Ours after: we read its 0, so libuv's flag is clear for us too,
 * and we ring.
 */
void loop_wake(struct loop_wakeup *wakeup)
{
	/* Partner: loop_wakeup_rung(). */
	if (__atomic_exchange_n(&wakeup->rung, 1, __ATOMIC_ACQ_REL) == 0)
		uv_async_send(&wakeup->uv);
}

void loop_wakeup_free(struct loop_wakeup *wakeup)
{
	if (wakeup)
		loop_source_close((uv_handle_t *)&wakeup->uv, NULL);
}
