/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "lib/base/mailbox.h"
#include "tests/unit/check.h"

#define SENDERS	 4
#define MESSAGES 20000

struct letter {
	unsigned sender;
	unsigned number;
};

struct desk {
	struct loop *loop;
	struct mailbox *mailbox;
	unsigned next[SENDERS]; /* number expected from each */
	unsigned got;
	unsigned stop_at;
	unsigned disorder;
	unsigned dropped;
};

static void desk_take(void *arg, void *message)
{
	struct desk *desk = arg;
	struct letter *letter = message;

	if (letter->number != desk->next[letter->sender]++)
		desk->disorder++;
	free(letter);
	if (++desk->got == desk->stop_at)
		loop_stop(desk->loop);
}

static void desk_drop(void *arg, void *message)
{
	struct desk *desk = arg;

	free(message);
	desk->dropped++;
}

static struct letter *letter_new(unsigned sender, unsigned number)
{
	struct letter *letter = malloc(sizeof(*letter));

	CHECK(letter);
	*letter = (struct letter){sender, number};
	return letter;
}

struct sender {
	struct desk *desk;
	unsigned index;
	uint64_t refused;
};

static void *sender_run(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct letter *letter = letter_new(sender->index, i);

		while (mailbox_push(sender->desk->mailbox, letter) == -ENOBUFS) {
			sender->refused++;
			sched_yield();
		}
	}
	return NULL;
}

CHECK_TEST(test_each_message_arrives_once_and_in_its_senders_order)
{
	struct desk desk = {.loop = loop_new(), .stop_at = SENDERS * MESSAGES};
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	uint64_t refused = 0;

	/* Small, so that full and empty are met all the time. */
	desk.mailbox = mailbox_new(desk.loop, 16, desk_take, &desk);
	CHECK(desk.mailbox);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){&desk, i, 0};
		CHECK_OK(pthread_create(&threads[i], NULL, sender_run, &senders[i]));
	}
	CHECK_OK(loop_run(desk.loop));
	for (unsigned i = 0; i < SENDERS; i++) {
		CHECK_OK(pthread_join(threads[i], NULL));
		CHECK_EQ_U64(desk.next[i], MESSAGES);
		refused += senders[i].refused;
	}
	CHECK_EQ_U64(desk.disorder, 0);
	CHECK_EQ_U64(mailbox_refused_total(desk.mailbox), refused);
	mailbox_free(desk.mailbox, desk_drop);
	CHECK_EQ_U64(desk.dropped, 0);
	loop_free(desk.loop);
}

CHECK_TEST(test_full_mailbox_refuses_counts_and_keeps_what_it_has)
{
	struct desk desk = {.loop = loop_new(), .stop_at = 4};
	struct letter *fifth = letter_new(0, 4);

	desk.mailbox = mailbox_new(desk.loop, 3, desk_take, &desk);
	for (unsigned i = 0; i < 4; i++)
		CHECK_OK(mailbox_push(desk.mailbox, letter_new(0, i)));
	CHECK_RC(mailbox_push(desk.mailbox, fifth), -ENOBUFS);
	CHECK_RC(mailbox_push(desk.mailbox, fifth), -ENOBUFS);
	CHECK_EQ_U64(mailbox_refused_total(desk.mailbox), 2);
	CHECK_OK(loop_run(desk.loop));
	CHECK_EQ_U64(desk.got, 4);
	CHECK_OK(mailbox_push(desk.mailbox, fifth));
	mailbox_free(desk.mailbox, desk_drop);
	CHECK_EQ_U64(desk.dropped, 1);
	loop_free(desk.loop);
}

CHECK_TEST(test_smallest_mailbox_turns_many_laps)
{
	struct desk desk = {.loop = loop_new()};

	desk.mailbox = mailbox_new(desk.loop, 1, desk_take, &desk);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_OK(mailbox_push(desk.mailbox, letter_new(0, i)));
		desk.stop_at = i + 1;
		CHECK_OK(loop_run(desk.loop));
	}
	CHECK_EQ_U64(desk.disorder, 0);
	mailbox_free(desk.mailbox, desk_drop);
	loop_free(desk.loop);
}

CHECK_TEST(test_lack_of_memory_is_null)
{
	struct loop *loop = loop_new();

	CHECK_ALLOC_LOOP(n)
	{
		struct mailbox *mailbox = mailbox_new(loop, 8, desk_take, NULL);

		CHECK(!mailbox == check_alloc_failed());
		mailbox_free(mailbox, NULL);
	}
	loop_free(loop);
}

CHECK_MAIN("mailbox", test_each_message_arrives_once_and_in_its_senders_order,
	   test_full_mailbox_refuses_counts_and_keeps_what_it_has,
	   test_smallest_mailbox_turns_many_laps, test_lack_of_memory_is_null)
