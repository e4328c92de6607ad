/* SPDX-License-Identifier: Apache-2.0 */
#include "config/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "lib/base/fd.h"
#include "lib/base/units.h"

#define CONVERT_GROUP 64 /* "objectives[63].alert" and the like */

/* Ends the function when a value was refused; each value is a line then. */
#define TRY(call)                      \
	do {                           \
		int try_rc = (call);   \
		if (try_rc < 0)        \
			return try_rc; \
	} while (0)

static int convert_capture(const struct value_reader *r, const struct raw_config *raw,
			   struct vow_config *config)
{
	const struct raw_capture *c = &raw->capture;
	uint64_t ring = config->http_ring_bytes, routes = config->routes_per_service;
	uint64_t series = config->series_max;

	TRY(value_text(r, "", "host", raw->host, config->host, sizeof(config->host)));
	if (!config->host[0])
		return value_refuse(r, "", "host", "take the key out to use the machine's own name",
				    "the name is empty");
	TRY(value_bool(r, "capture", "http", c->http, &config->capture_http));
	TRY(value_bool(r, "capture", "lanes", c->lanes, &config->capture_lanes));
	TRY(value_bool(r, "capture", "host", c->host, &config->capture_host));
	TRY(value_size(r, "capture", "http_ring", c->http_ring, 256 << 10, 64 << 20, &ring));
	if (ring & (ring - 1))
		return value_refuse(r, "capture", "http_ring", "for example 4MiB, 8MiB or 16MiB",
				    "'%.60s' is not a power of two", c->http_ring);
	TRY(value_count(r, "capture", "routes_per_service", c->routes_per_service, 1, 10000,
			&routes));
	TRY(value_count(r, "", "series_max", raw->series_max, 16, 1000000, &series));
	config->http_ring_bytes = (uint32_t)ring;
	config->routes_per_service = (uint32_t)routes;
	config->series_max = (uint32_t)series;
	return 0;
}

static int convert_hub(const struct value_reader *r, const struct raw_config *raw,
		       struct vow_config *config)
{
	TRY(value_duration(r, "", "forget_agents", raw->forget_agents, 0, 3660 * 24 * NS_PER_H,
			   &config->forget_agents));
	/* Raw ticks are kept for two days, and they need their agent's names. */
	if (config->forget_agents && config->forget_agents < 3 * 24 * NS_PER_H)
		return value_refuse(r, "", "forget_agents", "at least 3d, or 0 for never",
				    "'%.60s' is too soon: a weekend is no farewell",
				    raw->forget_agents);
	return 0;
}

static int convert_journal(const struct value_reader *r, const struct raw_journal *raw,
			   struct vow_config *config)
{
	const uint64_t most = UINT64_C(1) << 40;

	TRY(value_size(r, "journal", "segment", raw->segment, 1 << 20, 1 << 30,
		       &config->journal_segment_bytes));
	TRY(value_size(r, "journal", "budget", raw->budget, 4 << 20, most,
		       &config->journal_budget_bytes));
	TRY(value_duration(r, "journal", "age", raw->age, 0, 366 * 24 * NS_PER_H,
			   &config->journal_age));
	TRY(value_size(r, "journal", "free_space", raw->free_space, 0, most,
		       &config->journal_free_bytes));
	TRY(value_duration(r, "journal", "fsync", raw->fsync, 0, NS_PER_H,
			   &config->journal_fsync_every));
	if (config->journal_budget_bytes < 2 * config->journal_segment_bytes)
		return value_refuse(r, "journal", raw->budget ? "budget" : "segment",
				    "make the budget at least twice the segment",
				    "the budget does not hold two segments");
	return 0;
}

