/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could not be written to the journal yet (a full disk): the deltas of failed ticks, added up
 * series by series, and the actions. The next record that can be written carries them, so an
 * outage of the disk costs resolution in time, never counts. Main thread.
 */
#ifndef VOW_AGENT_BACKLOG_H
#define VOW_AGENT_BACKLOG_H

#include "lib/model/action.h"

#define BACKLOG_ACTIONS 256 /* oldest go beyond this, counted */

struct backlog;
struct backlog *backlog_new(void);
void backlog_free(struct backlog *backlog);

/* Whether adding it loses no count: what is owed of the series has the same thresholds. */
bool backlog_fits(const struct backlog *backlog, const struct series_delta *delta);
/* Adds what a tick had. -ENOMEM: this delta is not kept, and backlog_lost_total() says so. */
int backlog_add_delta(struct backlog *backlog, const struct series_delta *delta);
void backlog_add_action(struct backlog *backlog, const struct action *action);

bool backlog_empty(const struct backlog *backlog);
/*
 * Hands out every series as one delta, in order of id, and every action, oldest first; keeps them
 * until backlog_clear(). A non-zero return of a callback ends the walk and is handed up.
 */
int backlog_deltas(struct backlog *backlog, int (*fn)(void *arg, const struct series_delta *delta),
		   void *arg);
int backlog_actions(struct backlog *backlog, int (*fn)(void *arg, const struct action *action),
		    void *arg);
void backlog_clear(struct backlog *backlog);
/* Events that could not even be added. */
void backlog_lose(struct backlog *backlog, uint64_t events);
/* Events whose delta could not be kept, plus actions beyond the cap. */
uint64_t backlog_lost_total(const struct backlog *backlog);

#endif
