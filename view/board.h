/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board: what stands apart from the series table, published once a tick by the writer and
 * taken by reader threads: process status, collectors, objectives, alerts, scalers, gauges, hosts.
 * A published board never changes; it is counted by references.
 */
#ifndef VOW_VIEW_BOARD_H
#define VOW_VIEW_BOARD_H

#include "lib/data/exemplar.h"
#include "lib/data/traced.h"
#include "lib/model/judge.h"

struct board_collector {
	char host[SERIES_NAME_MAX + 1];
	char name[32], tier[16];
	uint64_t events_total;
	struct {
		char reason[32];
		uint64_t total;
	} drops[16];
	unsigned drop_count;
	char detail[480], problem[240];
};

struct board_objective {
	struct objective objective;
	uint64_t good, bad;
	double compliance_ratio, budget_left_ratio, burn_long, burn_short, coverage_ratio;
	bool exact;
	enum alert_state alert;
	wall_ns alert_changed;
};

struct board_alert { /* one transition, newest first */
	char host[SERIES_NAME_MAX + 1]; /* whose judge; "" the fleet's */
	wall_ns at;
	struct alert_action alert;
};

struct board_scaler {
	struct scaler scaler;
	bool has_value;
	double value;
	unsigned replicas;
};

struct board_decision { /* newest first */
	char host[SERIES_NAME_MAX + 1];
	wall_ns at;
	struct scale_action scale;
};

struct board_host { /* hub: each agent; agent: itself */
	char host[SERIES_NAME_MAX + 1];
	char version[32];
	wall_ns last_seen;
	uint64_t last_seq;
	uint64_t gap_records_total; /* records that are known to be lost */
	bool connected;
	char problem
		[160]; /* hub: with the host's records ("record 7 cannot be read: ..."); "" none */
};

#define BOARD_HISTORY 128 /* alerts, and decisions, kept */

struct board {
	/* the process */
	char program[16], version[32], host[SERIES_NAME_MAX + 1], scope[80], config_path[512];
	uint32_t pid;
	wall_ns started; /* this process */
	wall_ns counted_since; /* totals began: the first start of this state folder; 0 unknown */
	wall_ns at; /* the tick that the board shows */
	uint64_t rss_bytes;
	double cpu_ratio; /* of one core, over the last seconds */
	uint64_t series, series_other_total, series_bytes;
	uint64_t ticks_total, journal_seq, journal_acked_seq, journal_bytes;
	uint64_t journal_dropped_records_total, journal_failures_total;
	/* What this process found broken as it started; records that it merged into later ones. */
	uint64_t journal_torn_total, journal_quarantined_total, journal_lost_records_total;
	uint64_t journal_merged_records_total;
	char trouble[240]; /* what goes wrong now ("journal: No space left"); "" all is well */

	struct board_collector *collectors;
	size_t collector_count;
	struct board_objective *objectives;
	size_t objective_count;
	struct board_alert *alerts;
	size_t alert_count;
	struct board_scaler *scalers;
	size_t scaler_count;
	struct board_decision *decisions;
	size_t decision_count;
	struct gauge *gauges;
	size_t gauge_count;
	struct board_host *hosts;
	size_t host_count;
	struct traced_row *traced;
	size_t traced_count;
	struct exemplar_book *exemplars; /* a reference; NULL: none are known */

	unsigned references; /* atomic; board_ref(), board_unref() */
};

/* An empty board of one reference; arrays are malloc'ed by who fills them and freed with it. */
struct board *board_new(void);
struct board *board_ref(struct board *board);
void board_unref(struct board *board); /* NULL is allowed */

/*
 * The name of the host that a row is of: rows of an agent leave out its own. "" where it is the
 * fleet's.
 */
const char *board_host_of(const struct board *board, const char *host);

/* Fills objectives and scalers from what stands in the judge. -ENOMEM. */
int board_from_judge(struct board *board, const struct judge *judge);
/* Copies all gauges of the table, ordered by host, service, name and label. -ENOMEM. */
int board_from_gauges(struct board *board, const struct gauge_table *gauges);

/*
 * The latest alerts and decisions, kept by the writer from tick to tick: BOARD_HISTORY of each,
 * newest first. board_from_history() copies them. -ENOMEM.
 */
struct board_history;
struct board_history *board_history_new(void);
void board_history_free(struct board_history *history);
void board_history_add(struct board_history *history, const char *host,
		       const struct action *action);
int board_from_history(struct board *board, const struct board_history *history);

/* The place where a writer publishes and readers take: a mutex held for a pointer's copy. */
struct board_post;
struct board_post *board_post_new(void);
void board_post_free(struct board_post *post);
void board_publish(struct board_post *post, struct board *board); /* takes over the reference */
struct board *board_take(struct board_post *post); /* one more reference; NULL before the first */

#endif
