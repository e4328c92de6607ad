/* SPDX-License-Identifier: Apache-2.0 */
#include "config/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fd.h"
#include "lib/base/sign_key.h"

/*
 * A name that the programs in the kernel can look for: see collectors/http/http_names.h, whose limits
 * these are.
 */
static int convert_header(const struct value_reader *r, const char *key, const char *text,
			  char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t before = strspn(text, allowed), length = strlen(text);
	const char *rest = text + before + (text[before] == '*');

	if (rest[strspn(rest, allowed)])
		return value_refuse(r, "capture", key, "like webhook-id or X-*-Delivery",
				    "'%.60s' is not the name of a header", text);
	if (before < 2 || (rest != text + before && before > 8))
		return value_refuse(r, "capture", key, "like X-*-Delivery",
				    "'%.60s' has not 2 to 8 characters before its '*'", text);
	if (rest != text + before && !*rest)
		return value_refuse(r, "capture", key, "like X-*-Delivery",
				    "'%.60s' takes every header that begins so: say how it ends",
				    text);
	if (length > HEADER_NAME_MAX || (rest != text + before && strlen(rest) > 22))
		return value_refuse(r, "capture", key, "at most 31 characters, 22 behind a '*'",
				    "'%.60s' is too long", text);
	return value_text(r, "capture", key, text, name, HEADER_NAME_MAX + 1);
}

/*
 * The value of a signature stays where it is: what is in front of the word is the type of the
 * event, and has to be one.
 */
static int convert_event_header(const struct value_reader *r, const char *key, const char *text,
				char *name)
{
	static const char word[] = "-signature";
	size_t length = strlen(text), rest = strlen(word);

	VALUE_TRY(convert_header(r, key, text, name));
	if (length < rest || strcasecmp(text + length - rest, word) != 0)
		return 0;
	if (length > rest && !strchr(text, '*'))
		return 0;
	return value_refuse(r, "capture", key, "like Stripe-Signature",
			    "'%.60s' names no type of event by its being there", text);
}

/* A header, or a field of bodies as collectors/http/http_names.h has it. */
static int convert_event_type(const struct value_reader *r, const char *key, const char *text,
			      char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	const char *field = text + strlen(EVENT_FIELD);

	if (strncmp(text, EVENT_FIELD, strlen(EVENT_FIELD)) != 0)
		return convert_event_header(r, key, text, name);
	if (!*field || field[strspn(field, allowed)])
		return value_refuse(r, "capture", key, "like json:type: letters, digits and -_.",
				    "'%.60s' is not the name of a field", text);
	if (strlen(field) > EVENT_FIELD_MAX)
		return value_refuse(r, "capture", key,
				    "at most 23 characters behind json:", "'%.60s' is too long",
				    text);
	return value_text(r, "capture", key, text, name, HEADER_NAME_MAX + 1);
}

static int convert_field_count(const struct value_reader *r, const struct header_names *names)
{
	unsigned count = 0;

	for (unsigned i = 0; i < names->count; i++)
		count += strncmp(names->names[i], EVENT_FIELD, strlen(EVENT_FIELD)) == 0;
	return count <= EVENT_FIELDS
		       ? 0
		       : value_refuse(r, "capture", "event_types", "name those that are sent",
				      "%u fields of bodies are more than %u", count, EVENT_FIELDS);
}

typedef int convert_name_fn(const struct value_reader *r, const char *key, const char *text,
			    char *name);

static int convert_headers(const struct value_reader *r, const char *list,
			   const struct raw_texts *raw, convert_name_fn *convert_name,
			   struct header_names *names)
{
	char path[VALUE_GROUP];

	snprintf(path, sizeof(path), "capture.%s", list);
	if (document_kind(r->document, document_find(r->document, path)) != DOCUMENT_LIST)
		return 0;
	names->count = 0;
	for (uint64_t i = 0; i < raw->count; i++) {
		char key[32];

		snprintf(key, sizeof(key), "%s[%llu]", list, (unsigned long long)i);
		VALUE_NEXT(r, convert_name(r, key, raw->texts[i], names->names[names->count]));
		names->count++;
	}
	return 0;
}

/* With one of the keys alone, services can be added later without a restart. */
static int convert_traced(const struct value_reader *r, const struct raw_texts *raw,
			  struct vow_config *config)
{
	struct service_patterns *services = &config->tls_services;

