/* SPDX-License-Identifier: Apache-2.0 */
/* `vow doctor`: what the agent says of its collectors, and what can be seen without one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/figure.h"
#include "cli/known.h"
#include "cli/options.h"
#include "lib/base/dirs.h"

#define DOCTOR_CHECKS_MAX 256 /* collectors and hosts of a hub beyond it are not listed */
/* Records that may wait for the hub before it is remarkable: a minute of ticks. */
#define DOCTOR_LAG_RECORDS 60
#define DOCTOR_TURN_LATE   (5 * NS_PER_S)

struct doctor {
	struct view_check *checks;
	size_t count;
};

static struct view_check *doctor_add(struct doctor *doctor, enum view_grade grade, const char *name,
				     const char *fix)
{
	/* The last place is overwritten when all are taken. */
	struct view_check *check = &doctor->checks[doctor->count];

	if (doctor->count + 1 < DOCTOR_CHECKS_MAX)
		doctor->count++;
	*check = (struct view_check){.grade = grade};
	snprintf(check->name, sizeof(check->name), "%s", name);
	snprintf(check->fix, sizeof(check->fix), "%s", fix ? fix : "");
	return check;
}

__attribute__((format(printf, 2, 3))) static void doctor_say(struct view_check *check,
							     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->what, sizeof(check->what), format, args);
	va_end(args);
}

/* ---- without an agent -------------------------------------------------------------------------- */

static void doctor_kernel(struct doctor *doctor)
{
	struct utsname name;
	unsigned major = 0, minor = 0;
	bool enough;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return;
	/* The first that tier B is written for; tier A, which is cheaper, says itself what it lacks. */
	enough = major > 5 || (major == 5 && minor >= 13);
	doctor_say(doctor_add(doctor, enough ? VIEW_GOOD : VIEW_BAD, "kernel",
			      enough ? NULL
				     : "HTTP capture needs Linux 5.13 or later; the rest works"),
		   "Linux %s on %s", name.release, name.machine);
}

static void doctor_btf(struct doctor *doctor)
{
	bool there = access("/sys/kernel/btf/vmlinux", R_OK) == 0;

	doctor_say(
		doctor_add(doctor, there ? VIEW_GOOD : VIEW_BAD, "btf",
			   there ? NULL
				 : "use a kernel built with CONFIG_DEBUG_INFO_BTF; for HTTP alone "
				   "capture.btf can name a file of its types"),
		there ? "the kernel describes its types (/sys/kernel/btf/vmlinux)"
		      : "no /sys/kernel/btf/vmlinux: BPF programs cannot be fitted to this kernel");
}

static void doctor_rights(struct doctor *doctor)
{
	uid_t uid = geteuid();

	doctor_say(doctor_add(doctor, uid ? VIEW_REMARK : VIEW_GOOD, "rights",
			      uid ? "start vowd as root: it keeps only the capabilities it needs"
				  : NULL),
		   uid ? "you are user %u, who may not load BPF programs" : "you are root (%u)",
		   (unsigned)uid);
}

static bool doctor_switched_off(const struct board *board, const char *collector)
{
	for (size_t i = 0; board && i < board->collector_count; i++) {
		const struct board_collector *row = &board->collectors[i];

		if (!strcmp(row->name, collector))
			return !strcmp(row->tier, "off") && !row->problem[0];
	}
	return false;
}

static void doctor_sockets(struct doctor *doctor, const char *dir, const struct board *board)
{
	char path[DIRS_PATH_MAX];
	struct dirs dirs;
	bool there;

	if (dirs_init(&dirs, dir, NULL) || dirs_path(path, dirs.run, "intake.sock"))
		return;
	there = access(path, F_OK) == 0;
	if (!there && doctor_switched_off(board, "lanes"))
		return;
	doctor_say(doctor_add(doctor, there ? VIEW_GOOD : VIEW_BAD, "intake",
			      there ? NULL : "see vowd's log"),
		   there ? "applications with libvow are met at %s"
			 : "no socket for applications with libvow at %s",
		   path);
}

/* ---- from the agent or the hub ----------------------------------------------------------------- */

