/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_wanted.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

bool tls_wanted_configured(const struct tls_wanted *wanted, const char *service)
{
	const struct service_patterns *patterns = &wanted->config->tls_services;

	for (unsigned i = 0; i < patterns->count; i++)
		if (!fnmatch(patterns->names[i], service, 0))
			return true;
	return false;
}

static struct tls_asked *asked_find(struct tls_wanted *wanted, const char *service)
{
	for (unsigned i = 0; i < TLS_ASKED_MAX; i++)
		if (wanted->asked[i].until_at && !strcmp(wanted->asked[i].service, service))
			return &wanted->asked[i];
	return NULL;
}

const struct tls_asked *tls_wanted_asked(const struct tls_wanted *wanted, const char *service)
{
	return asked_find((struct tls_wanted *)wanted, service);
}

bool tls_wanted_has(const struct tls_wanted *wanted, const char *service)
{
	return tls_wanted_configured(wanted, service) || tls_wanted_asked(wanted, service);
}

bool tls_wanted_meets(struct tls_wanted *wanted, const char *service)
{
	struct tls_asked *asked = asked_find(wanted, service);

	if (asked)
		asked->met = true;
	return asked || tls_wanted_configured(wanted, service);
}

unsigned tls_wanted_count(const struct tls_wanted *wanted)
{
	unsigned count = wanted->config->tls_services.count;

	for (unsigned i = 0; i < TLS_ASKED_MAX; i++)
		count += wanted->asked[i].until_at != 0;
	return count;
}

static int asked_end(struct tls_wanted *wanted, const char *service, struct diag *d)
{
	struct tls_asked *asked = asked_find(wanted, service);

	if (asked) {
		asked->until_at = 0;
		return 0;
	}
	if (tls_wanted_configured(wanted, service))
		return diag_set(d, -EBUSY, service,
				"take it out of capture.tls, and send vowd a SIGHUP",
				"the configuration has it traced, not a command");
	return diag_set(d, -ENOENT, service, "vow trace-tls lists what is traced",
			"it is not traced by command");
}

static struct tls_asked *asked_place(struct tls_wanted *wanted)
{
	for (unsigned i = 0; i < TLS_ASKED_MAX; i++)
		if (!wanted->asked[i].until_at)
			return &wanted->asked[i];
	return NULL;
}

int tls_wanted_order(struct tls_wanted *wanted, const struct trace_order *order, mono_ns now,
		     wall_ns wall, struct diag *d)
{
	struct tls_asked *asked;

	if (!order->lasts)
		return asked_end(wanted, order->service, d);
	if (!wanted->config->tls_on_demand)
		return diag_set(
			d, -ENOTSUP, order->service,
			"set capture.tls_on_demand: true, and start vowd again: only then it "
			"keeps the right to probe processes",
			"the configuration does not allow tracing by command");
	asked = asked_find(wanted, order->service);
	if (!asked) {
		asked = asked_place(wanted);
		if (!asked)
			return diag_set(d, -ENOSPC, order->service,
					"end one with --off, or name them in capture.tls",
					"%d services are traced by command already", TLS_ASKED_MAX);
		*asked = (struct tls_asked){.since = wall};
		snprintf(asked->service, sizeof(asked->service), "%s", order->service);
	}
	asked->until = wall + order->lasts;
	asked->until_at = now + order->lasts;
	return 0;
}

void tls_wanted_expire(struct tls_wanted *wanted, mono_ns now)
{
	for (unsigned i = 0; i < TLS_ASKED_MAX; i++)
		if (wanted->asked[i].until_at <= now)
			wanted->asked[i].until_at = 0;
}

unsigned tls_wanted_reload(struct tls_wanted *wanted, const struct vow_config *config)
{
	unsigned ended = 0;

	wanted->config = config;
	for (unsigned i = 0; !config->tls_on_demand && i < TLS_ASKED_MAX; i++) {
		ended += wanted->asked[i].until_at != 0;
		wanted->asked[i].until_at = 0;
	}
	return ended;
}
