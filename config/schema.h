/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of vow.yaml: which keys there are and how they nest. Values are texts here; convert.c
 * gives them their meaning. NULL is a key that was not given. One thread; allocates.
 */
#ifndef VOW_CONFIG_SCHEMA_H
#define VOW_CONFIG_SCHEMA_H

#include <stdint.h>

#include "config/document.h"
#include "config/mistakes.h"

struct raw_texts {
	char **texts;
	uint64_t count;
};

struct raw_capture {
	char *http, *lanes, *keep, *host, *http_ring, *http_tier, *btf, *http_budget, *http_busy,
		*routes_per_service, *traces, *peer_names, *delivery_quiet, *tls_on_demand;
	struct raw_texts delivery_ids, event_types, tls;
};

struct raw_process {
	char *command, *port, *cgroup;
};

struct raw_service {
	struct raw_process match;
	char *name;
	struct raw_texts routes;
};

struct raw_peer {
	char *name;
	struct raw_texts addresses;
};

struct raw_match {
	char *service, *kind, *role, *method, *route, *peer;
};

struct raw_alert {
	char *burn_rate, *long_window, *short_window, *clear_after, *min_bad, *severity;
};

struct raw_objective {
	char *name, *threshold, *target, *period;
	struct raw_match match;
	struct raw_alert alert;
};

struct raw_scaler {
	char *name, *signal, *gauge, *combine, *target, *minimum, *maximum, *deadband;
	char *up_cooldown, *down_cooldown;
	struct raw_match match;
};

struct raw_receiver {
	char *name, *url, *secret, *secret_file, *timeout;
	struct raw_texts events;
};

struct raw_journal {
	char *segment, *budget, *age, *free_space, *fsync;
};

struct raw_tls {
	char *ca, *certificate, *key;
};

struct raw_config {
	char *host, *series_max, *forget_agents;
	struct raw_capture capture;
	struct raw_journal journal;
	struct raw_tls tls;
	struct raw_texts routes;
	struct raw_service *services;
	uint64_t service_count;
	struct raw_peer *peers;
	uint64_t peer_count;
	/* NULL: not given, the defaults stand; given, even empty, they replace the defaults. */
	struct raw_objective *objectives;
	uint64_t objective_count;
	struct raw_scaler *scaling;
	uint64_t scaler_count;
	struct raw_receiver *receivers;
	uint64_t receiver_count;
};

/*
 * Checks the document against the shape and reads the same text into *raw, which is the caller's:
 * schema_free(). *raw is NULL for an empty file. -EINVAL with d saying file:line, what, and the
 * fix; -ENOMEM. When mistakes lets it pass, a key that is not known is left out, and the rest read.
 */
int schema_load(const struct document *document, const char *text, size_t size,
		struct raw_config **raw, struct mistakes *mistakes, struct diag *d);
void schema_free(struct raw_config *raw); /* NULL is allowed */

#endif