static void doctor_collector(struct doctor *doctor, const struct board_collector *row)
{
	char name[sizeof(row->host) + sizeof(row->name) + 1], total[STR_FIGURE_SIZE];
	bool off = strcmp(row->tier, "off") == 0;
	uint64_t drops = 0;
	enum view_grade grade = row->problem[0] ? (off ? VIEW_BAD : VIEW_REMARK)
				: off		? VIEW_OFF
						: VIEW_GOOD;
	struct view_check *check;

	for (unsigned i = 0; i < row->drop_count; i++)
		drops += row->drops[i].total;
	snprintf(name, sizeof(name), "%s%s%s", row->host, row->host[0] ? " " : "", row->name);
	check = doctor_add(doctor, grade, name, row->problem);
	if (grade == VIEW_OFF) {
		doctor_say(check, "%s", row->detail);
		return;
	}
	/* A hub knows totals, not tiers. */
	doctor_say(check, "%s%s%s%s events%s%s", row->tier[0] ? "tier " : "", row->tier,
		   row->tier[0] ? ", " : "",
		   str_format_count(total, sizeof(total), row->events_total),
		   row->detail[0] ? ": " : "", row->detail);
	if (drops) {
		check = doctor_add(doctor, VIEW_REMARK, name, NULL);
		doctor_say(check, "%llu events seen but not reported; vow status has the reasons",
			   (unsigned long long)drops);
	}
}

static void doctor_journal(struct doctor *doctor, const struct board *board)
{
	uint64_t waiting = board->journal_seq - board->journal_acked_seq;

	if (board->trouble[0])
		doctor_say(doctor_add(doctor, VIEW_BAD, "agent now", "see vowd's log"), "%s",
			   board->trouble);
	if (board->journal_dropped_records_total)
		doctor_say(doctor_add(doctor, VIEW_REMARK, "journal",
				      "raise journal.budget, or bring the hub back sooner"),
			   "%llu records were given up to stay within its budget on disk",
			   (unsigned long long)board->journal_dropped_records_total);
	if (board->journal_quarantined_total)
		doctor_say(doctor_add(doctor, VIEW_BAD, "journal",
				      "look after the disk; remove *.quarantined once looked at"),
			   "%llu broken segments were set aside at the start, at least %llu "
			   "records are lost",
			   (unsigned long long)board->journal_quarantined_total,
			   (unsigned long long)board->journal_lost_records_total);
	if (!board->journal_acked_seq)
		doctor_say(doctor_add(doctor, VIEW_REMARK, "exporter",
				      "for fleet figures: vow-export --hub HOST:PORT"),
			   "no hub has taken a record from here yet");
	else if (board->journal_acked_seq <= board->journal_seq)
		doctor_say(doctor_add(doctor,
				      waiting > DOCTOR_LAG_RECORDS ? VIEW_REMARK : VIEW_GOOD,
				      "exporter",
				      waiting > DOCTOR_LAG_RECORDS
					      ? "is vow-export running, and can it reach the hub?"
					      : NULL),
			   "the hub has record %llu of %llu",
			   (unsigned long long)board->journal_acked_seq,
			   (unsigned long long)board->journal_seq);
}

static void doctor_hosts(struct doctor *doctor, const struct view *view)
{
	for (size_t i = 0; i < view->board->host_count; i++) {
		const struct board_host *row = &view->board->hosts[i];
		char age[STR_FIGURE_SIZE];

		doctor_say(doctor_add(doctor, row->connected ? VIEW_GOOD : VIEW_BAD, row->host,
				      row->connected
					      ? NULL
					      : "is the host up, and vow-export running there?"),
			   row->connected ? "connected, heard of %s ago" : "silent for %s",
			   figure_age(age, sizeof(age), row->last_seen, view->at));
		if (row->gap_records_total)
			doctor_say(doctor_add(doctor, VIEW_REMARK, row->host, NULL),
				   "%llu records were lost before they could be counted here",
				   (unsigned long long)row->gap_records_total);
		if (row->problem[0])
			doctor_say(
				doctor_add(
					doctor, VIEW_BAD, row->host,
					"is the hub as new as the agent? hub.db keeps the record"),
				"%s", row->problem);
	}
}

