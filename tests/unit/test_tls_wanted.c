/* SPDX-License-Identifier: Apache-2.0 */
/* Which services have their requests within TLS read: by configuration, by command, and until when. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collectors/http/tls_traced.h"
#include "tests/unit/check.h"

#define WALL (UINT64_C(1795315200) * NS_PER_S)

static const struct vow_config allowing = {.tls_allowed = true, .tls_on_demand = true};
static const struct vow_config naming = {
	.tls_allowed = true, .tls_on_demand = true, .tls_services = {{"pay-*"}, 1}};
static const struct vow_config forbidding = {.tls_allowed = true, .tls_services = {{"pay-*"}, 1}};

static int order(struct tls_wanted *wanted, const char *service, dur_ns lasts, mono_ns now)
{
	struct trace_order order = {.lasts = lasts};
	struct diag d = {0};
	int rc;

	snprintf(order.service, sizeof(order.service), "%s", service);
	rc = tls_wanted_order(wanted, &order, now, WALL + now, &d);
	CHECK(!rc || (d.what[0] && d.fix[0]));
	return rc;
}

CHECK_TEST(test_order_wants_one_service_until_its_time_is_over)
{
	struct tls_wanted wanted = {.config = &allowing};

	CHECK_EQ_U64(tls_wanted_count(&wanted), 0);
	CHECK(!tls_wanted_has(&wanted, "web"));
	CHECK_OK(order(&wanted, "web", 60 * NS_PER_S, 5 * NS_PER_S));
	CHECK(tls_wanted_has(&wanted, "web"));
	CHECK(!tls_wanted_has(&wanted, "web2"));
	CHECK_EQ_U64(tls_wanted_count(&wanted), 1);
	tls_wanted_expire(&wanted, 65 * NS_PER_S - 1);
	CHECK(tls_wanted_has(&wanted, "web"));
	tls_wanted_expire(&wanted, 65 * NS_PER_S);
	CHECK(!tls_wanted_has(&wanted, "web"));
	CHECK_EQ_U64(tls_wanted_count(&wanted), 0);
}

CHECK_TEST(test_another_order_says_anew_how_long)
{
	struct tls_wanted wanted = {.config = &allowing};
	const struct tls_asked *asked;

	CHECK_OK(order(&wanted, "web", 60 * NS_PER_S, 0));
	CHECK_OK(order(&wanted, "web", 10 * NS_PER_S, 30 * NS_PER_S));
	asked = tls_wanted_asked(&wanted, "web");
	CHECK_EQ_U64(asked->since, WALL);
	CHECK_EQ_U64(asked->until, WALL + 40 * NS_PER_S);
	CHECK_EQ_U64(tls_wanted_count(&wanted), 1);
	tls_wanted_expire(&wanted, 40 * NS_PER_S);
	CHECK(!tls_wanted_has(&wanted, "web"));
}

CHECK_TEST(test_orders_are_ended_and_have_a_number)
{
	struct tls_wanted wanted = {.config = &naming};
	char name[16];

	for (unsigned i = 0; i < TLS_ASKED_MAX; i++) {
		snprintf(name, sizeof(name), "web-%u", i);
		CHECK_OK(order(&wanted, name, NS_PER_S, 0));
	}
	CHECK_RC(order(&wanted, "web", NS_PER_S, 0), -ENOSPC);
	CHECK_OK(order(&wanted, "web-3", 0, 0));
	CHECK_RC(order(&wanted, "web-3", 0, 0), -ENOENT);
	CHECK_OK(order(&wanted, "web", NS_PER_S, 0));
	CHECK_RC(order(&wanted, "pay-1", 0, 0), -EBUSY);
	CHECK(tls_wanted_has(&wanted, "pay-1"));
}

CHECK_TEST(test_orders_outlive_a_configuration_that_allows_them)
{
	struct tls_wanted wanted = {.config = &allowing};

	CHECK_OK(order(&wanted, "web", NS_PER_S, 0));
	CHECK_EQ_U64(tls_wanted_reload(&wanted, &naming), 0);
	CHECK(tls_wanted_has(&wanted, "web") && tls_wanted_has(&wanted, "pay-1"));
	CHECK_EQ_U64(tls_wanted_reload(&wanted, &forbidding), 1);
	CHECK(!tls_wanted_has(&wanted, "web") && tls_wanted_has(&wanted, "pay-1"));
	CHECK_RC(order(&wanted, "web", NS_PER_S, 0), -ENOTSUP);
}

/* ---- rows --------------------------------------------------------------------------------------- */

