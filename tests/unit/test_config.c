/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "lib/base/fd.h"
#include "lib/model/alert.h"
#include "tests/unit/check.h"

#define EXAMPLE "deploy/vow.yaml.example"

static const char *written_bytes(const char *name, const char *text, size_t size)
{
	static char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", check_dir(), name);
	file = fopen(path, "w");
	CHECK(file && fwrite(text, 1, size, file) == size && fclose(file) == 0);
	return path;
}

static struct vow_config *loaded(const char *text)
{
	struct vow_config *config = NULL;
	struct diag d = {0};
	char line[700];

	if (config_load(written_bytes("vow.yaml", text, strlen(text)), &config, &d) != 0)
		CHECK_FAIL("%s", diag_format(&d, line, sizeof(line)));
	return config;
}

/* The text is refused: at `line` (0: of the file as a whole), saying `what`, proposing `fix`. */
static void refused(const char *text, unsigned line, const char *what, const char *fix)
{
	const char *path = written_bytes("vow.yaml", text, strlen(text));
	struct vow_config *config = NULL;
	struct diag d = {0};
	char where[600];

	CHECK_RC(config_load(path, &config, &d), -EINVAL);
	CHECK(!config);
	if (line)
		snprintf(where, sizeof(where), "%s:%u", path, line);
	else
		snprintf(where, sizeof(where), "%s", path);
	CHECK_STR(d.where, where);
	CHECK_STR_HAS(d.what, what);
	CHECK_STR_HAS(d.fix, fix);
}

CHECK_TEST(test_without_a_file_the_defaults_are_sound)
{
	struct vow_config *c = NULL;
	char host[64];

	CHECK_OK(config_load(NULL, &c, NULL));
	gethostname(host, sizeof(host));
	CHECK_STR(c->host, host);
	CHECK_STR(c->path, "");
	CHECK(c->capture_http && c->capture_lanes && c->capture_host);
	CHECK_EQ_U64(c->http_ring_bytes, 1 << 20);
	CHECK(!c->http_tier);
	CHECK_EQ_U64(c->routes_per_service, 200);
	CHECK_EQ_U64(c->series_max, 4096);
	CHECK_EQ_U64(c->forget_agents, 30 * 24 * NS_PER_H);
	CHECK_EQ_U64(c->policy.objective_count, 4);
	CHECK_EQ_U64(c->policy.scaler_count, 1);
	CHECK_EQ_U64(c->receiver_count, 0);
	CHECK_EQ_U64(config_remarks(c, NULL, NULL), 0);
	config_free(c);
}

CHECK_TEST(test_empty_and_comment_files_are_the_defaults)
{
	static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "~\n", "{}\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct vow_config *c = loaded(texts[i]);

		CHECK_EQ_U64(c->policy.objective_count, 4);
		CHECK_STR_HAS(c->path, "/vow.yaml");
		config_free(c);
	}
}

