/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "lib/base/units.h"
#include "lib/model/alert.h"

/* Share of bad events that a page should not sleep through; judgement by experience. */
#define REMARKS_BREACH 0.3

struct remarks {
	const struct vow_config *config;
	config_remark_fn fn;
	void *arg;
	unsigned doubts;
};

static void remarks_tell(struct remarks *remarks, struct diag *remark)
{
	remarks->doubts += remark->err != 0;
	if (remarks->fn)
		remarks->fn(remarks->arg, remark);
}

/* "vow.yaml: objective 'checkout'" */
static void remarks_where(const struct remarks *remarks, const char *what, const char *name,
			  char *where, size_t room)
{
	const char *path = remarks->config->path, *slash = strrchr(path, '/');

	snprintf(where, room, "%.60s: %s '%.70s'",
		 slash	 ? slash + 1
		 : *path ? path
			 : "defaults",
		 what, name);
}

/* ---- objectives ------------------------------------------------------------------------------ */

static void remarks_never(struct remarks *remarks, const struct objective *objective,
			  const char *where)
{
	char most[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX], target[UNITS_TEXT_MAX], fix[120];
	struct diag remark;

	snprintf(fix, sizeof(fix), "choose a burn_rate below %s; 4 suits most loose objectives",
		 units_format_number(1 / (1 - objective->target_ratio), most));
	diag_set(&remark, -EINVAL, where, fix,
		 "the alert can never fire: with a target of %s the budget burns at most %s times "
		 "too fast, the burn_rate is %s",
		 units_format_ratio(objective->target_ratio, target), most,
		 units_format_number(objective->burn_rate, rate));
	remarks_tell(remarks, &remark);
}

static void remarks_asleep(struct remarks *remarks, const struct objective *objective,
			   const char *where)
{
	char needed[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX], share[UNITS_TEXT_MAX];
	struct diag remark;

	diag_set(&remark, -EINVAL, where, "lower the burn_rate",
		 "sleeps through %s of bad events: it needs %s of them, and then %s when all are",
		 units_format_ratio(REMARKS_BREACH, share),
		 units_format_ratio(objective->burn_rate * (1 - objective->target_ratio), needed),
		 units_format_duration(alert_time_to_fire(objective, 1), total));
	remarks_tell(remarks, &remark);
}

static void remarks_speed(struct remarks *remarks, const struct objective *objective,
			  const char *where)
{
	char total[UNITS_TEXT_MAX], partly[UNITS_TEXT_MAX], share[UNITS_TEXT_MAX];
	struct diag remark;

	diag_set(&remark, 0, where, NULL,
		 "alert fires %s after all events turn bad, %s after %s do",
		 units_format_duration(alert_time_to_fire(objective, 1), total),
		 units_format_duration(alert_time_to_fire(objective, REMARKS_BREACH), partly),
		 units_format_ratio(REMARKS_BREACH, share));
	remarks_tell(remarks, &remark);
}

static void remarks_alert(struct remarks *remarks, const struct objective *objective)
{
	char where[160];

	remarks_where(remarks, "objective", objective->name, where, sizeof(where));
	if (alert_time_to_fire(objective, 1) == ALERT_NEVER)
		remarks_never(remarks, objective, where);
	else if (alert_time_to_fire(objective, REMARKS_BREACH) == ALERT_NEVER)
		remarks_asleep(remarks, objective, where);
	else
		remarks_speed(remarks, objective, where);
}

/* Different thresholds of objectives before the i-th, and its own, that one series may meet. */
static unsigned remarks_thresholds(const struct policy *policy, unsigned i)
{
	const struct objective *objective = &policy->objectives[i];
	unsigned count = 1;

	for (unsigned k = 0; k < i; k++) {
		const struct objective *other = &policy->objectives[k];
		bool known = other->threshold_ns == POLICY_NO_THRESHOLD ||
			     other->threshold_ns == objective->threshold_ns ||
			     !selector_overlaps(&other->selector, &objective->selector);

		for (unsigned m = 0; m < k && !known; m++)
			known = policy->objectives[m].threshold_ns == other->threshold_ns &&
				selector_overlaps(&policy->objectives[m].selector,
						  &objective->selector);
		count += !known;
	}
	return count;
}

static void remarks_exactness(struct remarks *remarks, unsigned i)
{
	const struct objective *objective = &remarks->config->policy.objectives[i];
	unsigned count = remarks_thresholds(&remarks->config->policy, i);
	struct diag remark;
	char where[160];

	if (objective->threshold_ns == POLICY_NO_THRESHOLD || count <= SERIES_THRESHOLDS)
		return;
	remarks_where(remarks, "objective", objective->name, where, sizeof(where));
	diag_set(&remark, -EINVAL, where, "use fewer thresholds for the same series",
		 "its threshold is the %uth for some series, which count %d exactly: it is decided "
		 "by histogram there, to half a per cent",
		 count, SERIES_THRESHOLDS);
	remarks_tell(remarks, &remark);
}

/* ---- route templates ------------------------------------------------------------------------- */

static bool remarks_is_rest(const char *segment)
{
	return segment[0] == '*' && !segment[1];
}

/* Every path that fits `late` fits `early`, which comes before it. */
static bool remarks_covers(const char *early, const char *late)
{
	while (*early == '/' && *late == '/') {
		size_t early_length, late_length;

		early++;
		late++;
		if (remarks_is_rest(early))
			return *late != '\0';
		if (remarks_is_rest(late))
			return false;
		early_length = strcspn(early, "/");
		late_length = strcspn(late, "/");
		if (early[0] == '{'
			    ? !late_length
			    : early_length != late_length || memcmp(early, late, late_length) != 0)
			return false;
		early += early_length;
		late += late_length;
	}
	return !*early && !*late;
}

static void remarks_hidden(struct remarks *remarks, size_t i)
{
	const struct route_template *late = &remarks->config->templates[i];

	for (size_t k = 0; k < i; k++) {
		const struct route_template *early = &remarks->config->templates[k];
		struct diag remark;
		char where[160];

		if ((early->service[0] && strcmp(early->service, late->service) != 0) ||
		    !remarks_covers(early->pattern, late->pattern))
			continue;
		remarks_where(remarks, "route", late->pattern, where, sizeof(where));
		diag_set(&remark, -EINVAL, where, "put it before the other one, or take it out",
			 "no path gets this name: all that fit it fit '%s' before it",
			 early->pattern);
		remarks_tell(remarks, &remark);
		return;
	}
}

/* ---- capturing -------------------------------------------------------------------------------- */

static void remarks_untraced(struct remarks *remarks)
{
	const struct vow_config *config = remarks->config;
	struct diag remark;
	char where[160];

	if (!config->capture_http || config->http_tier != 'C' || !config->tls_allowed)
		return;
	remarks_where(remarks, "capture", "http_tier", where, sizeof(where));
	diag_set(&remark, -EINVAL, where, "take one of the two out",
		 "tier C reads no requests within TLS, which %s for",
		 config->tls_on_demand ? "tls_on_demand asks" : "tls asks");
	remarks_tell(remarks, &remark);
}

unsigned config_remarks(const struct vow_config *config, config_remark_fn fn, void *arg)
{
	struct remarks remarks = {.config = config, .fn = fn, .arg = arg};

	for (unsigned i = 0; i < config->policy.objective_count; i++) {
		remarks_alert(&remarks, &config->policy.objectives[i]);
		remarks_exactness(&remarks, i);
	}
	for (size_t i = 0; i < config->template_count; i++)
		remarks_hidden(&remarks, i);
	remarks_untraced(&remarks);
	return remarks.doubts;
}
