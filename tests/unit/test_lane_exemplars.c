/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged observations from libvow to what the agent keeps of them. */
#include <pthread.h>
#include <vow/shm.h>
#include <vow/vow.h>

#include "tests/unit/lanes_agent.h"

static void open_here(const struct lanes_agent *agent)
{
	struct vow_options options = {.service = "shop", .dir = agent->dir};

	CHECK_OK(vow_open_options(&options));
}

/* Until an agent that came later has found it, and has looked at all of it. */
static void wait_for_application(struct lanes_agent *agent)
{
	while (!strstr(lanes_agent_status(agent).detail, "1 application "))
		lanes_agent_poll(agent);
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
}

#define EXEMPLARS_SEEN 64

struct exemplars_seen {
	const struct lanes_agent *agent;
	struct seen_exemplar {
		const struct series_key *key;
		struct exemplar exemplar;
	} seen[EXEMPLARS_SEEN];
	unsigned count;
};

static int exemplar_seen(void *arg, series_id series, const struct exemplar *exemplar)
{
	struct exemplars_seen *seen = arg;

	CHECK(seen->count < EXEMPLARS_SEEN);
	seen->seen[seen->count].key = series_key_of(series_at(seen->agent->series, series));
	seen->seen[seen->count++].exemplar = *exemplar;
	return 0;
}

/* What the agent keeps, in order of series. */
static struct exemplars_seen exemplars_see(const struct lanes_agent *agent)
{
	struct exemplar_book *book = exemplars_publish(agent->exemplars, clock_wall());
	struct exemplars_seen seen = {.agent = agent};

	exemplar_book_each(book, 0, UINT64_MAX, exemplar_seen, &seen);
	exemplar_book_unref(book);
	return seen;
}

static const struct exemplar *exemplar_find(const struct exemplars_seen *seen, const char *tag)
{
	for (unsigned i = 0; i < seen->count; i++)
		if (!strcmp(seen->seen[i].exemplar.tag, tag))
			return &seen->seen[i].exemplar;
	return NULL;
}

CHECK_TEST(test_tagged_observations_are_counted_and_the_slow_ones_shown)
{
	struct lanes_agent *agent = lanes_agent_new();
	/* The clock of exemplars is of the kernel's last tick. */
	wall_ns began = clock_wall() - 20 * NS_PER_MS;
	char tag[32];

	lanes_agent_start(agent);
	open_here(agent);
	vow_id pay = vow_route("/pay");
	for (unsigned i = 1; i <= 9; i++) {
		snprintf(tag, sizeof(tag), "trace-%u", i);
		vow_observe_tagged(pay, i * 100, 200, tag);
	}
	vow_observe_tagged(pay, 5000, 200, NULL);
	vow_observe_tagged(pay, 5000, 200, "");
	vow_observe_tagged(pay, 1, 503,
			   "0123456789abcdef0123456789abcdef0123456789abcdef-and more");
	vow_span_end_tagged(vow_span_begin(vow_route("/span")), 7, "of a span");
	lanes_agent_tick(agent);

	struct exemplars_seen seen = exemplars_see(agent);
	for (unsigned i = 6; i <= 9; i++) {
		snprintf(tag, sizeof(tag), "trace-%u", i);
		const struct exemplar *slow = exemplar_find(&seen, tag);
		CHECK(slow != NULL);
		CHECK_EQ_U64(slow->latency_ns, i * 100);
		CHECK_EQ_U64(slow->status, 200);
		CHECK_GE_U64(slow->at, began);
		CHECK_LE_U64(slow->at, clock_wall());
	}
	CHECK(!exemplar_find(&seen, ""));
	CHECK(exemplar_find(&seen, "0123456789abcdef0123456789abcdef0123456789abcdef") != NULL);
	CHECK(exemplar_find(&seen, "of?a?span") != NULL);
	CHECK_EQ_U64(
		exemplar_find(&seen, "0123456789abcdef0123456789abcdef0123456789abcdef")->status,
		503);
	CHECK_EQ_U64(exemplar_find(&seen, "of?a?span")->status, 7);
	for (unsigned i = 0; i < seen.count; i++)
		CHECK_STR(seen.seen[i].key->route,
			  seen.seen[i].exemplar.status == 7 ? "/span" : "/pay");
	CHECK_EQ_U64(lanes_agent_count(agent), 13);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_a_lane_that_is_full_still_has_exemplars_and_an_agent_that_comes_later_finds_them)
{
	struct lanes_agent *agent = lanes_agent_new();

	open_here(agent);
	vow_id route = vow_route("GET /");
	for (unsigned i = 0; i < 2 * VOW_SHM_LANE_SLOTS; i++)
		vow_observe_tagged(route, 1000, 200, "fast");
	vow_observe_tagged(route, 9000, 200, "slow");
	lanes_agent_start(agent);
	wait_for_application(agent);
	struct exemplars_seen seen = exemplars_see(agent);
	CHECK(exemplar_find(&seen, "slow") != NULL);
	CHECK_EQ_U64(exemplar_find(&seen, "slow")->latency_ns, 9000);
	/* The next agent begins behind what this one read. */
	lanes_agent_crash(agent, AFTER_JOURNAL);
	vow_observe_tagged(route, 2000, 200, "later");
	wait_for_application(agent);
	seen = exemplars_see(agent);
	CHECK_EQ_U64(seen.count, 1);
	CHECK_STR(seen.seen[0].exemplar.tag, "later");
	CHECK_EQ_U64(lanes_agent_count(agent), 2 * VOW_SHM_LANE_SLOTS + 2);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_ids_of_deliveries_are_their_tags)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct vow_delivery delivery;

	lanes_agent_start(agent);
	open_here(agent);
	vow_id event = vow_event("invoice.paid"), endpoint = vow_endpoint("http://a.example/");
	static const uint64_t ids[] = {UINT64_MAX, 0};
	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		vow_delivery_enqueued(&delivery, event, endpoint, 0, ids[i]);
		vow_attempt_begin(&delivery);
		vow_attempt_end(&delivery, 503);
		vow_delivery_dead_lettered(&delivery);
	}
	lanes_agent_tick(agent);
	struct exemplars_seen seen = exemplars_see(agent);
	CHECK_EQ_U64(seen.count, 2);
	CHECK_EQ_U64(seen.seen[0].key->kind + seen.seen[1].key->kind,
		     SERIES_ATTEMPT + SERIES_DELIVERY);
	for (unsigned i = 0; i < seen.count; i++) {
		CHECK_STR(seen.seen[i].exemplar.tag, "18446744073709551615");
		CHECK_STR(seen.seen[i].key->route, "invoice.paid");
		CHECK_EQ_U64(seen.seen[i].exemplar.status,
			     seen.seen[i].key->kind == SERIES_ATTEMPT ? 503 : 1);
	}
	vow_close();
	lanes_agent_free(agent);
}