CHECK_TEST(test_example_loads_as_it_says)
{
	struct vow_config *c = NULL;
	const struct objective *pay, *hooks;
	const struct scaler *shop, *mail;
	struct diag d = {0};
	char line[700];

	if (config_load(EXAMPLE, &c, &d) != 0)
		CHECK_FAIL("%s", diag_format(&d, line, sizeof(line)));
	CHECK_STR(c->host, "web-1");
	CHECK_EQ_U64(c->service_count, 1);
	CHECK_STR(c->services[0].service, "shop");
	CHECK_STR(c->services[0].command, "node");
	CHECK_STR(c->services[0].cgroup, "shop.slice");
	CHECK_EQ_U64(c->services[0].port, 8080);
	CHECK_EQ_U64(c->template_count, 4);
	CHECK_STR(c->templates[1].pattern, "/api/guest-lists/{id}/guests/{guest}");
	CHECK_STR(c->templates[1].service, "shop");
	CHECK_STR(c->templates[3].pattern, "/healthz");
	CHECK_STR(c->templates[3].service, "");

	CHECK_EQ_U64(c->policy.objective_count, 2);
	pay = &c->policy.objectives[0];
	CHECK_STR(pay->name, "payments-are-fast");
	CHECK_STR(pay->selector.service, "shop");
	CHECK_EQ_I64(pay->selector.kind, SERIES_HTTP);
	CHECK_EQ_I64(pay->selector.role, SERIES_SERVER);
	CHECK_STR(pay->selector.method, "POST");
	CHECK_STR(pay->selector.route, "/api/payments*");
	CHECK_EQ_U64(pay->threshold_ns, 150 * NS_PER_MS);
	CHECK_NEAR(pay->target_ratio, 0.95, 1e-15);
	CHECK_EQ_U64(pay->period, 30 * 24 * NS_PER_H);
	CHECK_NEAR(pay->burn_rate, 4, 0);
	CHECK_EQ_U64(pay->long_window, NS_PER_MIN);
	CHECK_EQ_U64(pay->short_window, 10 * NS_PER_S);
	CHECK_EQ_U64(pay->clear_after, 30 * NS_PER_S);
	CHECK_EQ_U64(pay->min_bad, 3);
	CHECK_EQ_I64(pay->severity, SEVERITY_PAGE);
	hooks = &c->policy.objectives[1];
	CHECK_EQ_I64(hooks->selector.role, POLICY_ANY);
	CHECK_EQ_U64(hooks->long_window, NS_PER_H);
	CHECK_NEAR(hooks->burn_rate, 14.4, 1e-12);

	CHECK_EQ_U64(c->policy.scaler_count, 2);
	shop = &c->policy.scalers[0];
	CHECK_EQ_I64(shop->signal, SCALE_RATE);
	CHECK_NEAR(shop->target, 200, 0);
	CHECK_EQ_U64(shop->minimum, 2);
	CHECK_EQ_U64(shop->maximum, 20);
	CHECK_NEAR(shop->deadband_ratio, 0.1, 1e-15);
	CHECK_EQ_U64(shop->up_cooldown, 3 * NS_PER_MIN);
	CHECK_EQ_U64(shop->down_cooldown, 10 * NS_PER_MIN);
	mail = &c->policy.scalers[1];
	CHECK_EQ_I64(mail->signal, SCALE_GAUGE);
	CHECK_STR(mail->gauge, "queue_depth");
	CHECK(!mail->gauge_is_mean);

	CHECK_EQ_U64(c->receiver_count, 1);
	CHECK_STR(c->receivers[0].name, "on-call");
	CHECK_STR(c->receivers[0].url, "https://hooks.example.com/vow");
	CHECK(c->receivers[0].alerts && c->receivers[0].scaling);
	CHECK_EQ_U64(c->receivers[0].timeout, 5 * NS_PER_S);
	CHECK_EQ_U64(c->journal_budget_bytes, 256 << 20);
	CHECK_EQ_U64(c->journal_fsync_every, 0);
	CHECK_STR(c->tls_ca, "");
	CHECK_EQ_U64(config_remarks(c, NULL, NULL), 0);
	config_free(c);
}

/* The example says of some values that they are the defaults. */
CHECK_TEST(test_example_shows_the_true_defaults)
{
	struct vow_config *example = NULL, *bare = NULL;
	struct objective fresh;
	const struct objective *pay;

	CHECK_OK(config_load(EXAMPLE, &example, NULL));
	CHECK_OK(config_load(NULL, &bare, NULL));
	CHECK_EQ_U64(example->http_ring_bytes, bare->http_ring_bytes);
	CHECK_EQ_U64(example->routes_per_service, bare->routes_per_service);
	CHECK_EQ_U64(example->capture_traces, bare->capture_traces);
	CHECK_EQ_U64(example->capture_peer_names, bare->capture_peer_names);
	CHECK_EQ_U64(example->delivery_quiet, bare->delivery_quiet);
	CHECK_MEM(&example->delivery_ids, &bare->delivery_ids, sizeof(bare->delivery_ids));
	CHECK_MEM(&example->event_types, &bare->event_types, sizeof(bare->event_types));
	CHECK_EQ_U64(example->series_max, bare->series_max);
	CHECK_EQ_U64(example->forget_agents, bare->forget_agents);
	CHECK_EQ_U64(example->journal_segment_bytes, bare->journal_segment_bytes);
	CHECK_EQ_U64(example->journal_budget_bytes, bare->journal_budget_bytes);
	CHECK_EQ_U64(example->journal_fsync_every, bare->journal_fsync_every);
	CHECK_EQ_U64(example->journal_age, bare->journal_age);
	CHECK_EQ_U64(example->journal_free_bytes, bare->journal_free_bytes);
	pay = &example->policy.objectives[0];
	objective_init(&fresh);
	fresh.target_ratio = 0.95;
	objective_alert_defaults(&fresh);
	CHECK_NEAR(pay->burn_rate, fresh.burn_rate, 0);
	CHECK_EQ_U64(pay->long_window, fresh.long_window);
	CHECK_EQ_U64(pay->short_window, fresh.short_window);
	CHECK_EQ_U64(pay->clear_after, fresh.clear_after);
	CHECK_EQ_U64(pay->min_bad, fresh.min_bad);
	CHECK_EQ_U64(pay->period, fresh.period);
	config_free(example);
	config_free(bare);
}

