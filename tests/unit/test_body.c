/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "deliver/body.h"
#include "tests/unit/check.h"

static struct action alert(enum alert_state from, enum alert_state to)
{
	struct action action = {.kind = ACTION_ALERT, .at = 1700000000 * NS_PER_S + 7 * NS_PER_MS};

	action.alert = (struct alert_action){
		.objective = "pay",
		.fingerprint = "f00",
		.from = from,
		.to = to,
		.severity = SEVERITY_PAGE,
		.since = 1699999990 * NS_PER_S,
		.burn_long = 14.5,
		.burn_short = 20,
		.good = 90,
		.bad = 10,
		.confidence = 0.5,
		.budget_left_ratio = -0.25,
		.reason = "10 % of \"POST /pay\" are slower than 150 ms",
		.evidence_count = 1,
	};
	action.alert.evidence[0] = (struct action_evidence){
		.key = {.service = "shop",
			.kind = SERIES_HTTP,
			.role = SERIES_SERVER,
			.method = "POST",
			.route = "/pay",
			.status_class = CLASS_2XX},
		.bad = 10,
		.count = 100,
	};
	return action;
}

static struct action scale(unsigned from, unsigned to)
{
	struct action action = {.kind = ACTION_SCALE, .at = 1700000000 * NS_PER_S};

	action.scale = (struct scale_action){
		.scaler = "web",
		.from = from,
		.to = to,
		.value = 300,
		.target = 100.5,
		.wanted = 9,
		.limited_by = "maximum",
		.reason = "three times the target",
	};
	return action;
}

CHECK_TEST(test_only_what_concerns_people_has_a_type)
{
	const struct action pending = alert(ALERT_OK, ALERT_PENDING);
	const struct action unseen = alert(ALERT_PENDING, ALERT_OK);
	const struct action firing = alert(ALERT_PENDING, ALERT_FIRING);
	const struct action resolved = alert(ALERT_FIRING, ALERT_RESOLVED);
	const struct action held = scale(3, 3), changed = scale(3, 5);

	CHECK(!body_type(&pending));
	CHECK(!body_type(&unseen));
	CHECK(!body_type(&held));
	CHECK_STR(body_type(&firing), "alert.firing");
	CHECK_STR(body_type(&resolved), "alert.resolved");
	CHECK_STR(body_type(&changed), "scale.decided");
}

CHECK_TEST(test_alert_is_the_documented_json)
{
	const struct action action = alert(ALERT_PENDING, ALERT_FIRING);
	char *body = body_of_action(&action, "vow_1_2_0", "web-1");

	CHECK_STR(body,
		  "{\"type\":\"alert.firing\",\"id\":\"vow_1_2_0\","
		  "\"timestamp\":\"2023-11-14T22:13:20.007Z\",\"host\":\"web-1\",\"data\":{"
		  "\"objective\":\"pay\",\"fingerprint\":\"f00\",\"state\":\"firing\","
		  "\"severity\":\"page\",\"since\":\"2023-11-14T22:13:10.000Z\","
		  "\"burn_rate_long\":14.5,\"burn_rate_short\":20.0,\"good\":90,\"bad\":10,"
		  "\"confidence\":0.5,\"budget_left_ratio\":-0.25,"
		  "\"reason\":\"10 % of \\\"POST /pay\\\" are slower than 150 ms\","
		  "\"evidence\":[{\"service\":\"shop\",\"kind\":\"http\",\"role\":\"server\","
		  "\"method\":\"POST\",\"route\":\"/pay\",\"peer\":\"\",\"status_class\":\"2xx\","
		  "\"bad\":10,\"count\":100}]}}");
	free(body);
}

CHECK_TEST(test_decision_is_the_documented_json)
{
	const struct action action = scale(3, 5);
	char *body = body_of_action(&action, "vow_1_3_1", "web-1");

	CHECK_STR(body, "{\"type\":\"scale.decided\",\"id\":\"vow_1_3_1\","
			"\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"host\":\"web-1\",\"data\":{"
			"\"scaler\":\"web\",\"from_replicas\":3,\"to_replicas\":5,"
			"\"wanted_replicas\":9,\"value\":300.0,\"target\":100.5,"
			"\"limited_by\":\"maximum\",\"reason\":\"three times the target\"}}");
	free(body);
}

CHECK_TEST(test_dead_letter_holds_the_message_as_it_was)
{
	const struct body_dead_letter letter = {
		.id = "vow_1_3_1",
		.type = "scale.decided",
		.receiver = "hook",
		.class = RETRY_HTTP_4XX,
		.status = 410,
		.tries = 1,
		.first_try = 1700000000 * NS_PER_S,
		.last_try = 1700000001 * NS_PER_S,
		.body = "{\"a\":[1,2]}",
	};
	char *line = body_of_dead_letter(&letter);

	CHECK_STR(line, "{\"id\":\"vow_1_3_1\",\"type\":\"scale.decided\",\"receiver\":\"hook\","
			"\"class\":\"http4xx\",\"last_status\":410,\"tries\":1,"
			"\"first_try\":\"2023-11-14T22:13:20.000Z\","
			"\"last_try\":\"2023-11-14T22:13:21.000Z\",\"needs_review\":true,"
			"\"message\":{\"a\":[1,2]}}\n");
	free(line);
}

CHECK_MAIN("body", test_only_what_concerns_people_has_a_type, test_alert_is_the_documented_json,
	   test_decision_is_the_documented_json, test_dead_letter_holds_the_message_as_it_was)
