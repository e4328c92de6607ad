/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "lib/base/str.h"

/* Far above any sensible file, and low enough that a mistake costs no memory. */
#define SCHEMA_LIST_MAX 10000
#define SCHEMA_KEYS_MAX 32 /* of one group */

#define SCHEMA_OPTIONAL CYAML_FLAG_OPTIONAL
#define SCHEMA_POINTER	(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define TEXT(key, raw, member) \
	CYAML_FIELD_STRING_PTR(key, SCHEMA_POINTER, struct raw, member, 0, CYAML_UNLIMITED)
#define MAP(key, raw, member, fields) \
	CYAML_FIELD_MAPPING(key, SCHEMA_OPTIONAL, struct raw, member, fields)
#define LIST(key, raw, member, members, entry, most) \
	CYAML_FIELD_SEQUENCE_COUNT(key, SCHEMA_POINTER, struct raw, member, members, entry, 0, most)

static const cyaml_schema_value_t schema_text = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};

static const cyaml_schema_field_t schema_capture[] = {
	TEXT("http", raw_capture, http),
	TEXT("lanes", raw_capture, lanes),
	TEXT("keep", raw_capture, keep),
	TEXT("host", raw_capture, host),
	TEXT("http_ring", raw_capture, http_ring),
	TEXT("http_tier", raw_capture, http_tier),
	TEXT("btf", raw_capture, btf),
	TEXT("http_budget", raw_capture, http_budget),
	TEXT("http_busy", raw_capture, http_busy),
	TEXT("routes_per_service", raw_capture, routes_per_service),
	TEXT("traces", raw_capture, traces),
	TEXT("peer_names", raw_capture, peer_names),
	TEXT("delivery_quiet", raw_capture, delivery_quiet),
	TEXT("tls_on_demand", raw_capture, tls_on_demand),
	LIST("delivery_ids", raw_capture, delivery_ids.texts, delivery_ids.count, &schema_text,
	     HEADER_NAMES),
	LIST("event_types", raw_capture, event_types.texts, event_types.count, &schema_text,
	     HEADER_NAMES),
	LIST("tls", raw_capture, tls.texts, tls.count, &schema_text, SERVICE_PATTERNS),
	CYAML_FIELD_END,
};

/* The longest group: the nearest key is looked for among all of one. */
_Static_assert(sizeof(schema_capture) / sizeof(schema_capture[0]) <= SCHEMA_KEYS_MAX,
	       "more keys than are looked at");