static char *whole(const char *path)
{
	char *text = NULL;
	size_t size;

	CHECK_OK(fd_read_file(path, 1 << 20, &text, &size, NULL));
	return text;
}

/* A key that is not described is a key that nobody finds. */
CHECK_TEST(test_every_key_is_in_the_example_and_in_the_manual)
{
	static const char *const rows[] = {"\tTEXT(\"", "\tMAP(\"", "\tLIST(\""};
	char *schema = whole("config/schema.c"), *example = whole(EXAMPLE);
	char *manual = whole("docs/configuration.md");
	unsigned keys = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (char *p = schema; (p = strstr(p, rows[i])); p++) {
			char key[64], shown[70];

			sscanf(p + strlen(rows[i]), "%63[a-z_]", key);
			snprintf(shown, sizeof(shown), "%s:", key);
			if (!strstr(example, shown))
				CHECK_FAIL("%s has no key '%s'", EXAMPLE, key);
			snprintf(shown, sizeof(shown), "`%s`", key);
			if (!strstr(manual, shown))
				CHECK_FAIL("docs/configuration.md does not name '%s'", key);
			keys++;
		}
	CHECK_GE_U64(keys, 50);
	free(schema);
	free(example);
	free(manual);
}

CHECK_TEST(test_unknown_keys_name_line_and_the_nearest_key)
{
	refused("host: a\nobjektives: []\n", 2, "unknown key 'objektives'",
		"did you mean 'objectives'?");
	refused("capture:\n  http: true\n\n  lanez: true\n", 4, "unknown key 'lanez'",
		"did you mean 'lanes'?");
	refused("objectives:\n  - name: a\n    target: 95%\n    alert: {long: 10s,\n"
		"            zebra: 1}\n",
		5, "unknown key 'zebra'",
		"known here: burn_rate, long, short, clear_after, min_bad, severity");
}

CHECK_TEST(test_broken_yaml_names_the_line)
{
	refused("host: [a\nb: c\n", 2, "not YAML", "close each bracket");
	refused("routes: [/users/{id}]\n", 1, "not YAML", "braces in quotes");
	refused("host: a\n b: c\n", 2, "not YAML", "check the indentation");
	refused("host: a\n\tb: c\n", 2, "not YAML", "spaces, not with tabs");
	refused("host: \"a\n", 2, "not YAML", "quotes");
	refused("a: b: c\n", 1, "not YAML", "");
	refused("host: a\xff\xfe\n", 1, "not YAML", "UTF-8");
}

CHECK_TEST(test_absurd_nesting_is_refused_before_it_is_read)
{
	static const char *const openings[] = {"[", "{a: ", "- ", "? "};

	for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
		size_t one = strlen(openings[i]), size = one * 100000;
		char *text = malloc(size + 1);

		CHECK(text != NULL);
		for (size_t at = 0; at < size; at += one)
			memcpy(text + at, openings[i], one);
		text[size] = '\0';
		refused(text, 1, "nested deeper", "brackets");
		free(text);
	}
}

CHECK_TEST(test_what_would_be_left_out_without_a_word_is_refused)
{
	refused("host: a\n---\nhost: b\n", 2, "a second document", "'---'");
	refused("host: a\n---\na: b: c\n", 3, "not YAML", "quotes");
	refused("host: \"web\\0-1\"\n", 1, "NUL", "take");
	refused("\"host\\0\": web\n", 1, "NUL", "take");
	config_free(loaded("---\nhost: a\n...\n# the end\n"));
}

