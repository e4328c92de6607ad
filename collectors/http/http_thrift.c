/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_thrift.h"

#include <stdio.h>
#include <string.h>

#define SLOW_DEFAULT (200 * NS_PER_MS)
#define EXCEPTIONS   "tls exceptions (estimated)"

static const char *const program_names[HTTP_COST_PROGRAMS] = {
	[HTTP_COST_RECEIVED] = "http_received",
	[HTTP_COST_SENT] = "http_sent",
	[HTTP_COST_ARRIVED] = "http_arrived",
	[HTTP_COST_CALLED] = "http_called",
	[HTTP_COST_TLS] = "tls_left",
	[HTTP_COST_URING_ASKED] = "http_uring_asked",
	[HTTP_COST_URING_DONE] = "http_uring_done",
};

void http_thrift_init(struct http_thrift *thrift, double budget_ratio, unsigned processors)
{
	memset(thrift, 0, sizeof(*thrift));
	thrift->budget_ratio = budget_ratio;
	thrift->processors = processors ? processors : 1;
}

/* Programs that were loaded anew begin again at 0. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void figures_fill(struct http_thrift *thrift, const struct http_thrift_totals *totals,
			 mono_ns now)
{
	struct http_thrift_figures *f = &thrift->figures;
	double kernel_ns = 0, all_ns;

	f->seconds = (double)(now - thrift->at) / NS_PER_S;
	all_ns = f->seconds * NS_PER_S * thrift->processors;
	f->rate = (double)grown(totals->pairs, thrift->pairs) / f->seconds;
	for (unsigned i = 0; i < HTTP_COST_PROGRAMS; i++) {
		const struct http_cost *is = &totals->costs[i], *was = &thrift->costs[i];
		double runs = (double)grown(is->runs, was->runs);
		uint64_t samples = grown(is->samples, was->samples);

		/* A second without a sample is as those before it. */
		if (samples)
			f->run_ns[i] =
				(double)grown(is->ns, was->ns) / (double)samples + HTTP_COST_AROUND;
		f->runs[i] = runs / f->seconds;
		kernel_ns += runs * f->run_ns[i];
	}
	f->exceptions = HTTP_COST_EXCEPTIONS * f->runs[HTTP_COST_TLS];
	f->exception_ns = totals->exception_ns;
	kernel_ns += f->exceptions * f->exception_ns * f->seconds;
	f->kernel_ratio = kernel_ns / all_ns;
	f->agent_ratio = (double)(totals->agent_ns - thrift->agent_ns) / all_ns;
}

bool http_thrift_second(struct http_thrift *thrift, const struct http_thrift_totals *totals,
			mono_ns now, struct thrift_change *change)
{
	struct thrift_input input = {.now = now, .budget_ratio = thrift->budget_ratio};
	bool first = !thrift->at, changed = false;

	if (!first && now > thrift->at) {
		figures_fill(thrift, totals, now);
		input.cost_ratio = thrift->figures.kernel_ratio + thrift->figures.agent_ratio;
		input.rate = thrift->figures.rate;
		changed = thrift_step(&thrift->state, &input, change);
	}
	if (changed)
		snprintf(thrift->reason, sizeof(thrift->reason), "%s", change->reason);
	thrift->at = now;
	memcpy(thrift->costs, totals->costs, sizeof(thrift->costs));
	thrift->agent_ns = totals->agent_ns;
	thrift->pairs = totals->pairs;
	return changed;
}

void http_thrift_gauges(const struct http_thrift *thrift, struct gauge_table *gauges, mono_ns now)
{
	const struct http_thrift_figures *f = &thrift->figures;

	gauge_set(gauges, "", "", "http_step", "", thrift->state.step, now);
	gauge_set(gauges, "", "", "http_budget_ratio", "", thrift->budget_ratio, now);
	gauge_set(gauges, "", "", "http_cost_ratio", "kernel", f->kernel_ratio, now);
	gauge_set(gauges, "", "", "http_cost_ratio", "agent", f->agent_ratio, now);
	gauge_set(gauges, "", "", "http_pairs_per_s", "", f->rate, now);
	if (f->rate > 0) {
		double ratio_ns = NS_PER_S * thrift->processors / f->rate;

		gauge_set(gauges, "", "", "http_pair_ns", "kernel", f->kernel_ratio * ratio_ns,
			  now);
		gauge_set(gauges, "", "", "http_pair_ns", "agent", f->agent_ratio * ratio_ns, now);
	}
	for (unsigned i = 0; i < HTTP_COST_PROGRAMS; i++) {
		/* Of the other tier, or never needed. */
		if (!thrift->costs[i].runs)
			continue;
		gauge_set(gauges, "", "", "http_runs_per_s", program_names[i], f->runs[i], now);
		gauge_set(gauges, "", "", "http_run_ns", program_names[i], f->run_ns[i], now);
	}
	if (f->exceptions > 0 && f->exception_ns > 0) {
		gauge_set(gauges, "", "", "http_runs_per_s", EXCEPTIONS, f->exceptions, now);
		gauge_set(gauges, "", "", "http_run_ns", EXCEPTIONS, f->exception_ns, now);
	}
}

dur_ns http_thrift_slow(const struct policy *policy)
{
	dur_ns slow = POLICY_NO_THRESHOLD;

	for (unsigned i = 0; i < policy->objective_count; i++) {
		const struct objective *objective = &policy->objectives[i];
		int kind = objective->selector.kind;

		if ((kind == POLICY_ANY || kind == SERIES_HTTP || kind == SERIES_USER) &&
		    objective->threshold_ns < slow)
			slow = objective->threshold_ns;
	}
	return slow == POLICY_NO_THRESHOLD ? SLOW_DEFAULT : slow;
}