	config->tls_allowed =
		document_kind(r->document, document_find(r->document, "capture.tls")) ==
		DOCUMENT_LIST;
	for (uint64_t i = 0; i < raw->count; i++) {
		char key[32];

		snprintf(key, sizeof(key), "tls[%llu]", (unsigned long long)i);
		VALUE_NEXT(r, value_text(r, "capture", key, raw->texts[i],
					 services->names[services->count],
					 sizeof(services->names[0])));
		services->count++;
	}
	config->tls_allowed |= config->tls_on_demand;
	return 0;
}

static int convert_capture(const struct value_reader *r, const struct raw_config *raw,
			   struct vow_config *config)
{
	static const char *const tiers[] = {"auto", "A", "B", "C"};
	static const char letters[] = {0, 'A', 'B', 'C'};
	const struct raw_capture *c = &raw->capture;
	uint64_t ring = config->http_ring_bytes, routes = config->routes_per_service;
	uint64_t series = config->series_max, busy = config->http_busy_per_s;
	int tier = 0;

	VALUE_NEXT(r, value_text(r, "", "host", raw->host, config->host, sizeof(config->host)));
	if (!config->host[0])
		VALUE_NEXT(r, value_refuse(r, "", "host",
					   "take the key out to use the machine's own name",
					   "the name is empty"));
	VALUE_NEXT(r, value_bool(r, "capture", "http", c->http, &config->capture_http));
	VALUE_NEXT(r, value_bool(r, "capture", "lanes", c->lanes, &config->capture_lanes));
	VALUE_NEXT(r, value_duration(r, "capture", "keep", c->keep, 0, 7 * 24 * NS_PER_H,
				     &config->keep_patience));
	VALUE_NEXT(r, value_bool(r, "capture", "host", c->host, &config->capture_host));
	VALUE_NEXT(r, value_bool(r, "capture", "traces", c->traces, &config->capture_traces));
	VALUE_NEXT(r, value_bool(r, "capture", "peer_names", c->peer_names,
				 &config->capture_peer_names));
	VALUE_NEXT(r, value_duration(r, "capture", "delivery_quiet", c->delivery_quiet, NS_PER_S,
				     7 * 24 * NS_PER_H, &config->delivery_quiet));
	VALUE_NEXT(r, convert_headers(r, "delivery_ids", &c->delivery_ids, convert_header,
				      &config->delivery_ids));
	VALUE_NEXT(r, convert_headers(r, "event_types", &c->event_types, convert_event_type,
				      &config->event_types));
	VALUE_NEXT(r, convert_field_count(r, &config->event_types));
	VALUE_NEXT(r, value_bool(r, "capture", "tls_on_demand", c->tls_on_demand,
				 &config->tls_on_demand));
	VALUE_NEXT(r, convert_traced(r, &c->tls, config));
	VALUE_NEXT(r,
		   value_size(r, "capture", "http_ring", c->http_ring, 256 << 10, 64 << 20, &ring));
	if (ring & (ring - 1))
		VALUE_NEXT(r, value_refuse(r, "capture", "http_ring",
					   "for example 4MiB, 8MiB or 16MiB",
					   "'%.60s' is not a power of two", c->http_ring));
	VALUE_NEXT(r, value_choice(r, "capture", "http_tier", c->http_tier, tiers, ARRAY_LEN(tiers),
				   &tier));
	VALUE_NEXT(r, value_text(r, "capture", "btf", c->btf, config->capture_btf,
				 sizeof(config->capture_btf)));
	VALUE_NEXT(r, value_ratio(r, "capture", "http_budget", c->http_budget, 1,
				  &config->http_budget_ratio));
	VALUE_NEXT(r, value_count(r, "capture", "http_busy", c->http_busy, 1, 1000000, &busy));
	VALUE_NEXT(r, value_count(r, "capture", "routes_per_service", c->routes_per_service, 1,
				  10000, &routes));
	VALUE_NEXT(r, value_count(r, "", "series_max", raw->series_max, 16, 1000000, &series));
	config->http_ring_bytes = (uint32_t)ring;
	config->http_tier = letters[tier];
	config->http_busy_per_s = (uint32_t)busy;
	config->routes_per_service = (uint32_t)routes;
	config->series_max = (uint32_t)series;
	return 0;
}

