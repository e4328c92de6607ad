/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/model/alert.h"
#include "lib/model/policy.h"
#include "tests/unit/check.h"

static struct series_key key_of(const char *service, const char *route)
{
	struct series_key key = {.method = "GET", .kind = SERIES_HTTP, .role = SERIES_SERVER};

	strcpy(key.service, service);
	strcpy(key.route, route);
	return key;
}

static struct selector any(void)
{
	return (struct selector){.kind = POLICY_ANY, .role = POLICY_ANY};
}

CHECK_TEST(test_empty_selector_takes_everything)
{
	struct series_key key = key_of("shop", "/pay");
	struct selector selector = any();

	CHECK(selector_matches(&selector, &key));
}

CHECK_TEST(test_each_part_of_a_selector_must_fit)
{
	struct series_key key = key_of("shop", "/pay/now");
	struct selector s;

	s = any();
	s.kind = SERIES_APP;
	CHECK(!selector_matches(&s, &key));
	s = any();
	s.role = SERIES_CLIENT;
	CHECK(!selector_matches(&s, &key));
	s = any();
	strcpy(s.service, "sho");
	CHECK(!selector_matches(&s, &key));
	strcpy(s.service, "sho*");
	CHECK(selector_matches(&s, &key));
	strcpy(s.route, "/pay");
	CHECK(!selector_matches(&s, &key));
	strcpy(s.route, "/pay/*");
	CHECK(selector_matches(&s, &key));
	strcpy(s.method, "POST");
	CHECK(!selector_matches(&s, &key));
	strcpy(s.method, "GET");
	CHECK(selector_matches(&s, &key));
	strcpy(s.peer, "bank");
	CHECK(!selector_matches(&s, &key));
	strcpy(key.peer, "bank");
	CHECK(selector_matches(&s, &key));
}

CHECK_TEST(test_views_of_events_are_not_of_any_kind)
{
	static const int views[] = {SERIES_USER, SERIES_CONNECTION};
	struct selector all = any(), own = any(), http = any();

	http.kind = SERIES_HTTP;
	CHECK(selector_overlaps(&all, &http) && selector_overlaps(&http, &all));
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		struct series_key key = key_of("shop", "{user-visible}");

		key.kind = (uint8_t)views[i];
		own.kind = views[i];
		CHECK(!selector_matches(&all, &key));
		CHECK(selector_matches(&own, &key));
		CHECK(selector_overlaps(&own, &own));
		CHECK(!selector_overlaps(&own, &all) && !selector_overlaps(&all, &own));
		CHECK(!selector_overlaps(&own, &http));
	}
}

CHECK_TEST(test_overlap_is_a_text_that_both_take)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{"", "x", true},      {"a", "a", true},	   {"a", "b", false},	{"a", "ab", false},
		{"a*", "ab", true},   {"a*", "b*", false}, {"ab*", "a*", true}, {"ab*", "a", false},
		{"abc", "ab*", true}, {"*", "z", true},	   {"a*", "a", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct selector a = any(), b = any();

		strcpy(a.route, cases[i].a);
		strcpy(b.route, cases[i].b);
		CHECK(selector_overlaps(&a, &b) == cases[i].overlap);
		CHECK(selector_overlaps(&b, &a) == cases[i].overlap);
	}
}

CHECK_TEST(test_defaults_can_all_fire)
{
	static struct policy policy;

	policy_defaults(&policy);
	CHECK_EQ_U64(policy.objective_count, 4);
	CHECK_EQ_U64(policy.scaler_count, 1);
	for (unsigned i = 0; i < policy.objective_count; i++) {
		const struct objective *o = &policy.objectives[i];

		CHECK_LE_U64(alert_time_to_fire(o, 1), NS_PER_MIN);
		CHECK_LE_U64(alert_time_to_fire(o, 0.3), 3 * NS_PER_MIN);
		CHECK_EQ_I64(o->severity, SEVERITY_PAGE);
		CHECK_LE_U64(o->short_window, o->long_window);
		CHECK_GE_U64(o->min_bad, 1);
	}
}

CHECK_TEST(test_default_alert_can_fire_at_every_target)
{
	for (int percent = 1; percent < 100; percent++) {
		struct objective o;

		objective_init(&o);
		o.target_ratio = percent / 100.0;
		objective_alert_defaults(&o);
		CHECK(alert_time_to_fire(&o, 0.5) != ALERT_NEVER);
	}
}

CHECK_TEST(test_thresholds_are_those_of_matching_objectives_each_once)
{
	static struct policy policy;
	struct series_key key = key_of("shop", "/pay");
	dur_ns thresholds[SERIES_THRESHOLDS];

	memset(&policy, 0, sizeof(policy));
	for (unsigned i = 0; i < 8; i++) {
		objective_init(&policy.objectives[i]);
		policy.objectives[i].threshold_ns = (1 + i / 2) * 100 * NS_PER_MS;
	}
	strcpy(policy.objectives[0].selector.route, "/other");
	strcpy(policy.objectives[1].selector.route, "/other");
	policy.objectives[2].threshold_ns = POLICY_NO_THRESHOLD;
	policy.objective_count = 6;
	CHECK_EQ_U64(policy_thresholds(&policy, &key, thresholds), 2);
	CHECK_EQ_U64(thresholds[0], 200 * NS_PER_MS);
	CHECK_EQ_U64(thresholds[1], 300 * NS_PER_MS);
	policy.objective_count = 0;
	CHECK_EQ_U64(policy_thresholds(&policy, &key, thresholds), 0);
}

CHECK_TEST(test_no_more_thresholds_than_a_series_counts)
{
	static struct policy policy;
	struct series_key key = key_of("shop", "/pay");
	dur_ns thresholds[SERIES_THRESHOLDS];

	for (unsigned i = 0; i < POLICY_OBJECTIVES; i++) {
		objective_init(&policy.objectives[i]);
		policy.objectives[i].threshold_ns = (1 + i) * NS_PER_MS;
	}
	policy.objective_count = POLICY_OBJECTIVES;
	CHECK_EQ_U64(policy_thresholds(&policy, &key, thresholds), SERIES_THRESHOLDS);
	CHECK_EQ_U64(thresholds[SERIES_THRESHOLDS - 1], SERIES_THRESHOLDS * NS_PER_MS);
}

CHECK_TEST(test_names_are_stable)
{
	CHECK_STR(severity_name(SEVERITY_PAGE), "page");
	CHECK_STR(severity_name(SEVERITY_TICKET), "ticket");
	CHECK_STR(scale_signal_name(SCALE_RATE), "rate");
	CHECK_STR(scale_signal_name(SCALE_LATENCY), "latency_p95");
	CHECK_STR(scale_signal_name(SCALE_GAUGE), "gauge");
	CHECK_STR(alert_state_name(ALERT_OK), "ok");
	CHECK_STR(alert_state_name(ALERT_PENDING), "pending");
	CHECK_STR(alert_state_name(ALERT_FIRING), "firing");
	CHECK_STR(alert_state_name(ALERT_RESOLVED), "resolved");
	CHECK_STR(alert_state_name((enum alert_state)77), "unknown");
}

CHECK_MAIN("policy", test_empty_selector_takes_everything, test_each_part_of_a_selector_must_fit,
	   test_views_of_events_are_not_of_any_kind, test_overlap_is_a_text_that_both_take,
	   test_defaults_can_all_fire, test_default_alert_can_fire_at_every_target,
	   test_thresholds_are_those_of_matching_objectives_each_once,
	   test_no_more_thresholds_than_a_series_counts, test_names_are_stable)
