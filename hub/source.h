/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agents that a hub knows, each life of a journal (agent, epoch) as one source: how far it is
 * durable and accepted, what it calls its series, what its collectors reported and dropped. One
 * thread.
 */
#ifndef VOW_HUB_SOURCE_H
#define VOW_HUB_SOURCE_H

#include "hub/intake.h"
#include "store/store.h"
#include "view/board.h"

struct merge_peer;

#define SOURCE_COLLECTORS 16 /* of one agent; further ones are not shown */
/*
 * Sources in memory: two lives for each of the 10000 streams that the server takes. One that comes
 * back from the store or is new beyond that is refused, so that nobody fills the memory with agents
 * that he makes up.
 */
#define SOURCES_MAX 20000

struct source {
	struct source *next;
	struct store_agent row; /* as it is durable */
	struct store_agent next_row; /* as it will be once the open group is committed */
	bool touched; /* next_row is to be written */
	bool superseded; /* the agent made its journal anew: another life is the newer one */
	bool names_lost; /* series numbers must be learnt from the journal's oldest segment on */
	struct intake_names names;
	struct board_collector *collectors; /* grows one by one: most agents have three */
	unsigned collector_count;
	char problem[160]; /* with its records, the newest; "" none */
	struct merge_peer *owner; /* the stream that feeds it now; NULL: not connected */
};

struct sources;
struct sources *sources_new(void);
void sources_free(struct sources *sources); /* NULL is allowed */

bool sources_full(const struct sources *sources);
/* Copies row; its names count as lost. The caller sees to SOURCES_MAX. NULL when memory lacks. */
struct source *sources_add(struct sources *sources, const struct store_agent *row);
void sources_forget(struct sources *sources, struct source *source); /* and frees it */
struct source *sources_find(const struct sources *sources, const uint8_t id[STORE_ID_SIZE],
			    uint64_t epoch);
struct source *sources_find_no(const struct sources *sources, int64_t no);
/* Whether an agent calls its host so. */
bool sources_have_host(const struct sources *sources, const char *host);
/* Of all lives of its agent this one was heard of last. */
void sources_prefer(struct sources *sources, struct source *source);
struct source *sources_first(const struct sources *sources); /* then ->next */

/* The group was committed: true when the source had a part in it. */
bool source_settle(struct source *source);
/* The group is lost: every source stands again where it is durable. */
void sources_roll_back(struct sources *sources);

/* Running totals of collectors, for the board; the newest wins. */
void source_take_totals(struct source *source, const struct intake *intake);

/* A record of the source could not be read, for the board. */
void source_take_refused(struct source *source, uint64_t seq, const char *reason);

/* Fills hosts (the newest life of each agent) and their collectors. -ENOMEM. */
int sources_board(const struct sources *sources, struct board *board);

#endif
