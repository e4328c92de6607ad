/* SPDX-License-Identifier: Apache-2.0 */
/* libvow on a machine that lacks memory: the application goes on, and observed = reported + lost. */
#include <errno.h>

#include "client/process.h"
#include "tests/unit/lanes_application.h"

/* Mappings of segments, and descriptors of them, that this process has. */
static unsigned scarce_segments(void)
{
	char line[512], path[64];
	unsigned found = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		found += strstr(line, "/memfd:vow-") != NULL;
	fclose(maps);
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, line, sizeof(line) - 1);
		line[length > 0 ? length : 0] = '\0';
		found += strstr(line, "/memfd:vow-") != NULL;
	}
	return found;
}

CHECK_TEST(test_opening_without_memory_leaves_nothing_and_succeeds_later)
{
	struct vow_options options = {.service = "shop", .dir = check_dir()};
	unsigned failures = 0;

	CHECK_ALLOC_LOOP(n)
	{
		int rc = vow_open_options(&options);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		if (rc < 0) {
			failures++;
			CHECK_EQ_U64(vow_route("nowhere"), 0);
			vow_observe(1, 1000, 200);
			CHECK_EQ_U64(scarce_segments(), 0);
			CHECK_OK(vow_open_options(&options));
		}
		CHECK_EQ_U64(scarce_segments(), 2);
		vow_close();
	}
	/* Its pages, their advice, the file, its mapping, the pages written to without asking. */
	CHECK_EQ_U64(failures, 5);
	CHECK_EQ_U64(scarce_segments(), 0);
}

/* In a child: whether it opens without harm where its n-th allocation fails. */
static int scarce_child(unsigned n, vow_id route)
{
	struct vow_options options = {.service = "child", .dir = check_dir()};

	check_alloc_fail_at(n);
	vow_observe(route, 1000, 200);
	bool failed = check_alloc_failed();
	check_alloc_fail_at(0);
	if (process_shm() == NULL && vow_open_options(&options) != 0)
		return 2;
	vow_observe(route, 1000, 200);
	return vow_route("known") != route ? 3 : failed;
}

CHECK_TEST(test_child_without_memory_goes_without_until_it_opens_again)
{
	struct vow_options options = {.service = "parent", .dir = check_dir()};
	int status, failed = 1;

	CHECK_OK(vow_open_options(&options));
	vow_id route = vow_route("known");
	for (unsigned n = 1; failed; n++) {
		pid_t child = fork();

		if (child == 0)
			_exit(scarce_child(n, route));
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		failed = WEXITSTATUS(status);
		CHECK(failed || n > 1);
	}
	vow_close();
}

enum {
	SCARCE_ROUTES = 3,
	/* More than a lane has, even once it has grown. */
	SCARCE_CALLS = VOW_SHM_LANE_ROOM + 100,
	SCARCE_DELIVERIES = VOW_SHM_LANE_ROOM + 30,
};

/* Returns how many. The latencies lie in two groups of buckets. */
static uint64_t scarce_observe(void)
{
	vow_id routes[SCARCE_ROUTES] = {vow_route("a"), vow_route("b"), vow_route("c")};
	vow_id event = vow_event("paid");
	struct vow_delivery delivery;

	for (unsigned i = 0; i < SCARCE_CALLS; i++)
		vow_observe(routes[i % SCARCE_ROUTES], i % 5 ? NS_PER_MS : NS_PER_S,
			    i % 7 ? 200 : 503);
	for (unsigned i = 0; i < SCARCE_DELIVERIES; i++) {
		vow_delivery_enqueued(&delivery, event, 0, 0, i);
		vow_delivery_delivered(&delivery);
	}
	return SCARCE_CALLS + SCARCE_DELIVERIES;
}

/* Allocations that fail, and when: in the first go the lane is new, in the second it grows. */
struct scarce {
	void (*fail)(unsigned n);
	unsigned n, go;
};

/* Observes in three goes, an agent reads all. Returns whether it came to the failure. */
static bool scarce_round(struct scarce scarce, uint64_t *lost)
{
	struct lanes_agent *agent = lanes_agent_new();
	uint64_t observed = 0;
	bool failed = false;

	lanes_agent_start(agent);
	open_here(agent);
	for (unsigned go = 0; go < 2; go++) {
		if (go == scarce.go)
			scarce.fail(scarce.n);
		observed += scarce_observe();
		failed = failed || check_alloc_failed();
		check_alloc_fail_at(0);
		lanes_agent_tick(agent);
	}
	*lost = process_mine->shm->counters.lost;
	observed += scarce_observe();
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	struct collector_status status = lanes_agent_status(agent);
	/* With memory again all goes on. */
	CHECK_EQ_U64(status.drops[0].total, *lost);
	CHECK_EQ_U64(lanes_agent_count(agent) + *lost, observed);
	CHECK_STR(status.problem, "");
	vow_close();
	lanes_agent_free(agent);
	return failed;
}

CHECK_TEST(test_observed_is_reported_plus_lost_whichever_page_is_not_to_be_had)
{
	uint64_t lost, losses = 0;
	unsigned n;

	for (unsigned go = 0; go < 2; go++) {
		for (n = 1; scarce_round((struct scarce){check_alloc_fail_at, n, go}, &lost); n++) {
			/* One page lacked, once. */
			CHECK_LE_U64(lost, 1);
			losses += lost;
		}
		CHECK_EQ_U64(lost, 0);
		CHECK_GE_U64(n, 2);
	}
	CHECK_GE_U64(losses, 1);
}

CHECK_TEST(test_observed_is_reported_plus_lost_from_whichever_page_on_memory_lacks)
{
	uint64_t lost, most = 0;

	for (unsigned go = 0; go < 2; go++) {
		for (unsigned n = 1;
		     scarce_round((struct scarce){check_alloc_fail_from, n, go}, &lost); n++)
			most = lost > most ? lost : most;
		CHECK_EQ_U64(lost, 0);
	}
	/* From the first on: not even a lane. */
	CHECK_EQ_U64(most, SCARCE_CALLS + SCARCE_DELIVERIES);
}

CHECK_MAIN("scarce", test_opening_without_memory_leaves_nothing_and_succeeds_later,
	   test_child_without_memory_goes_without_until_it_opens_again,
	   test_observed_is_reported_plus_lost_whichever_page_is_not_to_be_had,
	   test_observed_is_reported_plus_lost_from_whichever_page_on_memory_lacks)
