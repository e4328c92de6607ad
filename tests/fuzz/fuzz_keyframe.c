/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyframes: whatever sections an agent takes up, it can write a keyframe again, and who takes that
 * up skips nothing and holds the same totals.
 */
#include "agent/keyframe.h"
#include "tests/fuzz/fuzz.h"

static void agent_make(struct agent *agent)
{
	static struct policy policy;
	const struct series_table_options options = {
		.series_max = 64, .thresholds = policy_thresholds, .thresholds_arg = &policy};

	if (!policy.objective_count)
		policy_defaults(&policy);
	memset(agent, 0, sizeof(*agent));
	agent->tick_wall = UINT64_C(1795315200) * NS_PER_S;
	agent->series = series_table_new(&options);
	agent->judge = judge_new(&policy, "host:fuzz");
	agent->exemplars = exemplars_new(100);
	FUZZ_CHECK(agent->series && agent->judge && agent->exemplars);
}

static void agent_free(struct agent *agent)
{
	exemplars_free(agent->exemplars);
	judge_free(agent->judge);
	series_table_free(agent->series);
	local_free(&agent->local);
}

static struct series_counts total_of(const struct agent *agent, series_id id)
{
	struct series_counts counts = {0};

	series_read_lock();
	series_window_add(agent->series, series_at(agent->series, id), SERIES_TOTAL, NULL, NULL,
			  &counts);
	series_read_unlock();
	return counts;
}

/* Sections that were skipped. */
static unsigned take_up(struct agent *agent, const uint8_t *bytes, size_t size)
{
	struct keyframe_reading reading = {.agent = agent};

	keyframe_read(&reading, bytes, size);
	free(reading.by_id);
	return reading.skipped;
}

static void write_all(struct agent *agent)
{
	const struct keyframe_options options = {.slots_max = SIZE_MAX};
	struct keyframe *keyframe;
	int more;

	FUZZ_CHECK(keyframe_begin(agent, &options, &agent->local, &keyframe) == 0);
	while ((more = keyframe_fill(keyframe, &agent->local)) > 0) {
	}
	FUZZ_CHECK(more == 0);
	keyframe_free(keyframe);
}

static void check_twin(struct agent *agent)
{
	struct agent twin;

	agent_make(&twin);
	FUZZ_CHECK(keyframe_found(agent->local.bytes, agent->local.size));
	FUZZ_CHECK(take_up(&twin, agent->local.bytes, agent->local.size) == 0);
	FUZZ_CHECK(series_count(twin.series) == series_count(agent->series));
	for (series_id id = 0; id < series_count(twin.series); id++) {
		struct series_counts a = total_of(agent, id), b = total_of(&twin, id);

		FUZZ_CHECK(a.count == b.count && a.errors == b.errors);
	}
	agent_free(&twin);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool registered;
	struct agent agent;

	if (!registered)
		series_reader_register();
	registered = true;
	agent_make(&agent);
	take_up(&agent, bytes, size);
	for (unsigned i = 1; i <= 2; i++)
		series_tick(agent.series, UINT64_C(1795315200) * NS_PER_S + i * NS_PER_S, NULL,
			    NULL);
	write_all(&agent);
	check_twin(&agent);
	agent_free(&agent);
	return 0;
}
