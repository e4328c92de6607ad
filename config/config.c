/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/convert.h"
#include "config/mistakes.h"
#include "lib/base/fd.h"

#define CONFIG_SIZE_MAX	    (1 << 20) /* a file of 10,000 routes has half of it */
#define CONFIG_PATH_DEFAULT "/etc/vow/vow.yaml"

/* See docs/adr/http-budget.md. What a sanitizer makes of vowd says nothing about its share. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HTTP_BUDGET_RATIO 0
#else
#define HTTP_BUDGET_RATIO 0.2
#endif

static void config_defaults(struct vow_config *config)
{
	config->capture_http = true;
	config->capture_lanes = true;
	config->keep_patience = NS_PER_H;
	config->capture_host = true;
	config->capture_traces = true;
	config->capture_peer_names = true;
	config->delivery_ids =
		(struct header_names){{"webhook-id", "Idempotency-Key", "X-*-Delivery"}, 3};
	config->event_types = (struct header_names){{"X-GitHub-Event", "Stripe-Signature"}, 2};
	config->delivery_quiet = 5 * NS_PER_MIN;
	config->http_ring_bytes = 1 << 20;
	config->http_budget_ratio = HTTP_BUDGET_RATIO;
	config->http_busy_per_s = 1000;
	config->routes_per_service = 200;
	config->series_max = 4096;
	config->forget_agents = 30 * 24 * NS_PER_H;
	config->journal_segment_bytes = 8 << 20;
	config->journal_budget_bytes = 256 << 20;
	config->journal_free_bytes = 64 << 20;
	config->journal_age = 7 * 24 * NS_PER_H;
	policy_defaults(&config->policy);
	if (gethostname(config->host, sizeof(config->host)) < 0 || !config->host[0])
		strcpy(config->host, "localhost");
	config->host[sizeof(config->host) - 1] = '\0';
}

static int config_read(const char *text, size_t size, struct vow_config *config,
		       struct mistakes *mistakes, struct diag *d)
{
	struct document *document;
	struct raw_config *raw = NULL;
	int rc = document_parse(text, size, config->path, &document, d);

	if (rc < 0)
		return rc;
	rc = schema_load(document, text, size, &raw, mistakes, d);
	if (rc == 0)
		rc = convert(document, raw, config, mistakes, d);
	schema_free(raw);
	document_free(document);
	return rc;
}

static int config_read_file(const char *path, struct vow_config *config, struct mistakes *mistakes,
			    struct diag *d)
{
	char *text = NULL;
	size_t size;
	int rc;

	if (strlen(path) >= sizeof(config->path))
		return diag_set(d, -ENAMETOOLONG, "", NULL,
				"the path of the configuration is too long");
	strcpy(config->path, path);
	rc = fd_read_file(path, CONFIG_SIZE_MAX, &text, &size, d);
	if (rc < 0)
		return rc;
	rc = config_read(text, size, config, mistakes, d);
	/* It may hold secrets. */
	explicit_bzero(text, size);
	free(text);
	return rc;
}

static int config_open(const char *path, struct vow_config **config, struct mistakes *mistakes,
		       struct diag *d)
{
	struct vow_config *fresh = calloc(1, sizeof(*fresh));
	int rc = 0;

	if (!fresh)
		return diag_set(d, -ENOMEM, path, NULL, "no memory for the configuration");
	config_defaults(fresh);
	if (path)
		rc = config_read_file(path, fresh, mistakes, d);
	if (rc < 0) {
		config_free(fresh);
		return rc;
	}
	*config = fresh;
	return 0;
}

int config_load(const char *path, struct vow_config **config, struct diag *d)
{
	struct mistakes mistakes = {0};

	return config_open(path, config, &mistakes, d);
}

int config_check(const char *path, struct vow_config **config, config_remark_fn fn, void *arg,
		 struct diag *d)
{
	struct mistakes mistakes = {.fn = fn, .arg = arg};
	int rc = config_open(path, config, &mistakes, d);

	/* What the text itself is no YAML by ends it, and was not told yet. */
	if (rc == -EINVAL && !mistakes.count)
		fn(arg, d);
	return rc;
}

void config_free(struct vow_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->receiver_count; i++)
		explicit_bzero(config->receivers[i].secret, sizeof(config->receivers[i].secret));
	free(config->services);
	free(config->templates);
	free(config->peers);
	free(config->receivers);
	free(config);
}

const char *config_find(const char *explicit_path, const char *dir, char buf[512])
{
	if (explicit_path)
		return explicit_path;
	if (!dir)
		snprintf(buf, 512, "%s", CONFIG_PATH_DEFAULT);
	else if (snprintf(buf, 512, "%s/vow.yaml", dir) >= 512)
		return NULL;
	return access(buf, F_OK) == 0 ? buf : NULL;
}