CHECK_TEST(test_wrong_shapes_name_the_line)
{
	refused("- a\n- b\n", 1, "'the file' must be a group of keys, but is a list", "");
	refused("host: a\ncapture: 3\n", 2, "'capture' must be a group of keys", "indented");
	refused("capture:\nhost: a\n", 1, "but is empty", "take it out");
	refused("host: {a: b}\n", 1, "'host' must be a single value", "");
	refused("host:\n", 1, "'host' must be a single value, but is empty", "take the key out");
	refused("receivers: a\n", 1, "'receivers' must be a list", "'- '");
	refused("objectives:\n  - name: a\n    target: 95%\n  - b\n", 4,
		"'objectives' must be a group of keys", "");
	refused("host: a\nseries_max: 99\nhost: b\n", 3, "key 'host' was given before, at ",
		"keep one");
	refused("host: &x a\ntls: {ca: *x}\n", 0, "anchors and aliases", "at each place");
}

CHECK_TEST(test_too_many_objectives_are_refused_at_the_first_too_many)
{
	char text[8192] = "objectives:\n";

	for (int i = 0; i < 65; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "  - {name: o%d, target: 95%%}\n", i);
	refused(text, 66, "'objectives' has 65 entries, more than 64", "");
}

CHECK_TEST(test_lists_of_headers_replace_the_defaults)
{
	struct vow_config *c = loaded("capture: {delivery_ids: [X-My-Id], event_types: []}\n");

	CHECK_EQ_U64(c->delivery_ids.count, 1);
	CHECK_STR(c->delivery_ids.names[0], "X-My-Id");
	CHECK_EQ_U64(c->event_types.count, 0);
	config_free(c);
	c = loaded("capture: {traces: false, peer_names: false}\n");
	CHECK(!c->capture_traces && !c->capture_peer_names);
	CHECK_EQ_U64(c->delivery_ids.count, 3);
	CHECK_EQ_U64(c->event_types.count, 2);
	config_free(c);
}

CHECK_TEST(test_traced_services_are_a_list_that_allows_probes)
{
	struct vow_config *c = loaded("capture: {tls: [web, 'pay-*']}\n");

	CHECK(c->tls_allowed);
	CHECK_EQ_U64(c->tls_services.count, 2);
	CHECK_STR(c->tls_services.names[1], "pay-*");
	config_free(c);
	c = loaded("capture: {tls: []}\n");
	CHECK(c->tls_allowed);
	CHECK_EQ_U64(c->tls_services.count, 0);
	config_free(c);
	c = loaded("capture: {http: true}\n");
	CHECK(!c->tls_allowed);
	config_free(c);
	refused("capture: {tls: web}\n", 1, "'tls' must be a list", "");
}

CHECK_TEST(test_values_out_of_range_name_line_and_range)
{
	refused("capture:\n  http: maybe\n", 2, "http: 'maybe' is neither", "true or false");
	refused("capture: {http_ring: 3MiB}\n", 1, "not a power of two", "4MiB");
	refused("capture: {http_tier: C}\n", 1, "http_tier", "one of: auto, A, B");
	refused("capture: {http_ring: 1KiB}\n", 1, "not in its range", "from 256 KiB to 64.0 MiB");
	refused("capture: {http_ring: much}\n", 1, "not a size", "8MiB");
	refused("capture: {traces: maybe}\n", 1, "neither", "true or false");
	refused("capture: {peer_names: 1}\n", 1, "neither", "true or false");
	refused("capture: {delivery_ids: ['a b']}\n", 1, "not the name of a header", "webhook-id");
	refused("capture: {delivery_ids: [x-*-*-id]}\n", 1, "not the name of a header",
		"webhook-id");
	refused("capture: {delivery_ids: ['*-id']}\n", 1, "before its '*'", "X-*-Delivery");
	refused("capture: {event_types: ['X-*']}\n", 1, "say how it ends", "X-*-Delivery");
	refused("capture: {event_types: [x-a, 'X-*-Signature']}\n", 1, "no type of event",
		"Stripe-Signature");
	refused("capture: {event_types: [-SIGNATURE]}\n", 1, "no type of event",
		"Stripe-Signature");
	refused("capture: {event_types: [a]}\n", 1, "before its '*'", "X-*-Delivery");
	refused("capture: {event_types: [x-12345678901234567890123456789012]}\n", 1, "too long",
		"31");
	refused("capture:\n  event_types: [aa, bb, cc, dd, ee, ff, gg, hh]\n", 2, "more than 7",
		"");
	refused("forget_agents: 1d\n", 1, "too soon", "at least 3d");
	refused("series_max: 0\n", 1, "series_max: '0'", "from 16 to 1000000");
	refused("series_max: -5\n", 1, "series_max: '-5'", "from 16");
	refused("journal:\n  budget: 8MiB\n", 2, "does not hold two segments", "twice");
	refused("journal:\n  age: 2y\n", 2, "not a span of time", "10s");
	refused("journal:\n  free_space: some\n", 2, "not a size", "MiB");
	refused("journal:\n  fsync: often\n", 2, "not a span of time", "10s");
	refused("tls:\n  ca: /a\n", 2, "tls needs ca, certificate and key", "all three");
	refused("host: \"a\\tb\"\n", 1, "control character", "");
	refused("host: "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		1, "bytes long", "at most 63 bytes");
}

