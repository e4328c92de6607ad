/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as YAML text: an error names its line, and what is accepted can be judged by. */
#include <fcntl.h>
#include <unistd.h>

#include "config/config.h"
#include "lib/model/judge.h"
#include "tests/fuzz/fuzz.h"

#define OBJECTIVES_TRIED 4 /* a judge has 180 KB for each */

static void on_remark(void *arg, const struct diag *remark)
{
	(void)arg;
	FUZZ_CHECK(memchr(remark->what, '\0', sizeof(remark->what)));
}

static void check_accepted(struct vow_config *config)
{
	const struct policy *policy = &config->policy;

	config_remarks(config, on_remark, NULL);
	FUZZ_CHECK(policy->objective_count <= POLICY_OBJECTIVES);
	FUZZ_CHECK(policy->scaler_count <= POLICY_SCALERS);
	if (policy->objective_count > OBJECTIVES_TRIED || policy->scaler_count > OBJECTIVES_TRIED)
		return;
	struct judge *judge = judge_new(policy, "host:fuzz");
	FUZZ_CHECK(judge);
	for (unsigned i = 1; i <= 2; i++)
		judge_step(judge, i * NS_PER_S, i * NS_PER_S, NULL, NULL, NULL);
	judge_free(judge);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char path[256];
	static int fd = -1;
	struct vow_config *config = NULL;
	struct diag d = {0};

	if (fd < 0)
		fd = open(fuzz_path("vow.yaml", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Nor may it name files to read: what they hold would decide, not the input. */
	if (memmem(bytes, size, "_file", 5))
		return -1;
	FUZZ_CHECK(ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	int rc = config_load(path, &config, &d);
	if (rc == 0) {
		check_accepted(config);
		config_free(config);
	} else {
		FUZZ_CHECK(config == NULL && d.err == rc && d.what[0]);
		FUZZ_CHECK(strncmp(d.where, path, strlen(path)) == 0);
	}
	return 0;
}