/* Never followed: that there are probes is all that counts. */
static int probed;

static struct traced process(const char *service, const char *library, const char *why_not)
{
	struct traced traced = {.since = WALL + 7};

	snprintf(traced.service, sizeof(traced.service), "%s", service);
	snprintf(traced.library, sizeof(traced.library), "%s", library);
	snprintf(traced.how, sizeof(traced.how), "%s", library[0] ? "emulated" : "");
	snprintf(traced.why_not, sizeof(traced.why_not), "%s", why_not);
	traced.probes = library[0] ? (struct tls_probes *)&probed : NULL;
	return traced;
}

CHECK_TEST(test_rows_are_by_service_library_and_reason)
{
	struct tls_wanted wanted = {.config = &naming};
	struct traced list[] = {process("web", "libssl.so.3", ""), process("web", "", "no library"),
				process("web", "libssl.so.3", ""), process("pay-1", "node", "")};
	struct traced_row rows[8];

	CHECK_OK(order(&wanted, "web", 60 * NS_PER_S, 5));
	list[2].since = WALL;
	CHECK_EQ_U64(tls_traced_rows(list, 4, &wanted, true, rows), 3);
	CHECK_STR(rows[0].service, "web");
	CHECK_EQ_U64(rows[0].processes, 2);
	CHECK(!rows[0].configured && !rows[0].looking);
	CHECK_EQ_U64(rows[0].since, WALL + 5);
	CHECK_EQ_U64(rows[0].until, WALL + 5 + 60 * NS_PER_S);
	CHECK_STR(rows[1].problem, "no library");
	CHECK_EQ_U64(rows[1].processes, 1);
	CHECK_STR(rows[2].library, "node");
	CHECK(rows[2].configured);
	CHECK_EQ_U64(rows[2].since, WALL + 7);
	CHECK_EQ_U64(rows[2].until, 0);
}

CHECK_TEST(test_rows_name_what_has_no_process)
{
	struct tls_wanted wanted = {.config = &naming};
	struct traced_row rows[8];

	CHECK_OK(order(&wanted, "web", NS_PER_S, 0));
	CHECK_OK(order(&wanted, "pay-1", NS_PER_S, 0));
	CHECK_EQ_U64(tls_traced_rows(NULL, 0, &wanted, true, rows), 3);
	CHECK_STR(rows[0].service, "pay-*");
	CHECK(rows[0].configured && rows[0].looking);
	CHECK_EQ_U64(rows[0].processes, 0);
	CHECK_STR(rows[1].service, "web");
	CHECK(!rows[1].configured);
	CHECK_EQ_U64(rows[1].until, WALL + NS_PER_S);
	/* What the configuration wants as well does not end. */
	CHECK_STR(rows[2].service, "pay-1");
	CHECK(rows[2].configured);
	CHECK_EQ_U64(rows[2].until, 0);
	CHECK(tls_wanted_meets(&wanted, "web"));
	CHECK_EQ_U64(tls_traced_rows(NULL, 0, &wanted, false, rows), 3);
	CHECK_STR(rows[1].problem, "none of its processes has OpenSSL's calls");
	CHECK_STR_HAS(rows[2].problem, "no process of this name");
}

CHECK_MAIN("tls_wanted", test_order_wants_one_service_until_its_time_is_over,
	   test_another_order_says_anew_how_long, test_orders_are_ended_and_have_a_number,
	   test_orders_outlive_a_configuration_that_allows_them,
	   test_rows_are_by_service_library_and_reason, test_rows_name_what_has_no_process)