#define O "objectives:\n  - name: a\n"
CHECK_TEST(test_objectives_are_checked)
{
	refused("objectives:\n  - target: 95%\n", 2, "needs a name", "name:");
	refused("objectives:\n  - name: a b\n    target: 95%\n", 2, "'a b' cannot be a name",
		"letters");
	refused(O, 2, "'a' has no target", "target: 95%");
	refused(O "    target: 100%\n", 3, "100% leaves nothing to fail", "99.9%");
	refused(O "    target: 0\n", 3, "leaves everything to fail", "");
	refused(O "    target: 95\n", 3, "'95' is not in its range", "95% and 0.95");
	refused(O "    target: high\n", 3, "not a share", "");
	refused(O "    target: 95%\n    threshold: 200\n", 4, "'200' is not a span of time",
		"200ms");
	refused(O "    target: 95%\n    period: 365d\n", 4, "period", "from 1 h to 90 d");
	refused(O "    target: 95%\n    match:\n      kind: htpp\n", 5, "'htpp' is not known",
		"did you mean 'http'?");
	refused(O "    target: 95%\n    match: {role: both}\n", 4, "'both' is not known",
		"server, client, any");
	refused(O "    target: 95%\n    alert:\n      long: 10s\n      short: 20s\n", 6,
		"longer than the long", "shorter");
	refused(O "    target: 95%\n    alert: {long: 2500ms}\n", 4, "whole number of seconds", "");
	refused(O "    target: 95%\n    alert: {burn_rate: 0}\n", 4, "above 0", "14.4");
	refused(O "    target: 95%\n    alert: {severity: loud}\n", 4, "'loud'", "ticket, page");
	refused(O "    target: 95%\n  - name: b\n    target: 1%\n  - name: a\n    target: 5%\n", 6,
		"'a' was given before", "name of its own");
}

#define S "scaling:\n  - name: web\n"
CHECK_TEST(test_scalers_are_checked)
{
	refused("scaling:\n  - signal: rate\n", 2, "needs a name", "");
	refused(S "    target: 5\n", 2, "has no signal", "signal: rate");
	refused(S "    signal: rate\n", 2, "has no target", "target:");
	refused(S "    signal: rat\n    target: 5\n", 3, "'rat' is not known", "'rate'");
	refused(S "    signal: gauge\n    target: 5\n", 3, "which gauge is not said", "gauge:");
	refused(S "    signal: rate\n    gauge: x\n    target: 5\n", 4, "looks at no gauge", "");
	refused(S "    signal: rate\n    combine: sum\n    target: 5\n", 4, "for gauges only", "");
	refused(S "    signal: latency_p95\n    target: 5\n", 4, "not a span of time", "");
	refused(S "    signal: rate\n    target: 0\n", 4, "above 0", "");
	refused(S "    signal: rate\n    target: 1\n    minimum: 9\n    maximum: 3\n", 5,
		"minimum of 9 is above the maximum of 3", "raise");
	refused(S "    signal: rate\n    target: 1\n    maximum: 20000\n", 5, "range", "10000");
	refused(S "    signal: rate\n    target: 1\n    deadband: 95%\n", 5, "range", "90 %");
}