/* Its answers come from a thread of their own: they go on when nothing else does. */
static void doctor_turns(struct doctor *doctor, const struct view *view)
{
	char age[STR_FIGURE_SIZE];

	if (view->at < view->board->at + DOCTOR_TURN_LATE)
		return;
	doctor_say(doctor_add(doctor, VIEW_BAD, "agent now",
			      "it waits for the kernel, a disk or a debugger: see /proc/PID/stack; "
			      "kill -9 loses nothing"),
		   "its last turn was %s ago, where one comes each second: nothing is taken in",
		   figure_age(age, sizeof(age), view->board->at, view->at));
}

static void doctor_of_view(struct doctor *doctor, const struct view *view, bool hub)
{
	const struct board *board = view->board;

	if (!board) {
		doctor_say(doctor_add(doctor, VIEW_REMARK, "agent", "ask again in a second"),
			   "it has just started");
		return;
	}
	doctor_say(doctor_add(doctor, VIEW_GOOD, hub ? "hub" : "agent", NULL),
		   "%s %s on %s, pid %u", board->program, board->version, board->host, board->pid);
	if (!hub)
		doctor_turns(doctor, view);
	for (size_t i = 0; i < board->collector_count; i++)
		doctor_collector(doctor, &board->collectors[i]);
	if (board->series_other_total)
		doctor_say(doctor_add(doctor, VIEW_REMARK, "series",
				      "raise series_max, or name routes by templates"),
			   "%llu events went to {other}: the table of series is full",
			   (unsigned long long)board->series_other_total);
	if (hub)
		doctor_hosts(doctor, view);
	else
		doctor_journal(doctor, board);
}

/* Objectives that nothing was ever seen of: before traffic came that is no fault. */
static void doctor_objectives(struct doctor *doctor, const struct cli_options *options)
{
	struct view_query query = cli_query(options, VIEW_SLO, WINDOW_1M);
	struct view *stands = NULL, *seen = NULL;
	struct diag d;

	if (ask_once(options->dir, options->hub, &query, &stands, &d) || !stands->board ||
	    known_ask(options, &seen, &d)) {
		view_free(stands);
		return;
	}
	for (size_t i = 0; i < stands->board->objective_count; i++) {
		const struct board_objective *row = &stands->board->objectives[i];
		char name[sizeof(row->objective.name) + 16];

		if (row->good + row->bad || !known_unmatched(&row->objective, seen, &d))
			continue;
		snprintf(name, sizeof(name), "objective %s", row->objective.name);
		doctor_say(doctor_add(doctor, VIEW_REMARK, name, d.fix), "%s", d.what);
	}
	view_free(stands);
	view_free(seen);
}

static int doctor_print(const struct cli_options *options, const struct doctor *doctor,
			const struct view *view)
{
	struct show show = cli_stdout(options);
	int status = CLI_FINE;

	if (options->output == CLI_JSON)
		status =
			cli_print_json(view_checks_json(doctor->checks, doctor->count, view, true));
	else
		show_checks(&show, doctor->checks, doctor->count);
	for (size_t i = 0; i < doctor->count; i++)
		if (doctor->checks[i].grade == VIEW_BAD)
			status = CLI_NO;
	return status;
}

int cli_doctor(const struct cli_options *options)
{
	struct view_query query = cli_query(options, VIEW_DOCTOR, WINDOW_1M);
	struct doctor doctor = {.checks = calloc(DOCTOR_CHECKS_MAX, sizeof(*doctor.checks))};
	struct view *view = NULL;
	struct diag d;
	int rc, status;

	if (!doctor.checks) {
		diag_errno(&d, -ENOMEM, NULL, NULL, "cannot look");
		return cli_complain(&d, CLI_NO);
	}
	rc = ask_once(options->dir, options->hub, &query, &view, &d);
	if (!options->hub) {
		doctor_kernel(&doctor);
		doctor_btf(&doctor);
		doctor_rights(&doctor);
	}
	if (rc)
		doctor_say(doctor_add(&doctor, VIEW_BAD, options->hub ? "hub" : "agent", d.fix),
			   "%s%s%s", d.where, d.where[0] ? ": " : "", d.what);
	else
		doctor_of_view(&doctor, view, options->hub != NULL);
	if (!rc && !options->hub)
		doctor_sockets(&doctor, options->dir, view->board);
	if (!rc)
		doctor_objectives(&doctor, options);
	status = doctor_print(options, &doctor, view);
	view_free(view);
	free(doctor.checks);
	return status;
}