struct tagging {
	bool stop; /* atomic */
	vow_id routes[2];
};

/* Each tag says which observation it belongs to. */
static void *tagging_main(void *arg)
{
	struct tagging *tagging = arg;
	char tag[64];

	for (uint64_t i = 1; !__atomic_load_n(&tagging->stop, __ATOMIC_RELAXED); i++) {
		snprintf(tag, sizeof(tag), "%llu/%llu-of-a-longer-text-in-many-words",
			 (unsigned long long)(i % 2), (unsigned long long)i);
		vow_observe_tagged(tagging->routes[i % 2], i, 200, tag);
	}
	return NULL;
}

CHECK_TEST(test_an_exemplar_read_while_it_is_written_over_is_whole)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct tagging tagging = {.stop = false};
	unsigned looks = 0, found = 0;
	pthread_t threads[2];

	lanes_agent_start(agent);
	open_here(agent);
	tagging.routes[0] = vow_route("/0");
	tagging.routes[1] = vow_route("/1");
	for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
		CHECK_OK(pthread_create(&threads[i], NULL, tagging_main, &tagging));
	while (looks++ < 300 || found < 2 * EXEMPLARS_KEPT) {
		lanes_agent_poll(agent);
		struct exemplars_seen seen = exemplars_see(agent);
		found = seen.count;
		for (unsigned i = 0; i < seen.count; i++) {
			const struct exemplar *exemplar = &seen.seen[i].exemplar;
			char tag[64];

			snprintf(tag, sizeof(tag), "%s/%llu-of-a-longer-text-in-many-words",
				 seen.seen[i].key->route + 1,
				 (unsigned long long)exemplar->latency_ns);
			tag[VOW_SHM_TAG] = '\0';
			CHECK_STR(exemplar->tag, tag);
		}
	}
	__atomic_store_n(&tagging.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_MAIN("lane_exemplars", test_tagged_observations_are_counted_and_the_slow_ones_shown,
	   test_a_lane_that_is_full_still_has_exemplars_and_an_agent_that_comes_later_finds_them,
	   test_ids_of_deliveries_are_their_tags,
	   test_an_exemplar_read_while_it_is_written_over_is_whole)