static int convert_tls(const struct value_reader *r, const struct raw_tls *raw,
		       struct vow_config *config)
{
	TRY(value_text(r, "tls", "ca", raw->ca, config->tls_ca, sizeof(config->tls_ca)));
	TRY(value_text(r, "tls", "certificate", raw->certificate, config->tls_certificate,
		       sizeof(config->tls_certificate)));
	TRY(value_text(r, "tls", "key", raw->key, config->tls_key, sizeof(config->tls_key)));
	if (!config->tls_ca[0] == !config->tls_certificate[0] &&
	    !config->tls_ca[0] == !config->tls_key[0])
		return 0;
	return value_refuse(r, "tls", "", "give all three, or none for plain text on loopback",
			    "tls needs ca, certificate and key");
}

/* ---- services and routes ---------------------------------------------------------------------- */

static int convert_template(const struct value_reader *r, const char *group, const char *pattern,
			    const char *service, struct vow_config *config)
{
	struct route_template *template = &config->templates[config->template_count];
	const char *star = strchr(pattern, '*');

	if (pattern[0] != '/')
		return value_refuse(r, group, "", "begin it with '/'", "'%.80s' is not a route",
				    pattern);
	if (star && (star[1] || star[-1] != '/'))
		return value_refuse(r, group, "",
				    "put one '*' at the end, or {name} for one segment",
				    "'%.80s' has a '*' in the middle", pattern);
	for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{')) {
		size_t length = strcspn(p + 1, "{}/");

		if (p[-1] != '/' || !length || p[1 + length] != '}' ||
		    (p[2 + length] != '/' && p[2 + length]))
			return value_refuse(r, group, "", "like /api/orders/{id}/items",
					    "in '%.80s' a {name} is not one whole segment",
					    pattern);
	}
	TRY(value_text(r, group, "", pattern, template->pattern, sizeof(template->pattern)));
	snprintf(template->service, sizeof(template->service), "%s", service);
	config->template_count++;
	return 0;
}

static int convert_templates(const struct value_reader *r, const char *list,
			     const struct raw_texts *raw, const char *service,
			     struct vow_config *config)
{
	for (uint64_t i = 0; i < raw->count; i++) {
		char group[CONVERT_GROUP];

		snprintf(group, sizeof(group), "%s[%llu]", list, (unsigned long long)i);
		TRY(convert_template(r, group, raw->texts[i], service, config));
	}
	return 0;
}

static int convert_service(const struct value_reader *r, const char *group,
			   const struct raw_service *raw, struct vow_config *config)
{
	struct service_match *match = &config->services[config->service_count];
	char inner[CONVERT_GROUP + 8];
	uint64_t port = 0;

	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: shop'", "a service needs a name");
	TRY(value_text(r, group, "name", raw->name, match->service, sizeof(match->service)));
	if (!match->service[0])
		return value_refuse(r, group, "name", NULL, "the name is empty");
	snprintf(inner, sizeof(inner), "%s.match", group);
	TRY(value_text(r, inner, "command", raw->match.command, match->command,
		       sizeof(match->command)));
	TRY(value_text(r, inner, "cgroup", raw->match.cgroup, match->cgroup,
		       sizeof(match->cgroup)));
	TRY(value_count(r, inner, "port", raw->match.port, 1, 65535, &port));
	match->port = (uint16_t)port;
	snprintf(inner, sizeof(inner), "%s.routes", group);
	TRY(convert_templates(r, inner, &raw->routes, match->service, config));
	/* An entry without match gives routes to a service that has its name already. */
	if (match->command[0] || match->cgroup[0] || match->port)
		config->service_count++;
	else if (!raw->routes.count)
		return value_refuse(r, group, "", "add command, port or cgroup below 'match:'",
				    "service '%s' matches no process and has no routes",
				    match->service);
	return 0;
}

static int convert_services(const struct value_reader *r, const struct raw_config *raw,
			    struct vow_config *config)
{
	uint64_t templates = raw->routes.count;

