/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody named that was never seen. */
#include <string.h>

#include "cli/known.h"
#include "tests/unit/check.h"

static struct view_route rows[] = {
	{.key = {.service = "shop", .method = "GET", .route = "/pay", .status_class = CLASS_2XX}},
	{.key = {.service = "shop", .method = "GET", .route = "/pay", .status_class = CLASS_5XX}},
	{.key = {.service = "shop", .method = "GET", .route = "/cart", .status_class = CLASS_2XX}},
	{.key = {.service = "mail", .route = "payments", .kind = SERIES_APP}},
};
static const struct view seen = {.routes = rows, .route_count = ARRAY_LEN(rows)};
static const struct view nothing = {.routes = rows};

static bool refused(const char *service, const char *route, const struct view *of, struct diag *d)
{
	struct view_query query = {.what = VIEW_EXEMPLARS};

	strcpy(query.service, service);
	strcpy(query.route, route);
	return known_refuse(&query, of, d);
}

CHECK_TEST(test_a_misspelt_route_is_named_with_what_is_near)
{
	struct diag d;

	CHECK(refused("", "paymnets", &seen, &d));
	CHECK_STR(d.what, "no route 'paymnets' is known");
	CHECK_STR(d.fix, "did you mean 'payments'?");
	CHECK(refused("", "GET /crt", &seen, &d));
	CHECK_STR(d.fix, "did you mean '/cart'?");
	CHECK(refused("", "nothing-like-it", &seen, &d));
	CHECK_STR(d.fix, "known: /pay, /cart, payments");
	CHECK(refused("shop", "payments", &seen, &d));
	CHECK_STR(d.what, "no route 'payments' is known of service 'shop'");
	CHECK_STR(d.fix, "known: /pay, /cart");
	CHECK(refused("shpo", "/pay", &seen, &d));
	CHECK_STR(d.what, "no service 'shpo' is known");
	CHECK_STR(d.fix, "did you mean 'shop'?");
	CHECK(refused("", "/pay", &nothing, &d));
	CHECK_STR_HAS(d.fix, "nothing was seen yet");
}

CHECK_TEST(test_what_was_seen_is_not_refused)
{
	struct diag d;

	CHECK(!refused("", "/pay", &seen, &d));
	CHECK(!refused("shop", "GET /pay", &seen, &d));
	CHECK(!refused("mail", "", &seen, &d));
	CHECK(!refused("", "", &nothing, &d));
}

static struct objective objective(const char *service, const char *route, int kind)
{
	struct objective made;

	objective_init(&made);
	strcpy(made.name, "mine");
	strcpy(made.selector.service, service);
	strcpy(made.selector.route, route);
	made.selector.kind = kind;
	return made;
}

CHECK_TEST(test_an_objective_that_matches_nothing_says_what_it_selects)
{
	struct objective good = objective("shop", "/pa*", POLICY_ANY);
	struct objective other = objective("mail", "/pay", POLICY_ANY);
	struct objective wrong = objective("shop", "/pya", SERIES_HTTP);
	struct diag d;

	CHECK(!known_unmatched(&good, &seen, &d));
	CHECK(known_unmatched(&good, &nothing, &d));
	CHECK_STR(d.where, "mine");
	CHECK_STR(d.what, "no series matched so far: it selects service 'shop', route '/pa*'");
	CHECK(known_unmatched(&wrong, &seen, &d));
	CHECK_STR(d.what,
		  "no series matched so far: it selects service 'shop', route '/pya', kind 'http'");
	CHECK_STR(d.fix, "did you mean '/pay'?");
	/* Each name is known, the two together are not. */
	CHECK(known_unmatched(&other, &seen, &d));
	CHECK_STR(d.fix, "");
}

CHECK_TEST(test_defaults_that_nobody_wrote_are_not_remarked)
{
	static struct policy policy;
	struct diag d;

	policy_defaults(&policy);
	for (unsigned i = 0; i < policy.objective_count; i++)
		CHECK(!known_unmatched(&policy.objectives[i], &nothing, &d));
	strcpy(policy.objectives[0].selector.service, "shop");
	CHECK(known_unmatched(&policy.objectives[0], &nothing, &d));
}

CHECK_TEST(test_lack_of_memory_loses_the_advice_alone)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct diag d;

		CHECK(refused("", "paymnets", &seen, &d));
		CHECK_STR(d.what, "no route 'paymnets' is known");
	}
}

CHECK_MAIN("known", test_a_misspelt_route_is_named_with_what_is_near,
	   test_what_was_seen_is_not_refused,
	   test_an_objective_that_matches_nothing_says_what_it_selects,
	   test_defaults_that_nobody_wrote_are_not_remarked,
	   test_lack_of_memory_loses_the_advice_alone)
