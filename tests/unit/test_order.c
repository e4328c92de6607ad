/* SPDX-License-Identifier: Apache-2.0 */
/* Orders from one thread to another, one at a time, and what comes of them. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/order.h"
#include "tests/unit/check.h"

#define ORDERS 2000

struct scene {
	struct loop *carrying; /* the main thread's loop */
	struct order_desk *desk;
	struct loop *giving;
	unsigned carried, misread; /* the main thread's */
	unsigned given, refused, wrong; /* the other's */
	pthread_t thread;
};

/* Every third is refused. */
static int carry(void *arg, const struct order *order, struct diag *d)
{
	struct scene *scene = arg;

	scene->misread += order->trace.lasts != scene->carried || order->uid != 7;
	if (scene->carried++ % 3 == 2)
		return diag_set(d, -ENOENT, order->trace.service, NULL, "order %u",
				(unsigned)order->trace.lasts);
	return 0;
}

static void give(struct scene *scene)
{
	struct order order = {.trace = {.service = "web", .lasts = scene->given}, .uid = 7};

	scene->wrong += order_desk_give(scene->desk, &order) != 0;
	/* A second one at the same time has no room. */
	scene->wrong += order_desk_give(scene->desk, &order) != -EBUSY;
	scene->given++;
}

static void on_outcome(void *arg)
{
	struct scene *scene = arg;
	struct diag d = {0};
	char text[32];
	int rc = 0;

	if (!order_desk_take(scene->desk, &rc, &d))
		return;
	snprintf(text, sizeof(text), "order %u", scene->given - 1);
	if (rc) {
		scene->refused++;
		scene->wrong += rc != -ENOENT || strcmp(d.what, text) != 0;
	}
	scene->wrong += order_desk_take(scene->desk, &rc, &d);
	if (scene->given < ORDERS)
		give(scene);
	else
		loop_stop(scene->giving);
}

static void *giver(void *arg)
{
	struct scene *scene = arg;

	give(scene);
	loop_run(scene->giving);
	return NULL;
}

static void look(void *arg)
{
	struct scene *scene = arg;

	if (scene->carried == ORDERS)
		loop_stop(scene->carrying);
}

CHECK_TEST(test_each_order_is_carried_out_once_and_answered)
{
	struct scene scene = {.carrying = loop_new(), .giving = loop_new()};
	struct loop_wakeup *back = loop_wakeup_new(scene.giving, on_outcome, &scene);

	CHECK(loop_timer_start(scene.carrying, 0, NS_PER_MS, look, &scene));
	scene.desk = order_desk_new(scene.carrying, carry, &scene);
	CHECK(scene.desk && back);
	order_desk_wakes(scene.desk, back);
	CHECK_OK(pthread_create(&scene.thread, NULL, giver, &scene));
	loop_run(scene.carrying);
	pthread_join(scene.thread, NULL);
	order_desk_wakes(scene.desk, NULL);
	order_desk_free(scene.desk);
	loop_wakeup_free(back);
	loop_free(scene.carrying);
	loop_free(scene.giving);
	CHECK_EQ_U64(scene.carried, ORDERS);
	CHECK_EQ_U64(scene.refused, ORDERS / 3);
	CHECK_EQ_U64(scene.misread + scene.wrong, 0);
}

CHECK_MAIN("order", test_each_order_is_carried_out_once_and_answered)
