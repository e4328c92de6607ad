/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "view/board.h"

CHECK_TEST(test_history_is_newest_first_and_forgets_the_oldest)
{
	struct board_history *history = board_history_new();
	struct board *board = board_new();

	for (unsigned i = 0; i < BOARD_HISTORY + 5; i++) {
		struct action alert = {.kind = ACTION_ALERT, .at = i};

		board_history_add(history, "web1", &alert);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct action scale = {.kind = ACTION_SCALE, .at = i, .scale = {.to = i}};

		board_history_add(history, "", &scale);
	}
	CHECK_OK(board_from_history(board, history));
	CHECK_EQ_U64(board->alert_count, BOARD_HISTORY);
	CHECK_EQ_U64(board->alerts[0].at, BOARD_HISTORY + 4);
	CHECK_EQ_U64(board->alerts[BOARD_HISTORY - 1].at, 5);
	CHECK_STR(board->alerts[0].host, "web1");
	CHECK_EQ_U64(board->decision_count, 2);
	CHECK_EQ_U64(board->decisions[0].scale.to, 1);
	CHECK_EQ_U64(board->decisions[1].scale.to, 0);
	board_unref(board);
	board_history_free(history);
}

CHECK_TEST(test_taken_board_stays_while_a_newer_one_is_published)
{
	struct board_post *post = board_post_new();
	struct board *first = board_new(), *second = board_new(), *taken;

	CHECK(!board_take(post));
	first->pid = 1;
	second->pid = 2;
	board_publish(post, first);
	taken = board_take(post);
	board_publish(post, second);
	CHECK_EQ_U64(taken->pid, 1);
	board_unref(taken);
	taken = board_take(post);
	CHECK_EQ_U64(taken->pid, 2);
	board_post_free(post);
	CHECK_EQ_U64(taken->pid, 2);
	board_unref(taken);
}

CHECK_MAIN("board", test_history_is_newest_first_and_forgets_the_oldest,
	   test_taken_board_stays_while_a_newer_one_is_published)
