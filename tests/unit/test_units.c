/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "lib/base/units.h"
#include "tests/unit/check.h"

CHECK_TEST(test_shares_are_read)
{
	static const struct {
		const char *text;
		double ratio;
	} good[] = {
		{"95%", 0.95}, {"0.95", 0.95}, {"99.9 %", 0.999}, {" 100% ", 1},
		{"0", 0},      {"1", 1},       {"0.1%", 0.001},	  {"99.99999%", 0.9999999},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		double ratio = -1;

		CHECK_OK(units_parse_ratio(good[i].text, &ratio));
		CHECK_NEAR(ratio, good[i].ratio, 1e-15);
	}
}

CHECK_TEST(test_what_is_no_share_is_refused)
{
	static const char *const bad[] = {"",	  "%",	"x",	"95%%",	 "95 %x", "-1%",
					  "0.5.", ".5", "1e-2", "95,5%", "0x1",	  "nan"};
	double ratio = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_RC(units_parse_ratio(bad[i], &ratio), -EINVAL);
	CHECK_RC(units_parse_ratio("101%", &ratio), -ERANGE);
	CHECK_RC(units_parse_ratio("95", &ratio), -ERANGE);
	CHECK_RC(units_parse_ratio("99999999999999999999", &ratio), -ERANGE);
	CHECK_NEAR(ratio, 7, 0);
}

CHECK_TEST(test_numbers_are_read)
{
	double number = 7;

	CHECK_OK(units_parse_number("14.4", &number));
	CHECK_NEAR(number, 14.4, 1e-12);
	CHECK_OK(units_parse_number("200", &number));
	CHECK_NEAR(number, 200, 0);
	CHECK_RC(units_parse_number("5%", &number), -EINVAL);
	CHECK_RC(units_parse_number("five", &number), -EINVAL);
	CHECK_NEAR(number, 200, 0);
}

CHECK_TEST(test_spans_read_well_in_a_sentence)
{
	static const struct {
		dur_ns ns;
		const char *text;
	} cases[] = {
		{200 * NS_PER_MS, "200 ms"},
		{10 * NS_PER_S, "10 s"},
		{1500 * NS_PER_MS, "1.5 s"},
		{72 * NS_PER_S, "1 min 12 s"},
		{NS_PER_H, "1 h"},
		{30 * 24 * NS_PER_H, "30 d"},
		{500, "500 ns"},
		{100 * NS_PER_MS, "100 ms"},
		{0, "0 ns"},
		{1230 * NS_PER_MS, "1.23 s"},
	};
	char buf[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(units_format_duration(cases[i].ns, buf), cases[i].text);
	units_format_duration(UINT64_MAX, buf);
}

CHECK_TEST(test_shares_read_well_and_never_too_good)
{
	static const struct {
		double ratio;
		const char *text;
	} cases[] = {
		{0.312, "31.2 %"},   {1, "100 %"},
		{0.05, "5 %"},	     {0, "0 %"},
		{0.0002, "0.02 %"},  {0.997, "99.7 %"},
		{0.9997, "99.97 %"}, {0.999999, "99.9999 %"},
		{0.12345, "12.3 %"},
	};
	char buf[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(units_format_ratio(cases[i].ratio, buf), cases[i].text);
}

CHECK_TEST(test_numbers_read_well)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {
		{0.25, "0.25"}, {31.23, "31.2"}, {842, "842"},	 {12000, "12000"}, {6.249, "6.25"},
		{4, "4"},	{0, "0"},	 {-3.5, "-3.5"}, {1e18, "1e+18"},
	};
	char buf[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(units_format_number(cases[i].number, buf), cases[i].text);
}

CHECK_MAIN("units", test_shares_are_read, test_what_is_no_share_is_refused, test_numbers_are_read,
	   test_spans_read_well_in_a_sentence, test_shares_read_well_and_never_too_good,
	   test_numbers_read_well)
