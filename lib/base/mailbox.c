/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of slots, each with a turn (after Dmitry Vyukov's bounded queue).
 *
 * Roles: any number of senders; one receiver, the loop's thread.
 * Turn of slot i in lap l (position p = l * size + i): p, free for the sender that gets p; p + 1,
 * filled; the receiver makes it p + size, free in the next lap.
 * Order: a sender claims p by compare-and-swap of `tail`, writes the message, then publishes with
 * a release store of the turn; the receiver's acquire load of that turn is its partner, and the
 * other way round for the slot that becomes free again.
 * Progress: a sender never waits for another. The receiver stops at a claimed slot that is not
 * published yet and comes back by that sender's own wake-up, which always follows its publishing:
 * so no message is left lying. A thread that died between the two would hold up what is behind
 * it, but threads here end only with their process.
 */
#include "lib/base/mailbox.h"

#include <errno.h>
#include <stdlib.h>

#define MAILBOX_CAPACITY_MAX (UINT64_C(1) << 20)

struct slot {
	uint64_t turn;
	void *message;
};

struct mailbox {
	/* Senders' words and the receiver's are on lines of their own. */
	uint64_t tail __attribute__((aligned(64)));
	uint64_t refused_total;
	uint64_t head __attribute__((aligned(64))); /* receiver only */
	mailbox_fn fn;
	void *arg;
	struct loop_wakeup *wakeup;
	uint64_t size; /* a power of two */
	struct slot slots[];
};

static struct slot *mailbox_slot_at(struct mailbox *mailbox, uint64_t position)
{
	return &mailbox->slots[position & (mailbox->size - 1)];
}

/* The next message in order, or NULL. Receiver only. */
static void *mailbox_pop(struct mailbox *mailbox)
{
	struct slot *slot = mailbox_slot_at(mailbox, mailbox->head);
	void *message;

	/* Partner: the release store in mailbox_push(). */
	if (__atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) != mailbox->head + 1)
		return NULL;
	message = slot->message;
	/* Partner: the acquire load in mailbox_push(), a lap later. */
	__atomic_store_n(&slot->turn, mailbox->head + mailbox->size, __ATOMIC_RELEASE);
	mailbox->head++;
	return message;
}

/* At most one lap a call, so that busy senders cannot keep the loop from its other sources. */
static void mailbox_deliver(void *arg)
{
	struct mailbox *mailbox = arg;

	for (uint64_t n = 0; n < mailbox->size; n++) {
		void *message = mailbox_pop(mailbox);

		if (!message)
			return;
		mailbox->fn(mailbox->arg, message);
	}
	loop_wake(mailbox->wakeup);
}

struct mailbox *mailbox_new(struct loop *loop, size_t capacity, mailbox_fn fn, void *arg)
{
	struct mailbox *mailbox;
	uint64_t size = 2; /* with one slot, filled and free of the next lap were the same turn */
	size_t bytes;

	while (size < capacity && size < MAILBOX_CAPACITY_MAX)
		size *= 2;
	bytes = sizeof(*mailbox) + size * sizeof(struct slot);
	mailbox = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!mailbox)
		return NULL;
	*mailbox = (struct mailbox){.fn = fn, .arg = arg, .size = size};
	for (uint64_t i = 0; i < size; i++)
		mailbox->slots[i] = (struct slot){.turn = i};
	mailbox->wakeup = loop_wakeup_new(loop, mailbox_deliver, mailbox);
	if (!mailbox->wakeup) {
		free(mailbox);
		return NULL;
	}
	return mailbox;
}

int mailbox_push(struct mailbox *mailbox, void *message)
{
	uint64_t position = __atomic_load_n(&mailbox->tail, __ATOMIC_RELAXED);
	struct slot *slot;

	for (;;) {
		uint64_t turn;

		slot = mailbox_slot_at(mailbox, position);
		/* Partner: the release store in mailbox_pop(). */
		turn = __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE);
		if (turn == position) {
			/* A failure stores the tail it found into position: the next try. */
			if (__atomic_compare_exchange_n(&mailbox->tail, &position, position + 1,
							true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
		} else if ((int64_t)(turn - position) < 0) {
			/* Not yet emptied since the last lap. */
			__atomic_fetch_add(&mailbox->refused_total, 1, __ATOMIC_RELAXED);
			return -ENOBUFS;
		} else {
			position = __atomic_load_n(&mailbox->tail, __ATOMIC_RELAXED);
		}
	}
	slot->message = message;
	/* Partner: the acquire load in mailbox_pop(). */
	__atomic_store_n(&slot->turn, position + 1, __ATOMIC_RELEASE);
	loop_wake(mailbox->wakeup);
	return 0;
}

uint64_t mailbox_refused_total(struct mailbox *mailbox)
{
	return __atomic_load_n(&mailbox->refused_total, __ATOMIC_RELAXED);
}

void mailbox_free(struct mailbox *mailbox, mailbox_fn drop)
{
	void *message;

	if (!mailbox)
		return;
	while ((message = mailbox_pop(mailbox)))
		if (drop)
			drop(mailbox->arg, message);
	loop_wakeup_free(mailbox->wakeup);
	free(mailbox);
}
