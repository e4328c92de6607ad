/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of all programs: one YAML file, by default DIR/vow.yaml when --dir is given,
 * else /etc/vow/vow.yaml; without a file every value has a sound default. Unknown keys, wrong
 * types and values out of range are errors that name file, line and the fix.
 */
#ifndef VOW_CONFIG_CONFIG_H
#define VOW_CONFIG_CONFIG_H

#include "lib/base/diag.h"
#include "lib/model/policy.h"

struct service_match { /* processes that match every given part get the name */
	char command[64]; /* comm or name of the executable; "" any */
	char cgroup[128]; /* a part of the cgroup path; "" any */
	uint16_t port; /* local port of the server side; 0 any */
	char service[SERIES_NAME_MAX + 1];
};

struct route_template { /* "/api/suppliers/{id}" */
	char service[SERIES_NAME_MAX + 1]; /* "" any service */
	char pattern[SERIES_ROUTE_MAX + 1];
};

#define CONFIG_PEERS_MAX 256 /* looked through for each new peer */

struct peer_address { /* a peer that is called by name */
	uint8_t address[16]; /* as of IPv6, an IPv4 one mapped into it */
	uint8_t bits; /* of it that count, from the left; 128 all */
	uint16_t port; /* 0: any */
	char name[SERIES_NAME_MAX + 1];
};

struct receiver { /* who is told of alerts and scaling decisions: a signed JSON webhook */
	char name[POLICY_NAME_MAX + 1];
	char url[512];
	/* "whsec_..." (base64) or plain text; "" unsigned; wiped by config_free(). */
	char secret[128];
	bool alerts, scaling; /* what it receives; both by default */
	dur_ns timeout; /* of one attempt; 5 s */
};

#define HEADER_NAME_MAX 31
/*
 * Of each sort, ids and types: with traceparent and Host the kernel side has room for 16. Content-Type
 * is looked for only where a field of bodies is named, which takes one of the 7 and is no header.
 */
#define HEADER_NAMES	7
#define EVENT_FIELD	"json:" /* in front of a name: a field of JSON bodies, and no header */
#define EVENT_FIELD_MAX 23 /* characters of that name */
#define EVENT_FIELDS	4 /* of them; the kernel side has no room for more */

struct header_names { /* each as config/convert.c says, in any case of letters */
	char names[HEADER_NAMES][HEADER_NAME_MAX + 1];
	unsigned count;
};

#define SERVICE_PATTERNS 16

struct service_patterns { /* names of services, in which * stands for anything */
	char names[SERVICE_PATTERNS][SERIES_NAME_MAX + 1];
	unsigned count;
};

struct vow_config {
	char path[512]; /* file that was read, "" for defaults */
	char host[SERIES_NAME_MAX + 1]; /* default: gethostname() */

	bool capture_http; /* default true */
	bool capture_lanes; /* default true */
	dur_ns keep_patience; /* how long a keeper waits for the next vowd; 1 h; 0: without one */
	bool capture_host; /* default true */
	bool capture_traces; /* keep trace ids of traceparent headers; default true */
	bool capture_peer_names; /* peers by SNI and Host of connections; default true */
	struct header_names delivery_ids,
		event_types; /* request headers, and EVENT_FIELD...; see docs/configuration.md */
	dur_ns delivery_quiet; /* without an attempt, after which a delivery has failed; 5 min */
	bool tls_allowed; /* vowd may probe TLS libraries; default false */
	bool tls_on_demand; /* and of services that somebody asks for as well; default false */
	struct service_patterns tls_services; /* those whose requests within TLS are read */
	char capture_btf
		[512]; /* of tier C: file with the kernel's types; "", the default: its own */
	char http_tier; /* 'A', 'B' or 'C'; 0, the default: the best that the kernel takes */
	uint32_t http_ring_bytes; /* power of two, 256 KiB .. 64 MiB; 1 MiB */
	double http_budget_ratio; /* of all processors, 0 .. 1; 0.2; 0: no limit */
	uint32_t http_busy_per_s; /* requests/s of a service that gives way first; 1000 */
	uint32_t routes_per_service; /* cap before "{other}"; 200 */
	uint32_t series_max; /* 4096 */
	struct service_match *services;
	size_t service_count;
	struct route_template *templates;
	size_t template_count;
	struct peer_address *peers; /* the first that fits names a peer */
	size_t peer_count;

	dur_ns forget_agents; /* hub: silent for so long, an agent or a series is gone; 30 d; 0: never */

	struct policy policy;

	struct receiver *receivers;
	size_t receiver_count;

	uint64_t journal_segment_bytes, journal_budget_bytes;
	uint64_t journal_free_bytes; /* of the disk, left to others; 64 MiB */
	dur_ns journal_age; /* records older than this go; 7 d; 0: never */
	dur_ns journal_fsync_every; /* 0: never */

	/* mTLS between vow-export and vow-hub; all empty: plain, allowed on loopback only */
	char tls_ca[512], tls_certificate[512], tls_key[512];
};

/*
 * Reads path, or makes the defaults when path is NULL. *config is the caller's: config_free().
 * -ENOENT, -EACCES, -EFBIG (beyond 1 MiB) of the file; -EINVAL with d saying file:line, what, and
 * the fix; -ENOMEM. Reads secret files named in it as well. docs/configuration.md describes the
 * keys.
 */
int config_load(const char *path, struct vow_config **config, struct diag *d);

/*
 * What a careful reader would remark although the file is valid. Calls fn with each remark: with
 * err 0 what is good to know (how soon each alert fires), with -EINVAL what was hardly meant (an
 * alert that can never fire, a route template that another one hides). Returns how many of the
 * latter. fn may be NULL. Neither blocks nor allocates.
 */
typedef void (*config_remark_fn)(void *arg, const struct diag *remark);
unsigned config_remarks(const struct vow_config *config, config_remark_fn fn, void *arg);

/*
 * config_load() for who mends a file: behind a mistake it reads on, and calls fn with each in the
 * order of the file's sections, up to CONFIG_MISTAKES_MAX. What is wrong in shape (a list where a
 * single value belongs) hides the values until it is mended. -EINVAL with *config untouched when
 * there was one; other errors as config_load(), with d.
 */
#define CONFIG_MISTAKES_MAX 20 /* a screen of them */
int config_check(const char *path, struct vow_config **config, config_remark_fn fn, void *arg,
		 struct diag *d);
void config_free(struct vow_config *config);

/*
 * The keys that differ and that a vowd, which began with the one, takes over at its next start only:
 * their names in text, "host, series_max", and how many. Neither blocks nor allocates.
 */
#define CONFIG_RESTART_TEXT 400 /* all names have room */
unsigned config_restart_keys(const struct vow_config *began, const struct vow_config *fresh,
			     char text[CONFIG_RESTART_TEXT]);

/*
 * The file that a program uses: explicit_path (may be NULL) wins; then dir/vow.yaml when dir is
 * not NULL; else /etc/vow/vow.yaml. NULL when that file does not exist and was not explicit.
 */
const char *config_find(const char *explicit_path, const char *dir, char buf[512]);

#endif
