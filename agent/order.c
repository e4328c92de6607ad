/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/order.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum desk_stage { DESK_FREE, DESK_GIVEN, DESK_DONE };

struct order_desk {
	pthread_mutex_t mutex; /* of all that follows but fn, arg and wakeup */
	enum desk_stage stage;
	struct order order;
	int rc;
	struct diag outcome;
	struct loop_wakeup *giver;
	struct loop_wakeup *wakeup; /* of the thread that carries orders out */
	order_fn fn;
	void *arg;
};

static enum desk_stage desk_look(struct order_desk *desk, struct order *order)
{
	enum desk_stage stage;

	pthread_mutex_lock(&desk->mutex);
	stage = desk->stage;
	*order = desk->order;
	pthread_mutex_unlock(&desk->mutex);
	return stage;
}

static void on_given(void *arg)
{
	struct order_desk *desk = arg;
	struct diag outcome = {0};
	struct order order;

	if (desk_look(desk, &order) != DESK_GIVEN)
		return;
	int rc = desk->fn(desk->arg, &order, &outcome);
	pthread_mutex_lock(&desk->mutex);
	desk->rc = rc;
	desk->outcome = outcome;
	desk->stage = DESK_DONE;
	if (desk->giver)
		loop_wake(desk->giver);
	pthread_mutex_unlock(&desk->mutex);
}

struct order_desk *order_desk_new(struct loop *loop, order_fn fn, void *arg)
{
	struct order_desk *desk = calloc(1, sizeof(*desk));

	if (!desk)
		return NULL;
	desk->fn = fn;
	desk->arg = arg;
	desk->wakeup = loop_wakeup_new(loop, on_given, desk);
	if (!desk->wakeup) {
		free(desk);
		return NULL;
	}
	pthread_mutex_init(&desk->mutex, NULL);
	return desk;
}

void order_desk_free(struct order_desk *desk)
{
	if (!desk)
		return;
	loop_wakeup_free(desk->wakeup);
	pthread_mutex_destroy(&desk->mutex);
	free(desk);
}

void order_desk_wakes(struct order_desk *desk, struct loop_wakeup *giver)
{
	pthread_mutex_lock(&desk->mutex);
	desk->giver = giver;
	pthread_mutex_unlock(&desk->mutex);
}

int order_desk_give(struct order_desk *desk, const struct order *order)
{
	bool taken;

	pthread_mutex_lock(&desk->mutex);
	taken = desk->stage == DESK_FREE;
	if (taken) {
		desk->order = *order;
		desk->stage = DESK_GIVEN;
	}
	pthread_mutex_unlock(&desk->mutex);
	if (!taken)
		return -EBUSY;
	loop_wake(desk->wakeup);
	return 0;
}

bool order_desk_take(struct order_desk *desk, int *rc, struct diag *d)
{
	bool done;

	pthread_mutex_lock(&desk->mutex);
	done = desk->stage == DESK_DONE;
	if (done) {
		*rc = desk->rc;
		*d = desk->outcome;
		desk->stage = DESK_FREE;
	}
	pthread_mutex_unlock(&desk->mutex);
	return done;
}
