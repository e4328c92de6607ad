/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the segment against words that tests/golden/make_segment.py wrote from the page. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <vow/vow.h>

#include "client/process.h"
#include "client/writer.h"
#include "lib/base/fd.h"
#include "tests/unit/forged.h"
#include "tests/unit/lanes_agent.h"

#define GOLDEN	  "tests/golden/segment.txt"
#define WORDS_MAX 512

struct golden_word {
	uint64_t offset, word;
	bool any; /* differs from process to process */
};

static unsigned golden_get(struct golden_word words[WORDS_MAX])
{
	unsigned long long offset;
	unsigned count = 0;
	char text[20];
	FILE *file = fopen(GOLDEN, "re");

	CHECK(file != NULL);
	while (fscanf(file, "%llx %19s", &offset, text) == 2) {
		CHECK(count < WORDS_MAX);
		words[count++] = (struct golden_word){
			.offset = offset, .word = strtoull(text, NULL, 16), .any = text[0] == '-'};
	}
	fclose(file);
	CHECK_GE_U64(count, 50);
	return count;
}

/* The story that the golden words tell. The agent's head is set so that a lane of four is full. */
static void golden_observe(void)
{
	vow_id route = vow_route("GET /orders/{id}");

	vow_gauge_set(vow_gauge("pool_in_use"), 2.5);
	vow_queue_set(vow_queue("mail"), 7, 3 * NS_PER_S);
	vow_id job = vow_job("nightly");
	vow_job_total(job, 100);
	vow_job_progress(job, 3, 0);
	vow_job_progress(job, 0, 1);
	vow_event("invoice.paid");
	vow_endpoint("https://user:secret@hooks.example/in?token=secret#there");
	vow_observe(route, 1000, 200);
	vow_observe(route, 2500, 204);
	vow_observe(route, 1 << 20, 0);
	vow_observe_tagged(route, 7, 503, "4bf92f3577b34da6a3ce929d0e0e4736");
	struct vow_shm_lane *lane = &process_mine->shm->lanes[0];
	lane->head = lane->tail - VOW_SHM_LANE_SLOTS;
	writer_mine->limit = lane->tail;
	vow_observe(route, 1000, 200);
	vow_observe(route, 1010, 204);
	vow_observe(route, 1000, 200);
	vow_observe(route, 0, 0);
	vow_observe(route, UINT64_C(1) << 43, 1);
	lane->head = 0;
}

/* The next word at or behind offset that is not 0; only pages that exist are looked at. */
static uint64_t golden_next(const uint8_t *base, const uint8_t *there, uint64_t offset)
{
	uint64_t word;

	for (; offset < VOW_SHM_SIZE; offset += sizeof(word)) {
		if (!(there[offset / VOW_SHM_PAGE] & 1)) {
			offset |= VOW_SHM_PAGE - sizeof(word);
			continue;
		}
		memcpy(&word, base + offset, sizeof(word));
		if (word)
			break;
	}
	return offset;
}

CHECK_TEST(test_what_libvow_writes_are_the_golden_words_and_nothing_else)
{
	struct vow_options options = {.service = "golden", .dir = check_dir()};
	uint8_t *there = malloc(VOW_SHM_SIZE / VOW_SHM_PAGE);
	struct golden_word golden[WORDS_MAX];
	unsigned count = golden_get(golden);
	uint64_t at = 0;

	CHECK_OK(vow_open_options(&options));
	golden_observe();
	const uint8_t *base = (const uint8_t *)process_mine->shm;
	CHECK_OK(mincore(process_mine->shm, VOW_SHM_SIZE, there));
	for (unsigned i = 0; i < count; i++, at += 8) {
		uint64_t word;

		at = golden_next(base, there, at);
		if (at != golden[i].offset)
			CHECK_FAIL("a word at %llx, where the next golden one is at %llx",
				   (unsigned long long)at, (unsigned long long)golden[i].offset);
		memcpy(&word, base + at, sizeof(word));
		if (!golden[i].any && word != golden[i].word)
			CHECK_FAIL("%llx at %llx is %llx in the golden words",
				   (unsigned long long)word, (unsigned long long)at,
				   (unsigned long long)golden[i].word);
	}
	CHECK_EQ_U64(golden_next(base, there, at), VOW_SHM_SIZE);
	free(there);
	vow_close();
}

CHECK_TEST(test_golden_words_are_read_as_what_they_say)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged forged = forged_new(agent->dir, 0x601d, SEALS);
	struct golden_word golden[WORDS_MAX];
	unsigned count = golden_get(golden);

	/* What is "-" in them stays as a forged segment has it. */
	for (unsigned i = 0; i < count; i++)
		if (!golden[i].any)
			memcpy((uint8_t *)forged.shm + golden[i].offset, &golden[i].word, 8);
	lanes_agent_start(agent);
	while (!strstr(lanes_agent_status(agent).detail, "1 application "))
		lanes_agent_poll(agent);
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 9);
	const struct lanes_agent_total *good =
		lanes_agent_find(agent, SERIES_APP, "", "GET /orders/{id}", CLASS_2XX);
	CHECK_STR(good->key.service, "golden");
	CHECK_EQ_U64(good->counts.count, 5);
	CHECK_EQ_U64(good->latency.sum_ns, 1000 + 2500 + 1000 + 1010 + 1000);
	CHECK_EQ_U64(good->latency.max_ns, 2500);
	const struct lanes_agent_total *fine =
		lanes_agent_find(agent, SERIES_APP, "", "GET /orders/{id}", CLASS_OK);
	CHECK_EQ_U64(fine->counts.count, 2);
	CHECK_EQ_U64(fine->latency.max_ns, 1 << 20);
	const struct lanes_agent_total *failed =
		lanes_agent_find(agent, SERIES_APP, "", "GET /orders/{id}", CLASS_ERROR);
	CHECK_EQ_U64(failed->counts.errors, 1);
	CHECK_EQ_U64(failed->latency.max_ns, UINT64_C(1) << 43);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_APP, "", "GET /orders/{id}", CLASS_5XX)
			     ->counts.errors,
		     1);
	CHECK_NEAR(gauge_find(agent->gauges, "golden", "pool_in_use", "")->value, 2.5, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "golden", "queue_oldest_age_s", "mail")->value, 3, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "golden", "job_failed", "nightly")->value, 1, 0);
	CHECK_STR(lanes_agent_status(agent).problem, "");
	CHECK_EQ_U64(forged.shm->lanes[0].head, 4);
	CHECK_EQ_U64(forged.shm->lanes[0].exemplars_taken, 1);
	forged_close(&forged);
	lanes_agent_free(agent);
}

CHECK_MAIN("segment_golden", test_what_libvow_writes_are_the_golden_words_and_nothing_else,
	   test_golden_words_are_read_as_what_they_say)