	for (uint64_t i = 0; i < raw->service_count; i++)
		templates += raw->services[i].routes.count;
	config->services = calloc(raw->service_count + 1, sizeof(*config->services));
	config->templates = calloc(templates + 1, sizeof(*config->templates));
	if (!config->services || !config->templates)
		return diag_set(r->d, -ENOMEM, config->path, NULL, "no memory for its content");
	for (uint64_t i = 0; i < raw->service_count; i++) {
		char group[CONVERT_GROUP];

		snprintf(group, sizeof(group), "services[%llu]", (unsigned long long)i);
		TRY(convert_service(r, group, &raw->services[i], config));
	}
	/* Behind those of services: what is said of one service wins. */
	return convert_templates(r, "routes", &raw->routes, "", config);
}

/* ---- objectives and scalers ------------------------------------------------------------------- */

/* An enum's names as a table for value_choice(), "any" behind them. */
static int convert_kind(const struct value_reader *r, const char *group, const char *text,
			int *kind)
{
	const char *names[SERIES_KINDS + 1];
	int choice = SERIES_KINDS;

	for (int i = 0; i < SERIES_KINDS; i++)
		names[i] = series_kind_name((enum series_kind)i);
	names[SERIES_KINDS] = "any";
	TRY(value_choice(r, group, "kind", text, names, ARRAY_LEN(names), &choice));
	*kind = choice == SERIES_KINDS ? POLICY_ANY : choice;
	return 0;
}

static int convert_role(const struct value_reader *r, const char *group, const char *text,
			int *role)
{
	const char *names[SERIES_ROLES + 1];
	int choice = SERIES_ROLES;

	for (int i = 0; i < SERIES_ROLES; i++)
		names[i] = series_role_name((enum series_role)i);
	names[SERIES_ROLES] = "any";
	TRY(value_choice(r, group, "role", text, names, ARRAY_LEN(names), &choice));
	*role = choice == SERIES_ROLES ? POLICY_ANY : choice;
	return 0;
}

static int convert_match(const struct value_reader *r, const char *parent,
			 const struct raw_match *raw, struct selector *selector)
{
	char group[CONVERT_GROUP + 8];

	snprintf(group, sizeof(group), "%s.match", parent);
	TRY(value_text(r, group, "service", raw->service, selector->service,
		       sizeof(selector->service)));
	TRY(value_text(r, group, "method", raw->method, selector->method,
		       sizeof(selector->method)));
	TRY(value_text(r, group, "route", raw->route, selector->route, sizeof(selector->route)));
	TRY(value_text(r, group, "peer", raw->peer, selector->peer, sizeof(selector->peer)));
	TRY(convert_kind(r, group, raw->kind, &selector->kind));
	return convert_role(r, group, raw->role, &selector->role);
}

static int convert_alert(const struct value_reader *r, const char *parent,
			 const struct raw_alert *raw, struct objective *objective)
{
	static const char *const severities[] = {"ticket", "page"};
	int severity = (int)objective->severity;
	char group[CONVERT_GROUP + 8];

	snprintf(group, sizeof(group), "%s.alert", parent);
	TRY(value_number(r, group, "burn_rate", raw->burn_rate, &objective->burn_rate));
	TRY(value_seconds(r, group, "long", raw->long_window, 2 * NS_PER_S, 6 * NS_PER_H,
			  &objective->long_window));
	/* A long window given alone takes a twelfth of it as the short one, as the workbook does. */
	if (raw->long_window && !raw->short_window) {
		dur_ns twelfth = objective->long_window / 12 / NS_PER_S * NS_PER_S;

		objective->short_window = twelfth ? twelfth : NS_PER_S;
	}
	TRY(value_seconds(r, group, "short", raw->short_window, NS_PER_S, 6 * NS_PER_H,
			  &objective->short_window));
	if (objective->short_window > objective->long_window)
		return value_refuse(r, group, "short", "make it shorter than 'long'",
				    "the short window is longer than the long one");
	TRY(value_seconds(r, group, "clear_after", raw->clear_after, NS_PER_S, NS_PER_H,
			  &objective->clear_after));
	TRY(value_count(r, group, "min_bad", raw->min_bad, 1, 1000000000, &objective->min_bad));
	TRY(value_choice(r, group, "severity", raw->severity, severities, ARRAY_LEN(severities),
			 &severity));
	objective->severity = (enum severity)severity;
	return 0;
}

