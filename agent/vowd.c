/* SPDX-License-Identifier: Apache-2.0 */
/* vowd: the agent of one host. Orders start and stop of its parts; everything else is theirs. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/pace.h"
#include "agent/privileges.h"
#include "agent/turn.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/image.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"

struct vowd_options {
	const char *dir, *config;
	bool verbose;
};

static const struct opt option_table[] = {
	OPT(struct vowd_options, dir, "dir", 'd', OPT_STRING, "DIR",
	    "keep state, sockets and locks below DIR (" DIRS_RUN_DEFAULT " and " DIRS_STATE_DEFAULT
	    "); applications with libvow find it by VOW_DIR=DIR in their environment, vow by --dir "
	    "DIR"),
	OPT(struct vowd_options, config, "config", 'c', OPT_STRING, "FILE",
	    "read this configuration (DIR/vow.yaml, else /etc/vow/vow.yaml)"),
	OPT(struct vowd_options, verbose, "verbose", 'v', OPT_FLAG, NULL,
	    "log each record of the journal as well"),
};

static const struct opts_program program = {
	.name = "vowd",
	.purpose = "measures this host's requests and deliveries and judges them",
	.usage = "[OPTION]...",
	.about =
		"Captures HTTP from the kernel's sockets (as root, kernel 5.13 or newer), "
		"latencies "
		"from applications that use libvow, and figures of the host itself; keeps them in "
		"a journal for vow-export, and answers the vow command. Stays in the foreground "
		"and "
		"logs to standard error. SIGTERM and SIGINT end it, SIGHUP reads the configuration "
		"again. Without the rights for a source of data it says so and goes on with the "
		"rest: see vow doctor.",
	.table = option_table,
	.count = ARRAY_LEN(option_table),
	.section = 8,
};

#define TICK_NS NS_PER_S

struct vowd {
	struct agent agent;
	struct loop *loop;
	struct loop_timer *poll, *tick;
	struct pace pace;
	struct order_desk *desk;
};

static void on_poll(void *arg)
{
	struct vowd *vowd = arg;
	mono_ns now = clock_mono();
	uint64_t taken = turn_poll(&vowd->agent, now);

	turn_run_early(&vowd->agent, now, clock_wall());
	bool saving = saving_step(&vowd->agent, now);
	dur_ns next = pace_step(&vowd->pace, taken, turn_patience(&vowd->agent));
	loop_timer_again(vowd->poll, saving && next > PACE_BUSY_NS ? PACE_BUSY_NS : next, 0);
}

/* Ticks end on whole seconds of the clock on the wall, so those of many hosts line up. */
static dur_ns until_next_tick(wall_ns now)
{
	dur_ns left = TICK_NS - now % TICK_NS;

	return left < TICK_NS / 10 ? left + TICK_NS : left;
}

static void on_tick(void *arg)
{
	struct vowd *vowd = arg;

	turn_run(&vowd->agent, clock_mono(), clock_wall());
	if (vowd->agent.uprooted)
		loop_stop(vowd->loop);
	loop_timer_again(vowd->tick, until_next_tick(clock_wall()), 0);
}

static void on_end(void *arg, int signum)
{
	log_info("ending on %s", strsignal(signum));
	loop_stop(arg);
}

static void on_reload(void *arg, int signum)
{
	struct vowd *vowd = arg;

	(void)signum;
	agent_reload(&vowd->agent);
}

static int on_order(void *arg, const struct order *order, struct diag *d)
{
	struct vowd *vowd = arg;

	return agent_order(&vowd->agent, order, d);
}

/* Early: a signal that comes while the journal is read ends the agent as any other does. */
static int vowd_catch_signals(struct vowd *vowd, struct diag *d)
{
	struct loop *loop = vowd->loop = loop_new();

	if (!loop || !loop_signal_catch(loop, SIGTERM, on_end, loop) ||
	    !loop_signal_catch(loop, SIGINT, on_end, loop) ||
	    !loop_signal_catch(loop, SIGHUP, on_reload, vowd))
		return diag_errno(d, -ENOMEM, "vowd", NULL, "cannot start");
	return 0;
}

