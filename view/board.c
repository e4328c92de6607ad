/* SPDX-License-Identifier: Apache-2.0 */
#include "view/board.h"

#include <pthread.h>
#include <stdlib.h>

struct board *board_new(void)
{
	struct board *board = calloc(1, sizeof(*board));

	if (board)
		board->references = 1;
	return board;
}

struct board *board_ref(struct board *board)
{
	/* Whoever hands out the pointer holds a reference: nothing to order against. */
	__atomic_fetch_add(&board->references, 1, __ATOMIC_RELAXED);
	return board;
}

void board_unref(struct board *board)
{
	/* Release and acquire pair among the unrefs: the last one frees after all others' reads. */
	if (!board || __atomic_fetch_sub(&board->references, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	free(board->collectors);
	free(board->objectives);
	free(board->alerts);
	free(board->scalers);
	free(board->decisions);
	free(board->gauges);
	free(board->hosts);
	free(board->traced);
	exemplar_book_unref(board->exemplars);
	free(board);
}

struct board_post {
	pthread_mutex_t mutex; /* of latest; held for the copy of a pointer */
	struct board *latest;
};

struct board_post *board_post_new(void)
{
	struct board_post *post = calloc(1, sizeof(*post));

	if (post)
		pthread_mutex_init(&post->mutex, NULL);
	return post;
}

void board_post_free(struct board_post *post)
{
	if (!post)
		return;
	board_unref(post->latest);
	pthread_mutex_destroy(&post->mutex);
	free(post);
}

void board_publish(struct board_post *post, struct board *board)
{
	struct board *previous;

	pthread_mutex_lock(&post->mutex);
	previous = post->latest;
	post->latest = board;
	pthread_mutex_unlock(&post->mutex);
	board_unref(previous);
}

struct board *board_take(struct board_post *post)
{
	struct board *board;

	pthread_mutex_lock(&post->mutex);
	board = post->latest ? board_ref(post->latest) : NULL;
	pthread_mutex_unlock(&post->mutex);
	return board;
}

const char *board_host_of(const struct board *board, const char *host)
{
	return host[0] || strcmp(board->scope, "fleet") == 0 ? host : board->host;
}