static const cyaml_schema_field_t schema_process[] = {
	TEXT("command", raw_process, command),
	TEXT("port", raw_process, port),
	TEXT("cgroup", raw_process, cgroup),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_service[] = {
	MAP("match", raw_service, match, schema_process),
	TEXT("name", raw_service, name),
	LIST("routes", raw_service, routes.texts, routes.count, &schema_text, SCHEMA_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_peer[] = {
	TEXT("name", raw_peer, name),
	LIST("addresses", raw_peer, addresses.texts, addresses.count, &schema_text,
	     SCHEMA_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_match[] = {
	TEXT("service", raw_match, service),
	TEXT("kind", raw_match, kind),
	TEXT("role", raw_match, role),
	TEXT("method", raw_match, method),
	TEXT("route", raw_match, route),
	TEXT("peer", raw_match, peer),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_alert[] = {
	TEXT("burn_rate", raw_alert, burn_rate),
	TEXT("long", raw_alert, long_window),
	TEXT("short", raw_alert, short_window),
	TEXT("clear_after", raw_alert, clear_after),
	TEXT("min_bad", raw_alert, min_bad),
	TEXT("severity", raw_alert, severity),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_objective[] = {
	TEXT("name", raw_objective, name),
	MAP("match", raw_objective, match, schema_match),
	TEXT("threshold", raw_objective, threshold),
	TEXT("target", raw_objective, target),
	TEXT("period", raw_objective, period),
	MAP("alert", raw_objective, alert, schema_alert),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_scaler[] = {
	TEXT("name", raw_scaler, name),
	MAP("match", raw_scaler, match, schema_match),
	TEXT("signal", raw_scaler, signal),
	TEXT("gauge", raw_scaler, gauge),
	TEXT("combine", raw_scaler, combine),
	TEXT("target", raw_scaler, target),
	TEXT("minimum", raw_scaler, minimum),
	TEXT("maximum", raw_scaler, maximum),
	TEXT("deadband", raw_scaler, deadband),
	TEXT("up_cooldown", raw_scaler, up_cooldown),
	TEXT("down_cooldown", raw_scaler, down_cooldown),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_receiver[] = {
	TEXT("name", raw_receiver, name),
	TEXT("url", raw_receiver, url),
	TEXT("secret", raw_receiver, secret),
	TEXT("secret_file", raw_receiver, secret_file),
	LIST("events", raw_receiver, events.texts, events.count, &schema_text, SCHEMA_LIST_MAX),
	TEXT("timeout", raw_receiver, timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_journal[] = {
	TEXT("segment", raw_journal, segment), TEXT("budget", raw_journal, budget),
	TEXT("age", raw_journal, age),	       TEXT("free_space", raw_journal, free_space),
	TEXT("fsync", raw_journal, fsync),     CYAML_FIELD_END,
};

static const cyaml_schema_field_t schema_tls[] = {
	TEXT("ca", raw_tls, ca),
	TEXT("certificate", raw_tls, certificate),
	TEXT("key", raw_tls, key),
	CYAML_FIELD_END,
};

#define ENTRY(raw, fields)                                                  \
	{                                                                   \
		CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw, fields) \
	}
static const cyaml_schema_value_t schema_services = ENTRY(raw_service, schema_service);
static const cyaml_schema_value_t schema_peers = ENTRY(raw_peer, schema_peer);
static const cyaml_schema_value_t schema_objectives = ENTRY(raw_objective, schema_objective);
static const cyaml_schema_value_t schema_scalers = ENTRY(raw_scaler, schema_scaler);
static const cyaml_schema_value_t schema_receivers = ENTRY(raw_receiver, schema_receiver);

static const cyaml_schema_field_t schema_fields[] = {
	TEXT("host", raw_config, host),
	TEXT("series_max", raw_config, series_max),
	TEXT("forget_agents", raw_config, forget_agents),
	MAP("capture", raw_config, capture, schema_capture),
	LIST("services", raw_config, services, service_count, &schema_services, SCHEMA_LIST_MAX),
	LIST("peers", raw_config, peers, peer_count, &schema_peers, SCHEMA_LIST_MAX),
	LIST("routes", raw_config, routes.texts, routes.count, &schema_text, SCHEMA_LIST_MAX),
	LIST("objectives", raw_config, objectives, objective_count, &schema_objectives,
	     POLICY_OBJECTIVES),
	LIST("scaling", raw_config, scaling, scaler_count, &schema_scalers, POLICY_SCALERS),
	LIST("receivers", raw_config, receivers, receiver_count, &schema_receivers,
	     SCHEMA_LIST_MAX),
	MAP("journal", raw_config, journal, schema_journal),
	MAP("tls", raw_config, tls, schema_tls),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema_root = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, schema_fields)};

/* ---- the document against the shape ---------------------------------------------------------- */

/*
 * libcyaml reports an unknown key at the value before it and accepts nulls where it should not;
 * so the document is held against the same schema here first, with the true line of each part.
 */
struct schema_reader {
	const struct document *document;
	struct mistakes *mistakes;
	bool misshapen; /* some mistake is more than a key that can be left out */
	struct diag *d;
};

static int schema_value(struct schema_reader *r, document_node node, const char *name,
			const cyaml_schema_value_t *schema);

static int schema_wrong(struct schema_reader *r, document_node node, const char *name,
			const char *wanted, const char *fix)
{
	static const char *const kinds[] = {
		[DOCUMENT_NONE] = "nothing",
		[DOCUMENT_SCALAR] = "a single value",
		[DOCUMENT_LIST] = "a list",
		[DOCUMENT_MAP] = "a group of keys",
	};
	char where[160];

	r->misshapen = true;
	document_where(r->document, node, where, sizeof(where));
	return diag_set(r->d, -EINVAL, where, fix, "'%s' must be %s, but is %s", name, wanted,
			document_is_null(r->document, node)
				? "empty"
				: kinds[document_kind(r->document, node)]);
}

static int schema_unknown(const struct schema_reader *r, document_node key,
			  const cyaml_schema_field_t *fields)
{
	const char *names[SCHEMA_KEYS_MAX], *word = document_text(r->document, key), *nearest;
	char where[160], fix[240];
	struct str list;
	size_t count = 0;

	str_init(&list, fix, sizeof(fix));
	for (; count < SCHEMA_KEYS_MAX && fields[count].key; count++)
		names[count] = fields[count].key;
	nearest = str_nearest(word, names, count);
	if (nearest) {
		str_printf(&list, "did you mean '%s'?", nearest);
	} else {
		str_put(&list, "known here: ");
		for (size_t i = 0; i < count; i++)
			str_printf(&list, "%s%s", i ? ", " : "", names[i]);
	}
	document_where(r->document, key, where, sizeof(where));
	return diag_set(r->d, -EINVAL, where, fix, "unknown key '%s'", word);
}

static int schema_twice(struct schema_reader *r, document_node map, size_t i)
{
	const char *word = document_text(r->document, document_key(r->document, map, i));
	char where[160], first[160];

	for (size_t k = 0; k < i; k++) {
		document_node other = document_key(r->document, map, k);

		if (strcmp(document_text(r->document, other), word) != 0)
			continue;
		r->misshapen = true;
		document_where(r->document, document_key(r->document, map, i), where,
			       sizeof(where));
		document_where(r->document, other, first, sizeof(first));
		return diag_set(r->d, -EINVAL, where, "keep one of the two",
				"key '%s' was given before, at %s", word, first);
	}
	return 0;
}

static int schema_pair(struct schema_reader *r, document_node map, size_t i,
		       const cyaml_schema_field_t *fields)
{
	document_node key = document_key(r->document, map, i);
	const cyaml_schema_field_t *field = fields;
	int rc;

	while (field->key && strcmp(field->key, document_text(r->document, key)) != 0)
		field++;
	if (!field->key)
		return schema_unknown(r, key, fields);
	rc = schema_twice(r, map, i);
	return rc ? rc
		  : schema_value(r, document_value(r->document, map, i), field->key, &field->value);
}

static int schema_map(struct schema_reader *r, document_node map,
		      const cyaml_schema_field_t *fields)
{
	for (size_t i = 0; i < document_count(r->document, map); i++) {
		int rc = schema_pair(r, map, i, fields);

		if (!mistakes_pass(r->mistakes, rc, r->d))
			return rc;
	}
	return 0;
}

static int schema_list(struct schema_reader *r, document_node list, const char *name,
		       const cyaml_schema_value_t *schema)
{
	size_t count = document_count(r->document, list);
	char where[160];

	if (count > schema->sequence.max) {
		r->misshapen = true;
		document_where(r->document, document_item(r->document, list, schema->sequence.max),
			       where, sizeof(where));
		return diag_set(r->d, -EINVAL, where, "take some out, or join some with '*'",
				"'%s' has %zu entries, more than %u", name, count,
				schema->sequence.max);
	}
	for (size_t i = 0; i < count; i++) {
		int rc = schema_value(r, document_item(r->document, list, i), name,
				      schema->sequence.entry);

		if (!mistakes_pass(r->mistakes, rc, r->d))
			return rc;
	}
	return 0;
}

static int schema_value(struct schema_reader *r, document_node node, const char *name,
			const cyaml_schema_value_t *schema)
{
	enum document_kind kind = document_kind(r->document, node);

	switch (schema->type) {
	case CYAML_MAPPING:
		if (kind != DOCUMENT_MAP)
			return schema_wrong(r, node, name, "a group of keys",
					    "put its keys below it, indented, or take it out");
		return schema_map(r, node, schema->mapping.fields);
	case CYAML_SEQUENCE:
		if (kind != DOCUMENT_LIST)
			return schema_wrong(r, node, name, "a list",
					    "begin each entry with '- ', or write []");
		return schema_list(r, node, name, schema);
	default:
		if (kind != DOCUMENT_SCALAR || document_is_null(r->document, node))
			return schema_wrong(r, node, name, "a single value",
					    "give it a value, or take the key out");
		return 0;
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

static void *schema_memory(void *arg, void *block, size_t size)
{
	(void)arg;
	if (size)
		return realloc(block, size);
	free(block);
	return NULL;
}

static const cyaml_config_t schema_config = {
	.mem_fn = schema_memory,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

/* What libcyaml says first; after the check above that is aliases and lack of memory only. */
struct schema_complaint {
	char text[200];
};

__attribute__((format(printf, 3, 0))) static void schema_log(cyaml_log_t level, void *arg,
							     const char *format, va_list args)
{
	struct schema_complaint *complaint = arg;

	if (level < CYAML_LOG_ERROR || complaint->text[0])
		return;
	vsnprintf(complaint->text, sizeof(complaint->text), format, args);
	complaint->text[strcspn(complaint->text, "\n")] = '\0';
}

static int schema_refuse(cyaml_err_t err, const struct schema_complaint *complaint,
			 const struct document *document, struct diag *d)
{
	char where[160];

	document_where(document, 0, where, sizeof(where));
	if (err == CYAML_ERR_OOM)
		return diag_set(d, -ENOMEM, where, NULL, "no memory for its content");
	if (err == CYAML_ERR_ALIAS)
		return diag_set(d, -EINVAL, where, "write the value out at each place",
				"anchors and aliases (&name, *name) are not understood");
	return diag_set(d, -EINVAL, where, "compare it with docs/configuration.md", "%s",
			complaint->text[0] ? complaint->text : cyaml_strerror(err));
}

int schema_load(const struct document *document, const char *text, size_t size,
		struct raw_config **raw, struct mistakes *mistakes, struct diag *d)
{
	struct schema_reader reader = {.document = document, .mistakes = mistakes, .d = d};
	struct schema_complaint complaint = {""};
	cyaml_config_t config = schema_config;
	document_node root = document_root(document);
	cyaml_data_t *data = NULL;
	cyaml_err_t err;
	int rc;

	*raw = NULL;
	if (!root || document_is_null(document, root))
		return 0;
	rc = schema_value(&reader, root, "the file", &schema_root);
	if (!mistakes_pass(mistakes, rc, d))
		return rc;
	if (reader.misshapen)
		return -EINVAL;
	if (mistakes->count)
		config.flags |= CYAML_CFG_IGNORE_UNKNOWN_KEYS;
	config.log_fn = schema_log;
	config.log_ctx = &complaint;
	err = cyaml_load_data((const uint8_t *)text, size, &config, &schema_root, &data, NULL);
	if (err != CYAML_OK)
		return schema_refuse(err, &complaint, document, d);
	*raw = data;
	return 0;
}

void schema_free(struct raw_config *raw)
{
	if (raw)
		cyaml_free(&schema_config, &schema_root, raw, 0);
}