/* Answers questions from now on, and takes orders. */
static int vowd_listen(struct vowd *vowd, struct control **control, struct diag *d)
{
	struct agent *agent = &vowd->agent;
	char path[DIRS_PATH_MAX];
	struct control_options options = {path, agent->series, agent->post, agent->host, NULL};
	int rc = dirs_path(path, agent->dirs.run, "control.sock");

	if (rc)
		return diag_errno(d, rc, agent->dirs.run, NULL, "path of the control socket");
	vowd->desk = options.desk = order_desk_new(vowd->loop, on_order, vowd);
	rc = vowd->desk ? control_start(&options, control, d)
			: diag_errno(d, -ENOMEM, "vowd", NULL, "cannot start");
	if (rc)
		order_desk_free(vowd->desk);
	return rc;
}

/*
 * Runs until a signal ends it, or -ESTALE when its folder was removed: a restart makes it anew, with
 * sockets that others find. The control socket comes last and goes first.
 */
static int vowd_run(struct vowd *vowd, struct diag *d)
{
	struct agent *agent = &vowd->agent;
	struct loop *loop = vowd->loop;
	struct control *control = NULL;
	int rc = privileges_drop(agent->config->tls_allowed, d);

	if (rc)
		return rc;
	turn_run(agent, clock_mono(), clock_wall()); /* the first question shall find a board */
	rc = vowd_listen(vowd, &control, d);
	if (rc)
		return rc;
	vowd->poll = loop_timer_start(loop, 0, 0, on_poll, vowd);
	vowd->tick = loop_timer_start(loop, until_next_tick(clock_wall()), 0, on_tick, vowd);
	if (!vowd->poll || !vowd->tick)
		rc = diag_errno(d, -ENOMEM, "vowd", NULL, "cannot start");
	log_info("watching %s; state in %s", agent->host, agent->dirs.state);
	if (!rc) {
		log_debug("gave back %zu KiB that only the start needed", image_trim() >> 10);
		loop_run(loop);
	}
	control_stop(control);
	order_desk_free(vowd->desk);
	if (agent->uprooted)
		rc = diag_set(d, -ESTALE, agent->dirs.state, "start vowd again",
			      "the folder was removed while vowd was running");
	return rc;
}

static int vowd_configure(struct agent *agent, const struct vowd_options *options,
			  struct vow_config **config, struct diag *d)
{
	char buf[DIRS_PATH_MAX];
	int rc = dirs_init(&agent->dirs, options->dir, d);

	if (rc)
		return rc;
	agent->dir_given = options->dir != NULL;
	if (options->config)
		snprintf(agent->config_path, sizeof(agent->config_path), "%s", options->config);
	return config_load(config_find(options->config, options->dir, buf), config, d);
}

static int vowd_main(const struct vowd_options *options, struct diag *d)
{
	static struct vowd vowd;
	struct vow_config *config = NULL;
	int lock = -1;
	int rc = vowd_configure(&vowd.agent, options, &config, d);

	if (!rc)
		rc = dirs_make(&vowd.agent.dirs, d);
	if (!rc)
		rc = privileges_check_folders(&vowd.agent.dirs, d);
	if (!rc)
		rc = lock = dirs_lock(vowd.agent.dirs.state, "vowd", d);
	if (rc >= 0) {
		rc = vowd_catch_signals(&vowd, d);
		if (!rc)
			rc = agent_open(&vowd.agent, vowd.loop, config, d);
	} else {
		config_free(config);
	}
	if (rc == 0) {
		rc = vowd_run(&vowd, d);
		agent_close(&vowd.agent);
	}
	if (vowd.loop)
		loop_free(vowd.loop);
	if (lock >= 0)
		close(lock);
	return rc;
}

/*
 * Large tables are made once and used in part: as mappings of their own, the pages that are never
 * touched stay absent. Unless it is said so, the first of them to be freed moves the bound from which
 * on an allocation is one up, for good. Nor need the heap grow ahead of what is asked for.
 */
static void heap_settle(void)
{
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TOP_PAD, 4 << 10);
}

int main(int argc, char **argv)
{
	struct vowd_options options = {0};
	struct diag d = {0};
	int status = opts_begin(&program, &argc, argv, &options);

	if (status >= 0)
		return status;
	if (argc > 1)
		return opts_unknown_word(&program, argv[1]);
	log_init("vowd", options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	heap_settle();
	fd_raise_limit();
	if (vowd_main(&options, &d)) {
		log_diag(LOG_LEVEL_ERROR, &d, "cannot run");
		return 1;
	}
	return 0;
}