#define R "receivers:\n  - name: a\n"
CHECK_TEST(test_receivers_are_checked)
{
	refused("receivers:\n  - url: http://x/\n", 2, "needs a name", "");
	refused(R, 2, "has no url", "url:");
	refused(R "    url: ftp://x/\n", 3, "not an http or https address", "https://");
	refused(R "    url: http:///x\n", 3, "not an http or https address", "");
	refused(R "    url: \"http://x/a b\"\n", 3, "not an http or https address", "");
	refused(R "    url: http://x\n    events: [alerts, pages]\n", 4, "'pages' is not known",
		"alerts, scaling");
	refused(R "    url: http://x\n    timeout: 1ms\n", 4, "range", "from 100 ms to 1 min");
	refused(R "    url: http://x\n    secret: s\n    secret_file: /f\n", 5, "both", "one");
	refused(R "    url: http://x\n    secret: whsec_%%%\n", 4, "no base64", "copy it whole");
	refused(R "    url: http://x\n    secret_file: /nowhere/at/all\n", 4, "/nowhere/at/all",
		"may read");
}

CHECK_TEST(test_services_and_routes_are_checked)
{
	refused("services:\n  - match: {port: 80}\n", 2, "needs a name", "");
	refused("services:\n  - name: a\n", 2, "matches no process", "");
	refused("services:\n  - name: a\n    match: {port: 70000}\n", 3, "70000", "65535");
	refused("routes:\n  - /a\n  - b\n", 3, "'b' is not a route", "'/'");
	refused("routes: [/a/*/b]\n", 1, "'*' in the middle", "");
	refused("routes: ['/a/{id']\n", 1, "not one whole segment", "");
	refused("routes: ['/a/x{id}']\n", 1, "not one whole segment", "");
	refused("services:\n  - name: a\n    routes:\n      - /a\n      - x\n", 5, "'x'", "");
}

CHECK_TEST(test_peers_are_named_by_their_addresses)
{
	struct vow_config *c =
		loaded("peers:\n"
		       "  - name: payments\n"
		       "    addresses: [10.0.0.7, '10.0.0.8:8443', 10.1.0.0/16]\n"
		       "  - name: mail\n"
		       "    addresses: ['2001:db8::7', '[2001:db8::8]:25', '::/0']\n");

	CHECK_EQ_U64(c->peer_count, 6);
	CHECK_STR(c->peers[0].name, "payments");
	CHECK_EQ_U64(c->peers[0].address[15], 7);
	CHECK_EQ_U64(c->peers[0].address[11], 0xff);
	CHECK_EQ_U64(c->peers[0].bits, 128);
	CHECK_EQ_U64(c->peers[0].port, 0);
	CHECK_EQ_U64(c->peers[1].port, 8443);
	CHECK_EQ_U64(c->peers[2].bits, 112);
	CHECK_STR(c->peers[5].name, "mail");
	CHECK_EQ_U64(c->peers[3].address[0], 0x20);
	CHECK_EQ_U64(c->peers[4].port, 25);
	CHECK_EQ_U64(c->peers[5].bits, 0);
	config_free(c);
	refused("peers:\n  - addresses: [10.0.0.7]\n", 2, "needs a name", "");
	refused("peers:\n  - name: a\n", 2, "no address", "addresses");
	refused("peers:\n  - name: a\n    addresses: [payments]\n", 3, "'payments'", "10.0.0.7");
	refused("peers:\n  - name: a\n    addresses: [10.0.0.0/33]\n", 3, "10.0.0.0/33", "");
	refused("peers:\n  - name: a\n    addresses: ['10.0.0.7:0']\n", 3, "10.0.0.7:0", "");
	refused("peers:\n  - name: a\n    addresses: ['[::1]']\n", 3, "[::1]", "");
}

CHECK_TEST(test_secret_is_read_from_its_file)
{
	struct vow_config *c;
	char text[700], path[512];

	snprintf(path, sizeof(path), "%s", written_bytes("secret", "whsec_YWJj\n", 11));
	snprintf(text, sizeof(text), R "    url: http://x\n    secret_file: %s\n", path);
	c = loaded(text);
	CHECK_STR(c->receivers[0].secret, "whsec_YWJj");
	config_free(c);
	written_bytes("secret", "whsec_abc\n", 10);
	refused(text, 4, "no base64", "copy it whole");
	written_bytes("secret", "\nx", 2);
	refused(text, 4, "holds no secret", "first line");
}

