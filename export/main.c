/* SPDX-License-Identifier: Apache-2.0 */
/* vow-export: sends an agent's journal to the hub and tells receivers of what was decided. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "export/identity.h"
#include "export/notify.h"
#include "export/tail.h"
#include "export/uplink.h"
#include "lib/base/dirs.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "rpc/address.h"

#define HUB_DEFAULT "127.0.0.1:7412"

struct export_options {
	const char *dir, *hub, *config;
	bool verbose;
};

static const struct opt export_table[] = {
	OPT(struct export_options, dir, "dir", 'd', OPT_STRING, "DIR",
	    "the agent's folder (/run/vow and /var/lib/vow)"),
	OPT(struct export_options, hub, "hub", 'H', OPT_STRING, "HOST:PORT",
	    "send to this hub (" HUB_DEFAULT ")"),
	OPT(struct export_options, config, "config", 'c', OPT_STRING, "FILE",
	    "read this configuration (DIR/vow.yaml, else /etc/vow/vow.yaml)"),
	OPT(struct export_options, verbose, "verbose", 'v', OPT_FLAG, NULL,
	    "log each batch, acknowledgement and pause as well"),
};

static const struct opts_program export_program = {
	.name = "vow-export",
	.purpose = "sends what vowd measured to a hub, and its alerts to receivers",
	.usage = "[OPTION]...",
	.about = "Stays in the foreground and logs to standard error. SIGTERM and SIGINT end it, "
		 "SIGHUP reads the receivers of alerts again. It may be stopped, killed and "
		 "started at any time: what vowd measures meanwhile waits in the journal.",
	.table = export_table,
	.count = ARRAY_LEN(export_table),
	.section = 8,
};

struct export
{
	struct export_options options;
	struct dirs dirs;
	char journal[DIRS_PATH_MAX], refused[DIRS_PATH_MAX], dead_letters[DIRS_PATH_MAX];
	struct vow_config *config; /* as it was at start: others refer to its texts */
	int lock;
	struct loop *loop;
	struct notify *notify;
	struct uplink *uplink;
	struct tail *tail;
	struct loop_signal *signals[3];
};

static int config_read(const struct export *export, struct vow_config **config, struct diag *d)
{
	char path[512];

	return config_load(config_find(export->options.config, export->options.dir, path), config,
			   d);
}

static void on_grown(void *arg)
{
	struct export *export = arg;

	uplink_grown(export->uplink);
	notify_grown(export->notify);
}

static void on_replaced(void *arg)
{
	struct export *export = arg;

	uplink_replaced(export->uplink);
	notify_replaced(export->notify);
}

static void on_end(void *arg, int signum)
{
	struct export *export = arg;

	log_info("ending on signal %d", signum);
	loop_stop(export->loop);
}

static void on_reload(void *arg, int signum)
{
	struct export *export = arg;
	struct vow_config *config;
	struct diag d;
	int rc = config_read(export, &config, &d);

	(void)signum;
	if (!rc) {
		rc = notify_configure(export->notify, config, &d);
		config_free(config);
	}
	if (rc)
		log_diag(LOG_LEVEL_ERROR, &d, "receivers stay as they were");
	else
		log_info("receivers read anew");
}

/* Plain text is for loopback: latencies, routes and host names are not for strangers. */
static int hub_check(const struct export *export, struct diag *d)
{
	int rc = rpc_address_check(export->options.hub, d);

	if (rc)
		return rc;
	if (export->config->tls_certificate[0] || rpc_address_is_local(export->options.hub))
		return 0;
	return diag_set(d, -EINVAL, export->options.hub,
			"give ca, certificate and key under tls in the configuration",
			"a hub on another host is reached with TLS only");
}

static int paths_make(struct export *export, struct diag *d)
{
	const char *state = export->dirs.state;

	if (dirs_path(export->journal, state, "journal") ||
	    dirs_path(export->refused, state, "refused") ||
	    dirs_path(export->dead_letters, state, "dead-letters.jsonl"))
		return diag_errno(d, -ENAMETOOLONG, state, "choose a shorter path", "no room");
	return 0;
}

static int state_open(struct export *export, struct diag *d)
{
	int rc = dirs_init(&export->dirs, export->options.dir, d);

	if (!rc)
		rc = dirs_make(&export->dirs, d);
	if (!rc)
		rc = paths_make(export, d);
	if (!rc)
		rc = config_read(export, &export->config, d);
	if (!rc)
		rc = hub_check(export, d);
	if (rc)
		return rc;
	export->lock = dirs_lock(export->dirs.state, "export", d);
	return export->lock < 0 ? export->lock : 0;
}

static int uplink_start(struct export *export, struct diag *d)
{
	struct uplink_options options = {
		.journal = export->journal,
		.refused = export->refused,
		.hub = {.target = export->options.hub,
			.tls_ca = export->config->tls_ca,
			.tls_certificate = export->config->tls_certificate,
			.tls_key = export->config->tls_key},
		.host = export->config->host,
	};
	char path[DIRS_PATH_MAX];
	int rc = dirs_path(path, export->dirs.state, "agent.id");

	if (rc)
		return diag_errno(d, rc, export->dirs.state, "choose a shorter path", "no room");
	rc = identity_load(path, options.agent_id, d);
	return rc ? rc : uplink_new(export->loop, &options, &export->uplink, d);
}

static int parts_start(struct export *export, struct diag *d)
{
	const struct notify_options options = {export->journal, export->dead_letters,
					       export->config->host};
	const struct tail_handlers handlers = {on_grown, on_replaced, export};
	int rc;

	/* libcurl's beginning wants a process without other threads, so it comes before gRPC's. */
	rc = notify_new(export->loop, &options, export->config, &export->notify, d);
	if (!rc)
		rc = uplink_start(export, d);
	if (rc)
		return rc;
	export->tail = tail_new(export->loop, export->journal, &handlers);
	export->signals[0] = loop_signal_catch(export->loop, SIGTERM, on_end, export);
	export->signals[1] = loop_signal_catch(export->loop, SIGINT, on_end, export);
	export->signals[2] = loop_signal_catch(export->loop, SIGHUP, on_reload, export);
	if (!export->tail || !export->signals[0] || !export->signals[1] || !export->signals[2])
		return diag_errno(d, -ENOMEM, NULL, NULL, "cannot start");
	return 0;
}

static void parts_stop(struct export *export)
{
	for (size_t i = 0; i < ARRAY_LEN(export->signals); i++)
		loop_signal_release(export->signals[i]);
	tail_free(export->tail);
	uplink_free(export->uplink);
	notify_free(export->notify);
	if (export->loop)
		loop_free(export->loop);
	config_free(export->config);
	fd_closep(&export->lock);
}

int main(int argc, char **argv)
{
	struct export export = {.options.hub = HUB_DEFAULT, .lock = -1};
	struct diag d;
	int status = opts_begin(&export_program, &argc, argv, &export.options), rc;

	if (status >= 0)
		return status;
	if (argc > 1)
		return opts_unknown_word(&export_program, argv[1]);
	log_init("vow-export", export.options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error where it was written to */
	rc = state_open(&export, &d);
	if (!rc && !(export.loop = loop_new()))
		rc = diag_errno(&d, -ENOMEM, NULL, NULL, "cannot start");
	if (!rc)
		rc = parts_start(&export, &d);
	if (rc)
		log_diag(LOG_LEVEL_ERROR, &d, "cannot start");
	else
		loop_run(export.loop);
	parts_stop(&export);
	return rc ? 1 : 0;
}
