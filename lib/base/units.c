/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/units.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

static const char *units_skip(const char *p)
{
	return p + strspn(p, " \t");
}

static bool units_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number as whole plus billionths; further digits are cut. *p moves behind it. */
static int units_decimal(const char **p, uint64_t *whole, uint32_t *billionths)
{
	uint32_t place = 100 * 1000 * 1000;
	const char *c = *p;

	if (!units_is_digit(*c))
		return -EINVAL;
	*whole = 0;
	*billionths = 0;
	for (; units_is_digit(*c); c++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*c - '0'), whole))
			return -ERANGE;
	if (*c == '.') {
		if (!units_is_digit(*++c))
			return -EINVAL;
		for (; units_is_digit(*c); c++, place /= 10)
			*billionths += (uint32_t)(*c - '0') * place;
	}
	*p = c;
	return 0;
}

/* A number with an optional sign of per cent behind it. */
static int units_fraction(const char *text, bool *percent, double *number)
{
	const char *p = units_skip(text);
	uint32_t billionths;
	uint64_t whole;
	int rc = units_decimal(&p, &whole, &billionths);

	if (rc < 0)
		return rc;
	p = units_skip(p);
	*percent = *p == '%';
	if (*units_skip(p + *percent))
		return -EINVAL;
	*number = (double)whole + billionths / 1e9;
	return 0;
}

int units_parse_ratio(const char *text, double *ratio)
{
	double number;
	bool percent;
	int rc = units_fraction(text, &percent, &number);

	if (rc < 0)
		return rc;
	if (percent)
		number /= 100;
	if (number > 1)
		return -ERANGE;
	*ratio = number;
	return 0;
}

int units_parse_number(const char *text, double *number)
{
	double value;
	bool percent;
	int rc = units_fraction(text, &percent, &value);

	if (rc < 0)
		return rc;
	if (percent)
		return -EINVAL;
	*number = value;
	return 0;
}

/* Drops zeros at the end of a fraction, and a point that has nothing behind it. */
static void units_trim(char *text)
{
	size_t end = strlen(text);

	if (!strchr(text, '.'))
		return;
	while (text[end - 1] == '0')
		end--;
	if (text[end - 1] == '.')
		end--;
	text[end] = '\0';
}

const char *units_format_number(double number, char buf[UNITS_TEXT_MAX])
{
	double size = fabs(number);
	int places = 0;

	if (size > 0 && size < 99.95)
		places = (int)fmin(fmax(2 - floor(log10(size)), 0), 9);
	if (size < 1e15)
		snprintf(buf, UNITS_TEXT_MAX, "%.*f", places, number);
	else
		snprintf(buf, UNITS_TEXT_MAX, "%.3g", number);
	units_trim(buf);
	return buf;
}

const char *units_format_ratio(double ratio, char buf[UNITS_TEXT_MAX])
{
	char number[UNITS_TEXT_MAX];
	double percent = ratio * 100;

	units_format_number(percent, number);
	/* 99.97 % must not read as "100 %": a promise that was broken would look kept. */
	for (int places = 1; places <= 7 && ratio < 1 && !strcmp(number, "100"); places++) {
		snprintf(number, sizeof(number), "%.*f", places, percent);
		units_trim(number);
	}
	snprintf(buf, UNITS_TEXT_MAX, "%.28s %%", number);
	return buf;
}

const char *units_format_duration(dur_ns ns, char buf[UNITS_TEXT_MAX])
{
	char *unit, figure[UNITS_TEXT_MAX];

	str_format_dur(figure, sizeof(figure), ns);
	unit = strchr(figure, ' ');
	if (strchr(figure, '.') && unit) {
		*unit++ = '\0';
		units_trim(figure);
		snprintf(buf, UNITS_TEXT_MAX, "%.15s %.15s", figure, unit);
	} else {
		memcpy(buf, figure, sizeof(figure));
	}
	return buf;
}
