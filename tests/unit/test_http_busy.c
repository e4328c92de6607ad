/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are told to be those of busy services, by the pairs of a second. */
#include <stdlib.h>

#include "collectors/http/http_busy.h"
#include "tests/unit/http_named.h"

static struct http_named named;
static struct http_busy *busy;
static mono_ns now;

static void world_open(void)
{
	http_named_open(&named);
	busy = calloc(1, sizeof(*busy));
	CHECK(busy);
	busy->per_s = 1000;
	now = 1000 * NS_PER_S;
	http_busy_second(busy, named.names, true, now);
}

static void world_close(void)
{
	http_named_close(&named);
	free(busy);
}

static void pairs(const char *command, uint32_t pid, uint8_t role, uint64_t count)
{
	struct http_record r = http_named_record(command, pid, role);

	http_busy_pairs(busy, &r, count);
}

static void second(bool wanted)
{
	http_busy_second(busy, named.names, wanted, now += NS_PER_S);
}

static bool is_told(uint32_t pid, uint8_t role)
{
	struct http_record r = http_named_record("", pid, role);

	return busy_has(&busy->set, tally_key(&r));
}

CHECK_TEST(test_service_is_busy_by_all_its_processes_in_one_role)
{
	world_open();
	for (uint32_t pid = 10; pid < 20; pid++) {
		pairs("shop", pid, HTTP_SERVER, 101);
		pairs("shop", pid, HTTP_CLIENT, 99);
	}
	pairs("bank", 30, HTTP_SERVER, 1000);
	second(true);
	for (uint32_t pid = 10; pid < 20; pid++)
		CHECK(is_told(pid, HTTP_SERVER) && !is_told(pid, HTTP_CLIENT));
	CHECK(!is_told(30, HTTP_SERVER));
	world_close();
}

CHECK_TEST(test_busy_service_is_so_until_it_has_half_as_much)
{
	static const struct {
		uint64_t pairs;
		bool told;
	} seconds[] = {{1000, false}, {1001, true}, {501, true}, {500, false}, {501, false}};

	world_open();
	for (unsigned i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		pairs("shop", 10, HTTP_SERVER, seconds[i].pairs);
		second(true);
		CHECK(is_told(10, HTTP_SERVER) == seconds[i].told);
	}
	/* A rate, whatever time went by. */
	pairs("shop", 10, HTTP_SERVER, 3000);
	now += 2 * NS_PER_S;
	second(true);
	CHECK(!is_told(10, HTTP_SERVER));
	world_close();
}

CHECK_TEST(test_half_as_much_is_of_the_service_whoever_of_it_answers)
{
	world_open();
	pairs("shop", 10, HTTP_SERVER, 1200);
	second(true);
	/* A worker that came since is of a service that is busy. */
	pairs("shop", 10, HTTP_SERVER, 300);
	pairs("shop", 11, HTTP_SERVER, 300);
	second(true);
	CHECK(is_told(10, HTTP_SERVER) && is_told(11, HTTP_SERVER));
	/* All of it is the new one's by now. */
	pairs("shop", 12, HTTP_SERVER, 600);
	second(true);
	CHECK(is_told(12, HTTP_SERVER));
	/* A second of silence ends it. */
	second(true);
	pairs("shop", 12, HTTP_SERVER, 600);
	second(true);
	CHECK(!is_told(12, HTTP_SERVER));
	world_close();
}

CHECK_TEST(test_nobody_is_told_while_all_is_captured)
{
	world_open();
	pairs("shop", 10, HTTP_SERVER, 5000);
	second(true);
	CHECK(is_told(10, HTTP_SERVER));
	second(false);
	CHECK(!is_told(10, HTTP_SERVER));
	pairs("shop", 10, HTTP_SERVER, 5000);
	second(true);
	CHECK(!is_told(10, HTTP_SERVER));
	second(true);
	CHECK(!is_told(10, HTTP_SERVER));
	world_close();
}

CHECK_TEST(test_as_many_processes_as_are_tallied_are_told)
{
	unsigned told = 0, tallied;

	world_open();
	pairs("shop", 0, HTTP_SERVER, 5000); /* nobody in particular */
	for (uint32_t pid = 1; pid <= TALLY_PLACES; pid++)
		pairs("shop", pid, HTTP_SERVER, 10);
	tallied = TALLY_PLACES - (unsigned)busy->tally.placeless / 10;
	second(true);
	for (uint32_t pid = 1; pid <= TALLY_PLACES; pid++)
		told += is_told(pid, HTTP_SERVER);
	CHECK_EQ_U64(told, tallied);
	CHECK(told > TALLY_PLACES / 2);
	CHECK(!is_told(0, HTTP_SERVER));
	world_close();
}

CHECK_MAIN("http_busy", test_service_is_busy_by_all_its_processes_in_one_role,
	   test_busy_service_is_so_until_it_has_half_as_much,
	   test_half_as_much_is_of_the_service_whoever_of_it_answers,
	   test_nobody_is_told_while_all_is_captured,
	   test_as_many_processes_as_are_tallied_are_told)