CHECK_TEST(test_events_choose_what_a_receiver_gets)
{
	struct vow_config *c = loaded(R "    url: http://x\n    events: [scaling]\n");

	CHECK(!c->receivers[0].alerts);
	CHECK(c->receivers[0].scaling);
	config_free(c);
}

CHECK_TEST(test_empty_lists_switch_the_defaults_off)
{
	struct vow_config *c = loaded("objectives: []\nscaling: []\n");

	CHECK_EQ_U64(c->policy.objective_count, 0);
	CHECK_EQ_U64(c->policy.scaler_count, 0);
	config_free(c);
}

CHECK_TEST(test_ratio_gauges_are_means)
{
	struct vow_config *c = loaded(S "    gauge: cpu_ratio\n    target: 60%\n"
					"  - name: b\n    gauge: jobs\n    combine: mean\n"
					"    target: 3\n");

	CHECK_EQ_I64(c->policy.scalers[0].signal, SCALE_GAUGE);
	CHECK(c->policy.scalers[0].gauge_is_mean);
	CHECK_NEAR(c->policy.scalers[0].target, 0.6, 1e-12);
	CHECK(c->policy.scalers[1].gauge_is_mean);
	config_free(c);
}

CHECK_TEST(test_a_long_window_alone_brings_its_short_one)
{
	struct vow_config *c = loaded(O "    target: 95%\n    alert: {long: 10s}\n"
					"  - name: b\n    target: 95%\n    alert: {long: 1h}\n");

	CHECK_EQ_U64(c->policy.objectives[0].short_window, NS_PER_S);
	CHECK_EQ_U64(c->policy.objectives[1].short_window, 5 * NS_PER_MIN);
	config_free(c);
}

/* ---- remarks --------------------------------------------------------------------------------- */

struct noted {
	struct diag remarks[16];
	unsigned count;
};

static void note(void *arg, const struct diag *remark)
{
	struct noted *noted = arg;

	CHECK(noted->count < ARRAY_LEN(noted->remarks));
	noted->remarks[noted->count++] = *remark;
}

CHECK_TEST(test_an_alert_that_can_never_fire_is_remarked)
{
	struct vow_config *c = loaded("objectives:\n"
				      "  - {name: hits, target: 90%, alert: {burn_rate: 14.4}}\n"
				      "  - {name: slow, target: 95%, alert: {burn_rate: 14.4}}\n"
				      "  - {name: good, target: 95%}\n");
	struct noted noted = {.count = 0};

	CHECK_EQ_U64(config_remarks(c, note, &noted), 2);
	CHECK_EQ_U64(noted.count, 3);
	CHECK_STR(noted.remarks[0].where, "vow.yaml: objective 'hits'");
	CHECK_EQ_I64(noted.remarks[0].err, -EINVAL);
	CHECK_STR(noted.remarks[0].what,
		  "the alert can never fire: with a target of 90 % the budget burns at most 10 "
		  "times too fast, the burn_rate is 14.4");
	CHECK_STR_HAS(noted.remarks[1].what, "sleeps through 30 % of bad events: it needs 72 %");
	CHECK_EQ_I64(noted.remarks[2].err, 0);
	CHECK_STR(noted.remarks[2].what,
		  "alert fires 12 s after all events turn bad, 40 s after 30 % do");
	config_free(c);
}

CHECK_TEST(test_hidden_routes_are_remarked)
{
	struct vow_config *c =
		loaded("objectives: []\n"
		       "services:\n"
		       "  - name: a\n"
		       "    routes: ['/x/{id}', '/x/new', '/y/*', '/y/']\n"
		       "  - name: b\n"
		       "    routes: ['/x/new', '/y/{a}/{b}']\n"
		       "routes: ['/x/new', '/y/z', '/{a}/z', '/{b}/z', '/*', '/k']\n");
	struct noted noted = {.count = 0};

	CHECK_EQ_U64(config_remarks(c, note, &noted), 3);
	CHECK_STR(noted.remarks[0].where, "vow.yaml: route '/x/new'");
	CHECK_STR_HAS(noted.remarks[0].what, "all that fit it fit '/x/{id}' before it");
	CHECK_STR(noted.remarks[1].where, "vow.yaml: route '/{b}/z'");
	CHECK_STR(noted.remarks[2].where, "vow.yaml: route '/k'");
	config_free(c);
}

