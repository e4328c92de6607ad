/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/types.h"

/*
 * BPF, PERFMON: maps and iterators of the probes. SYS_PTRACE: /proc/PID/fd and exe of other users,
 * through which segments and service names are found. DAC_READ_SEARCH: to open what is found there.
 */
static const cap_value_t kept[] = {CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};

static int drop_bounding(bool probes)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
		bool stays = probes && cap == CAP_SYS_ADMIN;
		for (size_t i = 0; i < ARRAY_LEN(kept); i++)
			stays |= kept[i] == cap;
		if (!stays && cap_get_bound(cap) == 1 && cap_drop_bound(cap) && errno != EPERM)
			return -errno;
	}
	return 0;
}

/* Keeps a capability in the next sets if the process has it now. */
static int keep(cap_t now, cap_t next, cap_value_t cap, bool effective)
{
	cap_flag_value_t has;

	if (cap_get_flag(now, cap, CAP_PERMITTED, &has))
		return -errno;
	if (has == CAP_SET) {
		cap_set_flag(next, CAP_PERMITTED, 1, &cap, CAP_SET);
		if (effective)
			cap_set_flag(next, CAP_EFFECTIVE, 1, &cap, CAP_SET);
	}
	return 0;
}

static int drop_sets(bool probes)
{
	cap_t now = cap_get_proc();
	cap_t next = cap_init();
	int rc = now && next ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < ARRAY_LEN(kept); i++)
		rc = keep(now, next, kept[i], true);
	if (!rc && probes)
		rc = keep(now, next, CAP_SYS_ADMIN, false);
	if (!rc && cap_set_proc(next))
		rc = -errno;
	cap_free(now);
	cap_free(next);
	return rc;
}

int privileges_drop(bool probes, struct diag *d)
{
	int rc = drop_bounding(probes);

	if (!rc)
		rc = drop_sets(probes);
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		rc = -errno;
	return rc ? diag_errno(d, rc, "capabilities", NULL, "cannot give up privileges") : 0;
}

/* Changes what root may override in files, for a moment; false when it may not anyway. */
static bool override_set(cap_flag_value_t from, cap_flag_value_t to)
{
	const cap_value_t override = CAP_DAC_OVERRIDE;
	cap_t caps = cap_get_proc();
	cap_flag_value_t now = to;
	bool changed = caps && cap_get_flag(caps, override, CAP_EFFECTIVE, &now) == 0 &&
		       now == from && cap_set_flag(caps, CAP_EFFECTIVE, 1, &override, to) == 0 &&
		       cap_set_proc(caps) == 0;

	cap_free(caps);
	return changed;
}

/* A folder that is not there yet will be ours. */
static int folder_check(const char *folder, struct diag *d)
{
	struct stat st;

	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 || errno != EACCES ||
	    stat(folder, &st))
		return 0;
	return diag_set(d, -EACCES, folder,
			"start vowd as that user, give the folder to root (chown -R root), or "
			"choose another one with --dir",
			"belongs to user %u, and vowd gives up root's right to write there",
			(unsigned)st.st_uid);
}

int privileges_check_folders(const struct dirs *dirs, struct diag *d)
{
	char journal[DIRS_PATH_MAX];
	int rc = dirs_path(journal, dirs->state, "journal");

	if (rc || !override_set(CAP_SET, CAP_CLEAR))
		return rc;
	rc = folder_check(dirs->run, d);
	if (!rc)
		rc = folder_check(dirs->state, d);
	if (!rc)
		rc = folder_check(journal, d);
	if (!override_set(CAP_CLEAR, CAP_SET))
		return diag_errno(d, -EPERM, "capabilities", NULL, "cannot take them up again");
	return rc;
}