static int convert_hub(const struct value_reader *r, const struct raw_config *raw,
		       struct vow_config *config)
{
	VALUE_TRY(value_duration(r, "", "forget_agents", raw->forget_agents, 0,
				 3660 * 24 * NS_PER_H, &config->forget_agents));
	/* Raw ticks are kept for two days, and they need their agent's names. */
	if (config->forget_agents && config->forget_agents < 3 * 24 * NS_PER_H)
		return value_refuse(r, "", "forget_agents", "at least 3d, or 0 for never",
				    "'%.60s' is too soon: a weekend is no farewell",
				    raw->forget_agents);
	return 0;
}

#define CONVERT_DISK_MAX (UINT64_C(1) << 40) /* 1 TiB: more was mistyped */

static int convert_journal_sizes(const struct value_reader *r, const struct raw_journal *raw,
				 struct vow_config *config)
{
	VALUE_TRY(value_size(r, "journal", "segment", raw->segment, 1 << 20, 1 << 30,
			     &config->journal_segment_bytes));
	VALUE_TRY(value_size(r, "journal", "budget", raw->budget, 4 << 20, CONVERT_DISK_MAX,
			     &config->journal_budget_bytes));
	if (config->journal_budget_bytes >= 2 * config->journal_segment_bytes)
		return 0;
	return value_refuse(r, "journal", raw->budget ? "budget" : "segment",
			    "make the budget at least twice the segment",
			    "the budget does not hold two segments");
}

static int convert_journal(const struct value_reader *r, const struct raw_journal *raw,
			   struct vow_config *config)
{
	VALUE_NEXT(r, convert_journal_sizes(r, raw, config));
	VALUE_NEXT(r, value_duration(r, "journal", "age", raw->age, 0, 366 * 24 * NS_PER_H,
				     &config->journal_age));
	VALUE_NEXT(r, value_size(r, "journal", "free_space", raw->free_space, 0, CONVERT_DISK_MAX,
				 &config->journal_free_bytes));
	return value_duration(r, "journal", "fsync", raw->fsync, 0, NS_PER_H,
			      &config->journal_fsync_every);
}

static int convert_tls(const struct value_reader *r, const struct raw_tls *raw,
		       struct vow_config *config)
{
	VALUE_NEXT(r, value_text(r, "tls", "ca", raw->ca, config->tls_ca, sizeof(config->tls_ca)));
	VALUE_NEXT(r, value_text(r, "tls", "certificate", raw->certificate, config->tls_certificate,
				 sizeof(config->tls_certificate)));
	VALUE_NEXT(r,
		   value_text(r, "tls", "key", raw->key, config->tls_key, sizeof(config->tls_key)));
	if (!config->tls_ca[0] == !config->tls_certificate[0] &&
	    !config->tls_ca[0] == !config->tls_key[0])
		return 0;
	return value_refuse(r, "tls", "", "give all three, or none for plain text on loopback",
			    "tls needs ca, certificate and key");
}

/* ---- services and routes --------------------------------------------------------------------- */

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
	VALUE_TRY(value_text(r, group, "", pattern, template->pattern, sizeof(template->pattern)));
	snprintf(template->service, sizeof(template->service), "%s", service);
	config->template_count++;
	return 0;
}

static int convert_templates(const struct value_reader *r, const char *list,
			     const struct raw_texts *raw, const char *service,
			     struct vow_config *config)
{
	for (uint64_t i = 0; i < raw->count; i++) {
		char group[VALUE_GROUP];

		snprintf(group, sizeof(group), "%s[%llu]", list, (unsigned long long)i);
		VALUE_NEXT(r, convert_template(r, group, raw->texts[i], service, config));
	}
	return 0;
}