static int convert_objective(const struct value_reader *r, const char *group,
			     const struct raw_objective *raw, struct objective *objective)
{
	objective_init(objective);
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: checkout-latency'",
				    "an objective needs a name");
	TRY(value_name(r, group, "name", raw->name, objective->name, sizeof(objective->name)));
	if (!raw->target)
		return value_refuse(r, group, "", "add 'target: 95%'",
				    "objective '%s' has no target", objective->name);
	TRY(value_ratio(r, group, "target", raw->target, 1, &objective->target_ratio));
	if (objective->target_ratio <= 0 || objective->target_ratio >= 1)
		return value_refuse(r, group, "target", "for example 95% or 99.9%",
				    "%.60s leaves %s to fail", raw->target,
				    objective->target_ratio >= 1 ? "nothing" : "everything");
	TRY(value_duration(r, group, "threshold", raw->threshold, 1, HIST_MAX_NS,
			   &objective->threshold_ns));
	TRY(value_seconds(r, group, "period", raw->period, NS_PER_H, 90 * 24 * NS_PER_H,
			  &objective->period));
	TRY(convert_match(r, group, &raw->match, &objective->selector));
	objective_alert_defaults(objective);
	return convert_alert(r, group, &raw->alert, objective);
}

static bool convert_ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

static int convert_signal(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	static const char *const combines[] = {"sum", "mean"};
	const char *signals[] = {scale_signal_name(SCALE_RATE), scale_signal_name(SCALE_LATENCY),
				 scale_signal_name(SCALE_GAUGE)};
	int signal = raw->gauge ? SCALE_GAUGE : -1, mean;

	TRY(value_choice(r, group, "signal", raw->signal, signals, ARRAY_LEN(signals), &signal));
	if (signal < 0)
		return value_refuse(r, group, "", "add 'signal: rate', latency_p95 or gauge",
				    "scaler '%s' has no signal", scaler->name);
	scaler->signal = (enum scale_signal)signal;
	if (raw->gauge && scaler->signal != SCALE_GAUGE)
		return value_refuse(r, group, "gauge", "write 'signal: gauge', or take it out",
				    "signal '%s' looks at no gauge", signals[signal]);
	if (!raw->gauge && scaler->signal == SCALE_GAUGE)
		return value_refuse(r, group, "signal", "add 'gauge: queue_depth'",
				    "which gauge is not said");
	TRY(value_name(r, group, "gauge", raw->gauge, scaler->gauge, sizeof(scaler->gauge)));
	if (raw->combine && scaler->signal != SCALE_GAUGE)
		return value_refuse(r, group, "combine", "take it out", "it is for gauges only");
	/* A share of each replica is no sum; a depth, a count of jobs is one. */
	mean = convert_ends_with(scaler->gauge, "_ratio");
	TRY(value_choice(r, group, "combine", raw->combine, combines, ARRAY_LEN(combines), &mean));
	scaler->gauge_is_mean = mean;
	return 0;
}

static int convert_target(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	dur_ns latency = 0;

	if (!raw->target)
		return value_refuse(r, group, "",
				    "add 'target:' with what one replica should carry",
				    "scaler '%s' has no target", scaler->name);
	if (scaler->signal == SCALE_LATENCY) {
		TRY(value_duration(r, group, "target", raw->target, 1, HIST_MAX_NS, &latency));
		scaler->target = (double)latency;
		return 0;
	}
	if (strchr(raw->target, '%')) {
		TRY(value_ratio(r, group, "target", raw->target, 1, &scaler->target));
		return scaler->target > 0 ? 0
					  : value_refuse(r, group, "target", "for example 60%",
							 "no load is no target");
	}
	return value_number(r, group, "target", raw->target, &scaler->target);
}