CHECK_TEST(test_more_thresholds_than_are_counted_is_remarked)
{
	char text[2048] = "objectives:\n";
	struct vow_config *c;
	struct noted noted = {.count = 0};

	for (int i = 0; i < 6; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "  - {name: o%d, target: 95%%, threshold: %dms, match: {route: '/%s'}}\n",
			 i, 100 * (i + 1), i == 1 ? "other" : "pay*");
	c = loaded(text);
	CHECK_EQ_U64(config_remarks(c, note, &noted), 1);
	CHECK_STR(noted.remarks[6].where, "vow.yaml: objective 'o5'");
	CHECK_STR_HAS(noted.remarks[6].what, "the 5th for some series");
	config_free(c);
}

/* ---- files ----------------------------------------------------------------------------------- */

CHECK_TEST(test_files_that_cannot_be_read_say_why)
{
	struct vow_config *c = NULL;
	struct diag d = {0};
	char path[600], *big = malloc(2 << 20);

	snprintf(path, sizeof(path), "%s/none.yaml", check_dir());
	CHECK_RC(config_load(path, &c, &d), -ENOENT);
	CHECK_STR_HAS(d.where, "none.yaml");
	CHECK(config_load(check_dir(), &c, &d) < 0);
	memset(big, '#', 2 << 20);
	CHECK_RC(config_load(written_bytes("big", big, 2 << 20), &c, &d), -EFBIG);
	CHECK(!c);
	free(big);
}

CHECK_TEST(test_the_file_is_found_in_its_places)
{
	char buf[512], want[600];

	CHECK_STR(config_find("/given", "/dir", buf), "/given");
	CHECK(!config_find(NULL, check_dir(), buf));
	written_bytes("vow.yaml", "", 0);
	snprintf(want, sizeof(want), "%s/vow.yaml", check_dir());
	CHECK_STR(config_find(NULL, check_dir(), buf), want);
}

CHECK_TEST(test_lack_of_memory_is_told_and_leaks_nothing)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct vow_config *c = NULL;
		struct diag d = {0};
		int rc = config_load(EXAMPLE, &c, &d);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		config_free(c);
	}
}

CHECK_TEST(test_any_damage_to_the_example_is_survived)
{
	char *text = whole(EXAMPLE);
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i += 7) {
		static const char damage[] = {'{',  '[', '\t', '-',	  ':',
					      '\n', '"', '\0', (char)0xff};
		struct vow_config *c = NULL;
		struct diag d = {0};
		char kept = text[i];
		int rc;

		text[i] = damage[i / 7 % sizeof(damage)];
		rc = config_load(written_bytes("vow.yaml", text, size), &c, &d);
		CHECK(rc == 0 ? c != NULL : rc == -EINVAL && d.what[0] && d.where[0]);
		config_free(c);
		text[i] = kept;
	}
	free(text);
}

CHECK_MAIN("config", test_without_a_file_the_defaults_are_sound,
	   test_empty_and_comment_files_are_the_defaults, test_example_loads_as_it_says,
	   test_example_shows_the_true_defaults, test_every_key_is_in_the_example_and_in_the_manual,
	   test_unknown_keys_name_line_and_the_nearest_key, test_broken_yaml_names_the_line,
	   test_absurd_nesting_is_refused_before_it_is_read,
	   test_what_would_be_left_out_without_a_word_is_refused, test_wrong_shapes_name_the_line,
	   test_too_many_objectives_are_refused_at_the_first_too_many,
	   test_lists_of_headers_replace_the_defaults,
	   test_traced_services_are_a_list_that_allows_probes,
	   test_values_out_of_range_name_line_and_range, test_objectives_are_checked,
	   test_scalers_are_checked, test_receivers_are_checked,
	   test_services_and_routes_are_checked, test_peers_are_named_by_their_addresses,
	   test_secret_is_read_from_its_file, test_events_choose_what_a_receiver_gets,
	   test_empty_lists_switch_the_defaults_off, test_ratio_gauges_are_means,
	   test_a_long_window_alone_brings_its_short_one,
	   test_an_alert_that_can_never_fire_is_remarked, test_hidden_routes_are_remarked,
	   test_more_thresholds_than_are_counted_is_remarked,
	   test_files_that_cannot_be_read_say_why, test_the_file_is_found_in_its_places,
	   test_lack_of_memory_is_told_and_leaks_nothing,
	   test_any_damage_to_the_example_is_survived)
