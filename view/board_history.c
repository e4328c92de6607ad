/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "view/board.h"

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
