/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says, and what it leaves to the defaults. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/model/alert.h"
#include "tests/unit/config_written.h"

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
	CHECK(!c->capture_btf[0]);
	CHECK_EQ_U64(c->http_busy_per_s, 1000);
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
	CHECK_EQ_U64(example->http_busy_per_s, bare->http_busy_per_s);
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

CHECK_TEST(test_lists_of_headers_replace_the_defaults)
{
	struct vow_config *c = loaded("capture: {delivery_ids: [X-My-Id], event_types: []}\n");

	CHECK_EQ_U64(c->delivery_ids.count, 1);
	CHECK_STR(c->delivery_ids.names[0], "X-My-Id");
	CHECK_EQ_U64(c->event_types.count, 0);
	config_free(c);
	c = loaded("capture: {event_types: [X-GitHub-Event, json:type, 'json:event_type']}\n");
	CHECK_EQ_U64(c->event_types.count, 3);
	CHECK_STR(c->event_types.names[1], "json:type");
	CHECK_STR(c->event_types.names[2], "json:event_type");
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
	c = loaded("capture: {tls_on_demand: true}\n");
	CHECK(c->tls_allowed && c->tls_on_demand);
	CHECK_EQ_U64(c->tls_services.count, 0);
	config_free(c);
	c = loaded("capture: {http: true}\n");
	CHECK(!c->tls_allowed && !c->tls_on_demand);
	config_free(c);
	refused("capture: {tls: web}\n", 1, "'tls' must be a list", "");
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
	   test_lists_of_headers_replace_the_defaults,
	   test_traced_services_are_a_list_that_allows_probes, test_secret_is_read_from_its_file,
	   test_events_choose_what_a_receiver_gets, test_empty_lists_switch_the_defaults_off,
	   test_ratio_gauges_are_means, test_a_long_window_alone_brings_its_short_one,
	   test_files_that_cannot_be_read_say_why, test_the_file_is_found_in_its_places,
	   test_lack_of_memory_is_told_and_leaks_nothing,
	   test_any_damage_to_the_example_is_survived)
