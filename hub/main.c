/* SPDX-License-Identifier: Apache-2.0 */
/* vow-hub: the central collector. */
#include <signal.h>
#include <stdlib.h>

#include "hub/hub.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"

static const struct opt main_table[] = {
	OPT(struct hub_options, dir, "dir", 'd', OPT_STRING, "DIR",
	    "keep everything in this folder (" HUB_DIR_DEFAULT ")"),
	OPT(struct hub_options, listen, "listen", 'l', OPT_STRING, "HOST:PORT",
	    "where agents stream to and the command line asks (127.0.0.1:7412)"),
	OPT(struct hub_options, http, "http", 0, OPT_STRING, "HOST:PORT",
	    "dashboard, HTTP API and /metrics (127.0.0.1:7413)"),
	OPT(struct hub_options, http_names, "http-names", 0, OPT_STRING, "NAME,...",
	    "on loopback, answer requests for these names of a proxy in front as well"),
	OPT(struct hub_options, config, "config", 'c', OPT_STRING, "FILE",
	    "read this configuration (DIR/vow.yaml, else /etc/vow/vow.yaml)"),
	OPT(struct hub_options, verbose, "verbose", 'v', OPT_FLAG, NULL,
	    "log each agent that comes and goes as well"),
};

static const struct opts_program main_program = {
	.name = "vow-hub",
	.purpose = "merges what the agents of a fleet measured, judges it and shows it",
	.usage = "[OPTION]...",
	.about = "Stays in the foreground and logs to standard error. SIGTERM and SIGINT end it, "
		 "SIGHUP reads the configuration again.\n\n"
		 "Every record of an agent counts exactly once, over crashes of any program and of "
		 "the machine. On an address other than loopback the HTTP side asks for the token "
		 "in DIR/token, and the agents' side for TLS.",
	.table = main_table,
	.count = ARRAY_LEN(main_table),
	.section = 8,
};

/* Signal handlers have no argument of their own. */
static struct hub *main_hub;

static void main_signal(int signum)
{
	if (signum == SIGHUP)
		hub_ask_reload(main_hub);
	else
		hub_stop(main_hub);
}

static void main_catch_signals(void)
{
	struct sigaction action = {.sa_handler = main_signal, .sa_flags = SA_RESTART};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/*
 * Until the hub stands, and once it is taken down, signals wait; threads that are made meanwhile
 * inherit that, so that they always come to the main thread.
 */
static void main_hold_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(how, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct hub_options options = {
		.listen = "127.0.0.1:7412",
		.http = "127.0.0.1:7413",
	};
	struct vow_config *config;
	struct diag d = {0};
	char buf[512];
	int status = opts_begin(&main_program, &argc, argv, &options);

	if (status >= 0)
		return status;
	if (argc > 1)
		return opts_unknown_word(&main_program, argv[1]);
	log_init("vow-hub", options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	main_hold_signals(SIG_BLOCK);
	fd_raise_limit();
	if (config_load(config_find(options.config, options.dir, buf), &config, &d) ||
	    hub_open(&options, config, &main_hub, &d)) {
		log_diag(LOG_LEVEL_ERROR, &d, "vow-hub ends");
		return EXIT_FAILURE;
	}
	main_catch_signals();
	main_hold_signals(SIG_UNBLOCK);
	status = hub_run(main_hub) ? EXIT_FAILURE : EXIT_SUCCESS;
	/* An impatient second SIGTERM must not meet a hub that is half taken down. */
	main_hold_signals(SIG_BLOCK);
	hub_close(main_hub);
	log_info("ended");
	return status;
}