static int convert_service(const struct value_reader *r, const char *group,
			   const struct raw_service *raw, struct vow_config *config)
{
	struct service_match *match = &config->services[config->service_count];
	char inner[VALUE_GROUP + 8];
	uint64_t port = 0;

	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: shop'", "a service needs a name");
	VALUE_NEXT(r,
		   value_text(r, group, "name", raw->name, match->service, sizeof(match->service)));
	if (!match->service[0])
		return value_refuse(r, group, "name", NULL, "the name is empty");
	if (!strcmp(match->service, "{other}"))
		return value_refuse(r, group, "name", "choose another one",
				    "'{other}' is the sum of services beyond the cap");
	snprintf(inner, sizeof(inner), "%s.match", group);
	VALUE_NEXT(r, value_text(r, inner, "command", raw->match.command, match->command,
				 sizeof(match->command)));
	VALUE_NEXT(r, value_text(r, inner, "cgroup", raw->match.cgroup, match->cgroup,
				 sizeof(match->cgroup)));
	VALUE_NEXT(r, value_count(r, inner, "port", raw->match.port, 1, 65535, &port));
	match->port = (uint16_t)port;
	snprintf(inner, sizeof(inner), "%s.routes", group);
	VALUE_NEXT(r, convert_templates(r, inner, &raw->routes, match->service, config));
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
		char group[VALUE_GROUP];

		snprintf(group, sizeof(group), "services[%llu]", (unsigned long long)i);
		VALUE_NEXT(r, convert_service(r, group, &raw->services[i], config));
	}
	/* Behind those of services: what is said of one service wins. */
	return convert_templates(r, "routes", &raw->routes, "", config);
}

/* ---- receivers ------------------------------------------------------------------------------- */

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

static int convert_secret(const struct value_reader *r, const char *group,
			  const struct raw_receiver *raw, struct receiver *receiver)
{
	struct sign_key key;
	struct diag cause = {0};
	int rc;

	if (raw->secret && raw->secret_file)
		return value_refuse(r, group, "secret_file", "keep one of the two",
				    "both secret and secret_file are given");
	VALUE_TRY(value_text(r, group, "secret", raw->secret, receiver->secret,
			     sizeof(receiver->secret)));
	if (raw->secret_file)
		VALUE_TRY(convert_secret_file(r, group, raw->secret_file, receiver->secret,
					      sizeof(receiver->secret)));
	rc = sign_key_parse(receiver->secret, &key, &cause);
	explicit_bzero(&key, sizeof(key));
	return rc ? value_refuse(r, group, raw->secret_file ? "secret_file" : "secret", cause.fix,
				 "%s", cause.what)
		  : 0;
}

static int convert_url(const struct value_reader *r, const char *group, const char *url,
		       struct receiver *receiver)
{
	const char *host = url ? strstr(url, "://") : NULL;

	if (!url)
		return value_refuse(r, group, "", "add 'url: https://...'",
				    "receiver '%s' has no url", receiver->name);
	VALUE_TRY(value_text(r, group, "url", url, receiver->url, sizeof(receiver->url)));
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
		VALUE_NEXT(r, value_choice(r, group, key, raw->texts[i], names, ARRAY_LEN(names),
					   &event));
		*(event ? &receiver->scaling : &receiver->alerts) = true;
	}
	return 0;
}

static int convert_receiver(const struct value_reader *r, const char *group,
			    const struct raw_receiver *raw, struct receiver *receiver)
{
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: on-call'", "a receiver needs a name");
	VALUE_NEXT(r,
		   value_name(r, group, "name", raw->name, receiver->name, sizeof(receiver->name)));
	VALUE_NEXT(r, convert_url(r, group, raw->url, receiver));
	VALUE_NEXT(r, convert_secret(r, group, raw, receiver));
	VALUE_NEXT(r, convert_events(r, group, &raw->events, receiver));
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
		char group[VALUE_GROUP];

		snprintf(group, sizeof(group), "receivers[%llu]", (unsigned long long)i);
		config->receiver_count = i + 1;
		VALUE_NEXT(r,
			   convert_receiver(r, group, &raw->receivers[i], &config->receivers[i]));
		VALUE_NEXT(r, value_unique(r, group, config->receivers[0].name,
					   sizeof(struct receiver), i));
	}
	return 0;
}

int convert(const struct document *document, const struct raw_config *raw,
	    struct vow_config *config, struct mistakes *mistakes, struct diag *d)
{
	const struct value_reader reader = {document, mistakes, d};
	const struct value_reader *r = &reader;

	if (!raw)
		return 0;
	VALUE_NEXT(r, convert_capture(r, raw, config));
	VALUE_NEXT(r, convert_hub(r, raw, config));
	VALUE_NEXT(r, convert_journal(r, &raw->journal, config));
	VALUE_NEXT(r, convert_tls(r, &raw->tls, config));
	VALUE_NEXT(r, convert_services(r, raw, config));
	VALUE_NEXT(r, convert_peers(r, raw, config));
	VALUE_NEXT(r, convert_policy(r, raw, &config->policy));
	VALUE_NEXT(r, convert_receivers(r, raw, config));
	return mistakes_end(mistakes);
}