static int convert_scaler(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	uint64_t minimum, maximum;

	scaler_init(scaler);
	minimum = scaler->minimum;
	maximum = scaler->maximum;
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: web'", "a scaler needs a name");
	TRY(value_name(r, group, "name", raw->name, scaler->name, sizeof(scaler->name)));
	TRY(convert_match(r, group, &raw->match, &scaler->selector));
	TRY(convert_signal(r, group, raw, scaler));
	TRY(convert_target(r, group, raw, scaler));
	TRY(value_count(r, group, "minimum", raw->minimum, 1, 10000, &minimum));
	TRY(value_count(r, group, "maximum", raw->maximum, 1, 10000, &maximum));
	if (minimum > maximum)
		return value_refuse(r, group, raw->minimum ? "minimum" : "maximum",
				    "raise the maximum or lower the minimum",
				    "the minimum of %llu is above the maximum of %llu",
				    (unsigned long long)minimum, (unsigned long long)maximum);
	scaler->minimum = (unsigned)minimum;
	scaler->maximum = (unsigned)maximum;
	TRY(value_ratio(r, group, "deadband", raw->deadband, 0.9, &scaler->deadband_ratio));
	TRY(value_seconds(r, group, "up_cooldown", raw->up_cooldown, 0, 24 * NS_PER_H,
			  &scaler->up_cooldown));
	return value_seconds(r, group, "down_cooldown", raw->down_cooldown, 0, 24 * NS_PER_H,
			     &scaler->down_cooldown);
}

/* Refuses the i-th entry when an earlier one has its name; names are `stride` bytes apart. */
static int convert_unique(const struct value_reader *r, const char *group, const char *names,
			  size_t stride, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(names + k * stride, names + i * stride))
			return value_refuse(r, group, "name", "give each a name of its own",
					    "'%s' was given before", names + i * stride);
	return 0;
}

static int convert_policy(const struct value_reader *r, const struct raw_config *raw,
			  struct policy *policy)
{
	char group[CONVERT_GROUP];

	/* A list that is given, even an empty one, stands for the defaults. */
	if (document_kind(r->document, document_find(r->document, "objectives")) == DOCUMENT_LIST)
		policy->objective_count = 0;
	if (document_kind(r->document, document_find(r->document, "scaling")) == DOCUMENT_LIST)
		policy->scaler_count = 0;
	for (unsigned i = 0; i < raw->objective_count; i++) {
		snprintf(group, sizeof(group), "objectives[%u]", i);
		TRY(convert_objective(r, group, &raw->objectives[i], &policy->objectives[i]));
		TRY(convert_unique(r, group, policy->objectives[0].name, sizeof(struct objective),
				   i));
		policy->objective_count = i + 1;
	}
	for (unsigned i = 0; i < raw->scaler_count; i++) {
		snprintf(group, sizeof(group), "scaling[%u]", i);
		TRY(convert_scaler(r, group, &raw->scaling[i], &policy->scalers[i]));
		TRY(convert_unique(r, group, policy->scalers[0].name, sizeof(struct scaler), i));
		policy->scaler_count = i + 1;
	}
	return 0;
}

/* ---- receivers -------------------------------------------------------------------------------- */

#define CONVERT_SECRET_MAX 4096

static int convert_secret_file(const struct value_reader *r, const char *group, const char *path,
			       char *secret, size_t room)
{
	struct diag cause = {0};
	char *text = NULL;
	size_t size;
	int rc = fd_read_file(path, CONVERT_SECRET_MAX, &text, &size, &cause);

	if (rc < 0)
		return value_refuse(r, group, "secret_file",
				    "name a file that the program may read", "%.100s: %.100s", path,
				    cause.what[0] ? cause.what : strerror(-rc));
	text[strcspn(text, "\r\n")] = '\0';
	rc = *text ? value_text(r, group, "secret_file", text, secret, room)
		   : value_refuse(r, group, "secret_file", "put the secret on its first line",
				  "%.100s holds no secret", path);
	explicit_bzero(text, size);
	free(text);
	return rc;
}

