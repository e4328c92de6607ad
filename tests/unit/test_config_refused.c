/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused in a configuration, or remarked, in which words and of which line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config_written.h"

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

CHECK_TEST(test_values_out_of_range_name_line_and_range)
{
	refused("capture:\n  http: maybe\n", 2, "http: 'maybe' is neither", "true or false");
	refused("capture: {http_ring: 3MiB}\n", 1, "not a power of two", "4MiB");
	refused("capture: {http_tier: D}\n", 1, "http_tier", "one of: auto, A, B, C");
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
	refused("capture: {event_types: ['json:']}\n", 1, "not the name of a field", "json:type");
	refused("capture: {event_types: ['json:data.*']}\n", 1, "not the name of a field",
		"json:type");
	refused("capture: {event_types: ['json:a\"b']}\n", 1, "not the name of a field",
		"json:type");
	refused("capture: {event_types: [json:a-name.of_24-characters_]}\n", 1, "too long", "23");
	refused("capture: {event_types: [json:a, json:b, json:c, json:d, json:e]}\n", 1,
		"5 fields of bodies are more than 4", "");
	refused("capture: {delivery_ids: [json:id]}\n", 1, "not the name of a header",
		"webhook-id");
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

CHECK_TEST(test_objectives_are_checked)
{
	refused("objectives:\n  - target: 95%\n", 2, "needs a name", "name:");
	refused("objectives:\n  - name: a b\n    target: 95%\n", 2, "'a b' cannot be a name",
		"letters");
	refused(O, 2, "'a' has no target", "target: 95%");
	refused(O "    target: 100%\n", 3, "100% leaves nothing to fail", "99.9%");
	refused(O "    target: 0\n", 3, "leaves everything to fail", "");
	refused(O "    target: 95\n", 3, "'95' lacks its '%'", "write '95%'");
	refused(O "    target: 950\n", 3, "'950' is not in its range", "95% and 0.95");
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
	refused("services:\n  - name: '{other}'\n    match: {port: 80}\n", 2,
		"'{other}' is the sum", "another");
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

/* ---- a check, which tells all of them ----------------------------------------------------------- */

struct mistakes_seen {
	unsigned count;
	struct diag each[CONFIG_MISTAKES_MAX + 2];
};

static void gather(void *arg, const struct diag *mistake)
{
	struct mistakes_seen *seen = arg;

	CHECK(seen->count < CONFIG_MISTAKES_MAX + 2);
	seen->each[seen->count++] = *mistake;
}

static const struct mistakes_seen *mistakes_of(const char *text)
{
	static struct mistakes_seen seen;
	const char *path = written_bytes("vow.yaml", text, strlen(text));
	struct vow_config *config = NULL;
	struct diag d;

	seen.count = 0;
	CHECK_RC(config_check(path, &config, gather, &seen, &d), -EINVAL);
	CHECK(!config);
	return &seen;
}

CHECK_TEST(test_a_check_tells_each_mistake_with_its_line)
{
	static const struct {
		const char *line, *what;
	} expected[] = {
		{":1", "unknown key 'objektives'"},
		{":2", "http: 'maybe' is neither true nor false"},
		{":17", "addresses[1]: 'nix' is no address"},
		{":17", "addresses[2]: 'nox' is no address"},
		{":5", "target: '95' lacks its '%'"},
		{":6", "threshold: '3 parsecs' is not a span of time"},
		{":7", "an objective needs a name"},
		{":8", "kind: 'htp' is not known here"},
		{":9", "severity: 'loud' is not known here"},
		{":13", "target: 'x' is not a number above 0"},
		{":14", "minimum: '0' is not in its range"},
	};
	const struct mistakes_seen *seen = mistakes_of("objektives: []\n"
						       "capture: {http: maybe}\n"
						       "objectives:\n"
						       "  - name: a\n"
						       "    target: 95\n"
						       "    threshold: 3 parsecs\n"
						       "  - target: 99.9%\n"
						       "    match: {kind: htp}\n"
						       "    alert: {severity: loud}\n"
						       "scaling:\n"
						       "  - name: b\n"
						       "    signal: rate\n"
						       "    target: x\n"
						       "    minimum: 0\n"
						       "peers:\n"
						       "  - name: p\n"
						       "    addresses: [10.0.0.1, nix, nox]\n");

	CHECK_EQ_U64(seen->count, ARRAY_LEN(expected));
	for (unsigned i = 0; i < ARRAY_LEN(expected); i++) {
		const char *colon = strrchr(seen->each[i].where, ':');

		CHECK_STR(colon, expected[i].line);
		CHECK_STR(seen->each[i].what, expected[i].what);
	}
	CHECK_STR_HAS(seen->each[4].fix, "write '95%'");
}

CHECK_TEST(test_a_check_tells_every_wrong_shape_and_then_ends)
{
	const struct mistakes_seen *seen =
		mistakes_of("host: [a]\njournal: 5\nseries_max: 1\nroutes: /a\n");

	CHECK_EQ_U64(seen->count, 3);
	CHECK_STR_HAS(seen->each[0].what, "'host' must be a single value");
	CHECK_STR_HAS(seen->each[1].what, "'journal' must be a group of keys");
	CHECK_STR_HAS(seen->each[2].what, "'routes' must be a list");
}

CHECK_TEST(test_a_check_ends_after_so_many_mistakes)
{
	char text[40 * 16] = "routes:\n";

	for (unsigned i = 0; i < 30; i++)
		strcat(text, "  - no-slash\n");
	CHECK_EQ_U64(mistakes_of(text)->count, CONFIG_MISTAKES_MAX);
	strcpy(text, "");
	for (unsigned i = 0; i < 30; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%u: 1\n", i);
	CHECK_EQ_U64(mistakes_of(text)->count, CONFIG_MISTAKES_MAX);
}

CHECK_TEST(test_a_check_tells_once_what_ends_the_reading_and_loads_what_is_valid)
{
	const struct mistakes_seen *seen = mistakes_of("a: [\n");
	struct vow_config *config = NULL;
	struct mistakes_seen none = {0};
	struct diag d;

	CHECK_EQ_U64(seen->count, 1);
	CHECK_STR_HAS(seen->each[0].what, "not YAML");
	CHECK_OK(config_check(EXAMPLE, &config, gather, &none, &d));
	CHECK_EQ_U64(none.count, 0);
	CHECK(config);
	config_free(config);
	config = NULL;
	CHECK_RC(config_check("/nowhere/vow.yaml", &config, gather, &none, &d), -ENOENT);
	CHECK_EQ_U64(none.count, 0);
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

CHECK_TEST(test_tls_that_the_asked_tier_cannot_read_is_remarked)
{
	struct vow_config *c = loaded("objectives: []\ncapture: {http_tier: C, tls: [shop]}\n");
	struct noted noted = {.count = 0};

	CHECK_EQ_U64(config_remarks(c, note, &noted), 1);
	CHECK_STR(noted.remarks[0].where, "vow.yaml: capture 'http_tier'");
	CHECK_STR_HAS(noted.remarks[0].what, "tier C reads no requests within TLS");
	config_free(c);
	c = loaded("objectives: []\ncapture: {http_tier: B, tls: [shop]}\n");
	CHECK_EQ_U64(config_remarks(c, note, &noted), 0);
	config_free(c);
}

CHECK_MAIN("config_refused", test_unknown_keys_name_line_and_the_nearest_key,
	   test_broken_yaml_names_the_line, test_absurd_nesting_is_refused_before_it_is_read,
	   test_what_would_be_left_out_without_a_word_is_refused, test_wrong_shapes_name_the_line,
	   test_too_many_objectives_are_refused_at_the_first_too_many,
	   test_values_out_of_range_name_line_and_range, test_objectives_are_checked,
	   test_scalers_are_checked, test_receivers_are_checked,
	   test_services_and_routes_are_checked, test_peers_are_named_by_their_addresses,
	   test_a_check_tells_each_mistake_with_its_line,
	   test_a_check_tells_every_wrong_shape_and_then_ends,
	   test_a_check_ends_after_so_many_mistakes,
	   test_a_check_tells_once_what_ends_the_reading_and_loads_what_is_valid,
	   test_an_alert_that_can_never_fire_is_remarked, test_hidden_routes_are_remarked,
	   test_more_thresholds_than_are_counted_is_remarked,
	   test_tls_that_the_asked_tier_cannot_read_is_remarked)
