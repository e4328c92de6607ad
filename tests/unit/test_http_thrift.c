/* SPDX-License-Identifier: Apache-2.0 */
/* What capturing takes, by runs that were counted and by exceptions that nobody can time. */
#include "collectors/http/http_thrift.h"
#include "tests/unit/check.h"

/* The share of two processors in the second in which probed libraries were called so often. */
static double ratio_of(unsigned calls, double exception_ns, struct http_thrift *thrift)
{
	struct http_thrift_totals totals = {.exception_ns = exception_ns};
	struct thrift_change change;

	http_thrift_init(thrift, 0, 2);
	http_thrift_second(thrift, &totals, NS_PER_S, &change);
	/* Each run took 440 ns, and 60 around it. */
	totals.costs[HTTP_COST_TLS] = (struct http_cost){calls, 1, 440};
	http_thrift_second(thrift, &totals, 2 * NS_PER_S, &change);
	return thrift->figures.kernel_ratio;
}

CHECK_TEST(test_exceptions_of_probes_count_as_what_capturing_takes)
{
	struct http_thrift thrift;

	CHECK_NEAR(ratio_of(1000, 0, &thrift), 1000 * 500e-9 / 2, 1e-9);
	CHECK_NEAR(ratio_of(1000, HTTP_COST_EXCEPTION, &thrift), 1000 * 2500e-9 / 2, 1e-9);
	CHECK_NEAR(thrift.figures.exceptions, 2000, 1e-6);
	CHECK_NEAR(ratio_of(1000, HTTP_COST_EXCEPTION_STEP, &thrift), 1000 * 20500e-9 / 2, 1e-9);
}

static const char exceptions[] = "tls exceptions (estimated)";

CHECK_TEST(test_exceptions_have_a_line_of_their_own_where_there_are_any)
{
	struct gauge_table *gauges = gauge_table_new(64);
	struct http_thrift thrift;

	ratio_of(1000, 0, &thrift);
	http_thrift_gauges(&thrift, gauges, 2 * NS_PER_S);
	CHECK(!gauge_find(gauges, "", "http_runs_per_s", exceptions));
	ratio_of(1000, HTTP_COST_EXCEPTION, &thrift);
	http_thrift_gauges(&thrift, gauges, 2 * NS_PER_S);
	CHECK_NEAR(gauge_find(gauges, "", "http_runs_per_s", exceptions)->value, 2000, 1e-6);
	CHECK_NEAR(gauge_find(gauges, "", "http_run_ns", exceptions)->value, HTTP_COST_EXCEPTION,
		   1e-6);
	gauge_table_free(gauges);
}

CHECK_MAIN("http_thrift", test_exceptions_have_a_line_of_their_own_where_there_are_any,
	   test_exceptions_of_probes_count_as_what_capturing_takes)
