/* SPDX-License-Identifier: Apache-2.0 */
#include "view/board.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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
	free(board);
}

int board_from_judge(struct board *board, const struct judge *judge)
{
	unsigned objectives = judge_objectives(judge), scalers = judge_scalers(judge);
	/* One more than needed, so that NULL always means that memory lacks. */
	struct board_objective *objective = calloc(objectives + 1, sizeof(*objective));
	struct board_scaler *scaler = calloc(scalers + 1, sizeof(*scaler));

	if (!objective || !scaler) {
		free(objective);
		free(scaler);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < objectives; i++) {
		struct objective_report report;

		judge_objective_report(judge, i, &report);
		objective[i] = (struct board_objective){
			.objective = *report.objective,
			.good = report.good,
			.bad = report.bad,
			.compliance_ratio = report.compliance_ratio,
			.budget_left_ratio = report.budget_left_ratio,
			.burn_long = report.burn_long,
			.burn_short = report.burn_short,
			.coverage_ratio = report.coverage_ratio,
			.exact = report.exact,
			.alert = report.alert,
			.alert_changed = report.alert_changed,
		};
	}
	for (unsigned i = 0; i < scalers; i++) {
		struct scaler_report report;

		judge_scaler_report(judge, i, &report);
		scaler[i] = (struct board_scaler){
			.scaler = *report.scaler,
			.has_value = report.has_value,
			.value = report.value,
			.replicas = report.replicas,
		};
	}
	free(board->objectives);
	free(board->scalers);
	board->objectives = objective;
	board->objective_count = objectives;
	board->scalers = scaler;
	board->scaler_count = scalers;
	return 0;
}

int board_from_gauges(struct board *board, const struct gauge_table *gauges)
{
	size_t count = gauge_count(gauges);
	struct gauge *copy = calloc(count + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		copy[i] = *gauge_at(gauges, i);
	free(board->gauges);
	board->gauges = copy;
	board->gauge_count = count;
	return 0;
}

/*
 * Two rings of the latest entries. `alerts` and `decisions` count all that ever came; entry n
 * stands in slot n % BOARD_HISTORY. Slots that were never used cost no memory, being whole pages
 * of a fresh calloc.
 */
struct board_history {
	uint64_t alerts, decisions;
	struct board_alert alert[BOARD_HISTORY];
	struct board_decision decision[BOARD_HISTORY];
};

struct board_history *board_history_new(void)
{
	return calloc(1, sizeof(struct board_history));
}

void board_history_free(struct board_history *history)
{
	free(history);
}

static void board_name_set(char name[SERIES_NAME_MAX + 1], const char *text)
{
	size_t length = strnlen(text, SERIES_NAME_MAX);

	memcpy(name, text, length);
	name[length] = '\0';
}

void board_history_add(struct board_history *history, const char *host, const struct action *action)
{
	if (action->kind == ACTION_ALERT) {
		struct board_alert *to = &history->alert[history->alerts++ % BOARD_HISTORY];

		board_name_set(to->host, host);
		to->at = action->at;
		to->alert = action->alert;
	} else {
		struct board_decision *to =
			&history->decision[history->decisions++ % BOARD_HISTORY];

		board_name_set(to->host, host);
		to->at = action->at;
		to->scale = action->scale;
	}
}

static size_t board_history_kept(uint64_t ever)
{
	return ever < BOARD_HISTORY ? ever : BOARD_HISTORY;
}

int board_from_history(struct board *board, const struct board_history *history)
{
	size_t alerts = board_history_kept(history->alerts);
	size_t decisions = board_history_kept(history->decisions);
	struct board_alert *alert = calloc(alerts + 1, sizeof(*alert));
	struct board_decision *decision = calloc(decisions + 1, sizeof(*decision));

	if (!alert || !decision) {
		free(alert);
		free(decision);
		return -ENOMEM;
	}
	for (size_t i = 0; i < alerts; i++)
		alert[i] = history->alert[(history->alerts - 1 - i) % BOARD_HISTORY];
	for (size_t i = 0; i < decisions; i++)
		decision[i] = history->decision[(history->decisions - 1 - i) % BOARD_HISTORY];
	free(board->alerts);
	free(board->decisions);
	board->alerts = alert;
	board->alert_count = alerts;
	board->decisions = decision;
	board->decision_count = decisions;
	return 0;
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
