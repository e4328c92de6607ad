/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which services are to have their requests within TLS read: those that the configuration names, and
 * those that somebody asked for by command, for a while. Orders outlive a new configuration, unless it
 * forbids them, and end with vowd. One thread; neither blocks nor allocates.
 */
#ifndef VOW_COLLECTORS_TLS_WANTED_H
#define VOW_COLLECTORS_TLS_WANTED_H

#include "config/config.h"
#include "lib/base/diag.h"
#include "lib/data/traced.h"

#define TLS_ASKED_MAX 16 /* services by command at a time */

struct tls_asked {
	char service[SERIES_NAME_MAX + 1];
	wall_ns since, until; /* as they are shown */
	mono_ns until_at; /* 0: a free place */
	bool met; /* a process of it was */
};

struct tls_wanted {
	const struct vow_config *config; /* the caller's */
	struct tls_asked asked[TLS_ASKED_MAX];
};

/* Whether the configuration names it, by a pattern. */
bool tls_wanted_configured(const struct tls_wanted *wanted, const char *service);
/* The order for it; NULL when there is none. */
const struct tls_asked *tls_wanted_asked(const struct tls_wanted *wanted, const char *service);
bool tls_wanted_has(const struct tls_wanted *wanted, const char *service);
/* How many patterns and orders there are. */
unsigned tls_wanted_count(const struct tls_wanted *wanted);

/* A process of that service is there: whether it is wanted. */
bool tls_wanted_meets(struct tls_wanted *wanted, const char *service);

/*
 * Takes an order; a further one for a service says anew how long. 0; -ENOTSUP: the configuration
 * allows none; -ENOSPC: there are too many; of one that ends, -ENOENT: there was none, -EBUSY: the
 * configuration names the service. d then says what to do.
 */
int tls_wanted_order(struct tls_wanted *wanted, const struct trace_order *order, mono_ns now,
		     wall_ns wall, struct diag *d);
/* Ends what has lasted long enough. */
void tls_wanted_expire(struct tls_wanted *wanted, mono_ns now);
/* Another configuration; returns how many orders it has ended. */
unsigned tls_wanted_reload(struct tls_wanted *wanted, const struct vow_config *config);

#endif