static int convert_url(const struct value_reader *r, const char *group, const char *url,
		       struct receiver *receiver)
{
	const char *host = url ? strstr(url, "://") : NULL;

	if (!url)
		return value_refuse(r, group, "", "add 'url: https://...'",
				    "receiver '%s' has no url", receiver->name);
	TRY(value_text(r, group, "url", url, receiver->url, sizeof(receiver->url)));
	if (!host || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
	    !host[3] || strchr("/?#:", host[3]) || strpbrk(url, " \"<>\\"))
		return value_refuse(r, group, "url", "like https://hooks.example.com/vow",
				    "this is not an http or https address");
	return 0;
}

static int convert_events(const struct value_reader *r, const char *group,
			  const struct raw_texts *raw, struct receiver *receiver)
{
	static const char *const names[] = {"alerts", "scaling"};

	receiver->alerts = receiver->scaling = raw->count == 0;
	for (uint64_t i = 0; i < raw->count; i++) {
		char key[32];
		int event = 0;

		snprintf(key, sizeof(key), "events[%llu]", (unsigned long long)i);
		TRY(value_choice(r, group, key, raw->texts[i], names, ARRAY_LEN(names), &event));
		*(event ? &receiver->scaling : &receiver->alerts) = true;
	}
	return 0;
}

static int convert_receiver(const struct value_reader *r, const char *group,
			    const struct raw_receiver *raw, struct receiver *receiver)
{
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: on-call'", "a receiver needs a name");
	TRY(value_name(r, group, "name", raw->name, receiver->name, sizeof(receiver->name)));
	TRY(convert_url(r, group, raw->url, receiver));
	if (raw->secret && raw->secret_file)
		return value_refuse(r, group, "secret_file", "keep one of the two",
				    "both secret and secret_file are given");
	TRY(value_text(r, group, "secret", raw->secret, receiver->secret,
		       sizeof(receiver->secret)));
	if (raw->secret_file)
		TRY(convert_secret_file(r, group, raw->secret_file, receiver->secret,
					sizeof(receiver->secret)));
	TRY(convert_events(r, group, &raw->events, receiver));
	receiver->timeout = 5 * NS_PER_S;
	return value_duration(r, group, "timeout", raw->timeout, 100 * NS_PER_MS, NS_PER_MIN,
			      &receiver->timeout);
}

static int convert_receivers(const struct value_reader *r, const struct raw_config *raw,
			     struct vow_config *config)
{
	config->receivers = calloc(raw->receiver_count + 1, sizeof(*config->receivers));
	if (!config->receivers)
		return diag_set(r->d, -ENOMEM, config->path, NULL, "no memory for its content");
	for (uint64_t i = 0; i < raw->receiver_count; i++) {
		char group[CONVERT_GROUP];

		snprintf(group, sizeof(group), "receivers[%llu]", (unsigned long long)i);
		config->receiver_count = i + 1;
		TRY(convert_receiver(r, group, &raw->receivers[i], &config->receivers[i]));
		TRY(convert_unique(r, group, config->receivers[0].name, sizeof(struct receiver),
				   i));
	}
	return 0;
}

int convert(const struct document *document, const struct raw_config *raw,
	    struct vow_config *config, struct diag *d)
{
	const struct value_reader reader = {.document = document, .d = d};

	if (!raw)
		return 0;
	TRY(convert_capture(&reader, raw, config));
	TRY(convert_hub(&reader, raw, config));
	TRY(convert_journal(&reader, &raw->journal, config));
	TRY(convert_tls(&reader, &raw->tls, config));
	TRY(convert_services(&reader, raw, config));
	TRY(convert_policy(&reader, raw, &config->policy));
	return convert_receivers(&reader, raw, config);
}
