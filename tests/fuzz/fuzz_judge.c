/* SPDX-License-Identifier: Apache-2.0 */
/* Saved states of the judge: refused, or a state that lives on and saves again. */
#include "lib/model/judge.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_WALL (UINT64_C(1795315200) * NS_PER_S)

static void on_action(void *arg, const struct action *action)
{
	(void)arg;
	FUZZ_CHECK(action->kind == ACTION_ALERT || action->kind == ACTION_SCALE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct policy policy;
	static uint8_t saved[1 << 20];

	if (!policy.objective_count)
		policy_defaults(&policy);
	struct judge *judge = judge_new(&policy, "host:fuzz");
	FUZZ_CHECK(judge);
	int rc = judge_restore(judge, bytes, size);
	if (rc == 0) {
		ssize_t length = judge_save(judge, saved, sizeof(saved));

		FUZZ_CHECK(length > 0);
		struct judge *twin = judge_new(&policy, "host:fuzz");
		FUZZ_CHECK(judge_restore(twin, saved, (size_t)length) == 0);
		judge_free(twin);
	}
	for (unsigned i = 1; i <= 3; i++)
		judge_step(judge, i * NS_PER_S, FUZZ_WALL + i * NS_PER_S, NULL, on_action, NULL);
	for (unsigned i = 0; i < judge_objectives(judge); i++) {
		struct objective_report report;

		judge_objective_report(judge, i, &report);
		FUZZ_CHECK(report.alert <= ALERT_RESOLVED);
		FUZZ_CHECK(report.compliance_ratio >= 0 && report.compliance_ratio <= 1);
	}
	for (unsigned i = 0; i < judge_scalers(judge); i++) {
		struct scaler_report report;

		judge_scaler_report(judge, i, &report);
		FUZZ_CHECK(report.replicas >= report.scaler->minimum &&
			   report.replicas <= report.scaler->maximum);
	}
	judge_free(judge);
	return 0;
}
