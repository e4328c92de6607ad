/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *figure_rate(char *buf, size_t size, uint64_t count, double window_s)
{
	char figure[STR_FIGURE_SIZE];
	double rate = (double)count / window_s;
	size_t length;

	if (!(window_s > 0)) {
		snprintf(buf, size, "-");
	} else if (rate < 999.5) {
		snprintf(buf, size, "%.*f /s", rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0, rate);
	} else {
		str_format_count(figure, sizeof(figure), (uint64_t)(rate + 0.5));
		length = strlen(figure);
		/* "3.41 k" becomes "3.41 k/s". */
		snprintf(buf, size, "%.*s/s", (int)length, figure);
	}
	return buf;
}

const char *figure_share(char *buf, size_t size, double ratio)
{
	/* Half a millionth of a percent pays for what the division before lost. */
	double cut = floor(ratio * 10000 + 0.000001) / 100;

	if (ratio == 0 || ratio == 1)
		snprintf(buf, size, "%.0f %%", ratio * 100);
	else if (ratio > 0 && cut == 0)
		snprintf(buf, size, "<0.01 %%");
	else if (ratio < 0 || ratio >= 10)
		snprintf(buf, size, "%.0f %%", fmax(-99999, fmin(99999, ratio * 100)));
	else
		snprintf(buf, size, "%.2f %%", cut);
	return buf;
}

const char *figure_age(char *buf, size_t size, wall_ns then, wall_ns now)
{
	unsigned long long s = now > then ? (now - then) / NS_PER_S : 0;

	if (!then)
		snprintf(buf, size, "-");
	else if (s < 60)
		snprintf(buf, size, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, size, "%llu min", s / 60);
	else if (s < 2 * 86400)
		snprintf(buf, size, "%llu h", s / 3600);
	else
		snprintf(buf, size, "%llu d", s / 86400);
	return buf;
}

const char *figure_number(char *buf, size_t size, double value)
{
	if (fabs(value) >= 1e15 || !isfinite(value))
		snprintf(buf, size, "%.3g", value);
	else if (value == floor(value))
		snprintf(buf, size, "%.0f", value);
	else
		snprintf(buf, size, "%.*f", fabs(value) < 1 ? 3 : fabs(value) < 100 ? 2 : 1, value);
	return buf;
}

static bool figure_ends(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length >= tail && strcmp(name + length - tail, end) == 0;
}

const char *figure_gauge(char *buf, size_t size, const char *name, double value)
{
	bool whole = value >= 0 && value < 1e18;
	char number[STR_FIGURE_SIZE - 4];

	if (figure_ends(name, "_ratio"))
		snprintf(buf, size, "%.1f %%", fmax(-1e6, fmin(1e6, value * 100)));
	else if (whole && figure_ends(name, "_bytes"))
		str_format_bytes(buf, size, (uint64_t)value);
	else if (whole && figure_ends(name, "_ns"))
		str_format_dur(buf, size, (dur_ns)value);
	else if (value > 0 && value < 1e9 && figure_ends(name, "_s_per_s"))
		snprintf(
			buf, size, "%s/s",
			str_format_dur(number, sizeof(number), (dur_ns)(value * (double)NS_PER_S)));
	else if (figure_ends(name, "_per_s"))
		snprintf(buf, size, "%s /s", figure_number(number, sizeof(number), value));
	else if (value > 0 && value < 1e9 && figure_ends(name, "_s"))
		str_format_dur(buf, size, (dur_ns)(value * (double)NS_PER_S));
	else
		figure_number(buf, size, value);
	return buf;
}
