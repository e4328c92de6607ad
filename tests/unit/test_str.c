/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "tests/unit/check.h"

CHECK_TEST(test_builder_cuts_at_its_room_and_remembers)
{
	char buf[8];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_put(&s, "abc");
	str_printf(&s, "%d", 12);
	CHECK(!s.cut);
	CHECK_STR(buf, "abc12");
	str_put(&s, "xyz");
	CHECK(s.cut);
	CHECK_STR(buf, "abc12xy");
	str_put(&s, "q");
	str_printf(&s, "q");
	CHECK_STR(buf, "abc12xy");
	CHECK_EQ_U64(s.length, 7);
}

CHECK_TEST(test_printf_that_does_not_fit_is_cut)
{
	char buf[6];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_printf(&s, "%s", "abcde");
	CHECK(!s.cut);
	str_init(&s, buf, sizeof(buf));
	str_printf(&s, "%s", "abcdef");
	CHECK(s.cut);
	CHECK_STR(buf, "abcde");
	CHECK_EQ_U64(s.length, 5);
}

static void check_escaped(const char *bytes, size_t size, const char *expected)
{
	char buf[128];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_put_escaped(&s, bytes, size);
	CHECK_STR(buf, expected);
	CHECK(!s.cut);
}

#define CHECK_ESCAPED(bytes, expected) check_escaped(bytes, sizeof(bytes) - 1, expected)

CHECK_TEST(test_escape_disarms_controls_and_keeps_text)
{
	CHECK_ESCAPED("/api/orders?", "/api/orders?");
	CHECK_ESCAPED("a\nb\r\t\0c", "a\\x0ab\\x0d\\x09\\x00c");
	CHECK_ESCAPED("\x1b[2J", "\\x1b[2J");
	CHECK_ESCAPED("a\\b", "a\\\\b");
	CHECK_ESCAPED("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		      "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	CHECK_ESCAPED("\xc2\x9b", "\\xc2\\x9b"); /* CSI of C1 */
	CHECK_ESCAPED("\xe2\x80\xae", "\\xe2\\x80\\xae"); /* right-to-left override */
	CHECK_ESCAPED("\x7f", "\\x7f");
}

CHECK_TEST(test_escape_shows_broken_utf8_byte_by_byte)
{
	CHECK_ESCAPED("\xc3", "\\xc3");
	CHECK_ESCAPED("\xc3(", "\\xc3(");
	CHECK_ESCAPED("\xc0\xaf", "\\xc0\\xaf");
	CHECK_ESCAPED("\xed\xa0\x80", "\\xed\\xa0\\x80");
	CHECK_ESCAPED("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	CHECK_ESCAPED("\xff\x80", "\\xff\\x80");
	CHECK_ESCAPED("\xe2\x82", "\\xe2\\x82");
}

CHECK_TEST(test_escape_leaves_no_half_of_anything)
{
	static const char text[] = "\xe2\x82\xac\x01\\";
	char buf[16];
	struct str s;

	for (size_t size = 1; size <= sizeof(buf); size++) {
		str_init(&s, buf, size);
		str_put_escaped(&s, text, sizeof(text) - 1);
		CHECK(s.length == 0 || s.length == 3 || s.length == 7 || s.length == 9);
		CHECK(s.cut == (size < 10));
	}
}

static const struct {
	const char *text;
	int rc;
	dur_ns dur;
} durations[] = {
	{"0", 0, 0},
	{"150ms", 0, 150 * NS_PER_MS},
	{"150 ms", 0, 150 * NS_PER_MS},
	{"1.5 s", 0, 1500 * NS_PER_MS},
	{"3 min", 0, 180 * NS_PER_S},
	{"3m", 0, 180 * NS_PER_S},
	{"1h30m", 0, 90 * NS_PER_MIN},
	{"1 h 30 min", 0, 90 * NS_PER_MIN},
	{"2 days", 0, 48 * NS_PER_H},
	{"0.25us", 0, 250},
	{"\xc2\xb5s", -EINVAL, 0},
	{"7\xc2\xb5s", 0, 7000},
	{"1.0000000019 s", 0, NS_PER_S + 1},
	{"18446744073709551615ns", 0, UINT64_MAX},
	{"18446744073709551616ns", -ERANGE, 0},
	{"213504d", -ERANGE, 0},
	{"18446744073709551615ns 1ns", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"5", -EINVAL, 0},
	{"ms", -EINVAL, 0},
	{"-5ms", -EINVAL, 0},
	{"5.ms", -EINVAL, 0},
	{"5 parsecs", -EINVAL, 0},
	{"5ms,", -EINVAL, 0},
	{"5 msec", -EINVAL, 0},
};

CHECK_TEST(test_durations_are_read_or_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		dur_ns dur = 42;
		int rc = str_parse_dur(durations[i].text, &dur);

		if (rc != durations[i].rc || dur != (rc ? 42 : durations[i].dur))
			CHECK_FAIL("\"%s\" gives %d and %llu ns", durations[i].text, rc,
				   (unsigned long long)dur);
	}
}

CHECK_TEST(test_numbers_and_sizes_are_read_or_refused)
{
	uint64_t n = 42;

	CHECK_OK(str_parse_u64("7", 1, 9, &n));
	CHECK_EQ_U64(n, 7);
	CHECK_OK(str_parse_u64("18446744073709551615", 0, UINT64_MAX, &n));
	CHECK_EQ_U64(n, UINT64_MAX);
	CHECK_RC(str_parse_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
	CHECK_RC(str_parse_u64("0", 1, 9, &n), -ERANGE);
	CHECK_RC(str_parse_u64("10", 1, 9, &n), -ERANGE);
	CHECK_RC(str_parse_u64("", 0, 9, &n), -EINVAL);
	CHECK_RC(str_parse_u64("-1", 0, 9, &n), -EINVAL);
	CHECK_RC(str_parse_u64("1x", 0, 9, &n), -EINVAL);
	CHECK_EQ_U64(n, UINT64_MAX);
	CHECK_OK(str_parse_bytes("4096", &n));
	CHECK_EQ_U64(n, 4096);
	CHECK_OK(str_parse_bytes("64 MiB", &n));
	CHECK_EQ_U64(n, 64 << 20);
	CHECK_OK(str_parse_bytes("1.5G", &n));
	CHECK_EQ_U64(n, UINT64_C(3) << 29);
	CHECK_RC(str_parse_bytes("1 MiB 1", &n), -EINVAL);
	CHECK_RC(str_parse_bytes("1 Mib", &n), -EINVAL);
	CHECK_RC(str_parse_bytes("99999999T", &n), -ERANGE);
}

CHECK_TEST(test_durations_are_written_for_people)
{
	static const struct {
		dur_ns dur;
		const char *text;
	} cases[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{1000, "1.00 us"},
		{15349, "15.3 us"},
		{999499, "999 us"},
		{999500, "1.00 ms"},
		{203 * NS_PER_MS, "203 ms"},
		{4210 * NS_PER_MS, "4.21 s"},
		{9996 * NS_PER_MS, "10.0 s"},
		{59949 * NS_PER_MS, "59.9 s"},
		{59950 * NS_PER_MS, "1 min"},
		{200 * NS_PER_S, "3 min 20 s"},
		{NS_PER_H - 1, "1 h"},
		{125 * NS_PER_MIN, "2 h 5 min"},
		{24 * NS_PER_H - 1, "1 d"},
		{76 * NS_PER_H, "3 d 4 h"},
	};
	char buf[STR_FIGURE_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(str_format_dur(buf, sizeof(buf), cases[i].dur), cases[i].text);
	CHECK_STR(str_format_dur(buf, sizeof(buf), UINT64_MAX), "213504 d");
}

CHECK_TEST(test_written_durations_read_back_within_what_they_show)
{
	char buf[STR_FIGURE_SIZE];

	for (dur_ns dur = 1; dur < UINT64_MAX / 8; dur += dur / 7 + 1) {
		dur_ns back;

		CHECK_OK(str_parse_dur(str_format_dur(buf, sizeof(buf), dur), &back));
		/* Half a second of a minute, half a minute of an hour; half an hour of a day. */
		CHECK_NEAR((double)back, (double)dur,
			   (double)dur * (dur < 23 * NS_PER_H ? 0.009 : 0.021));
		CHECK(dur >= 9999 * 24 * NS_PER_H || strlen(buf) <= 11);
	}
}

CHECK_TEST(test_counts_and_bytes_are_written_for_people)
{
	char buf[STR_FIGURE_SIZE];

	CHECK_STR(str_format_count(buf, sizeof(buf), 0), "0");
	CHECK_STR(str_format_count(buf, sizeof(buf), 999), "999");
	CHECK_STR(str_format_count(buf, sizeof(buf), 1200), "1.20 k");
	CHECK_STR(str_format_count(buf, sizeof(buf), 999499), "999 k");
	CHECK_STR(str_format_count(buf, sizeof(buf), 999500), "1.00 M");
	CHECK_STR(str_format_count(buf, sizeof(buf), 50000000), "50.0 M");
	CHECK_STR(str_format_count(buf, sizeof(buf), UINT64_MAX), "18.4 E");
	CHECK_STR(str_format_bytes(buf, sizeof(buf), 999), "999 B");
	CHECK_STR(str_format_bytes(buf, sizeof(buf), 1023), "1.00 KiB");
	CHECK_STR(str_format_bytes(buf, sizeof(buf), 1536), "1.50 KiB");
	CHECK_STR(str_format_bytes(buf, sizeof(buf), 12897485), "12.3 MiB");
	CHECK_STR(str_format_bytes(buf, sizeof(buf), UINT64_MAX), "16.0 EiB");
}

CHECK_TEST(test_nearest_name_is_found_and_far_ones_are_not)
{
	static const char *const names[] = {"objectives", "alerts", "scaling", "hub", "directory"};

	CHECK_STR(str_nearest("objektives", names, ARRAY_LEN(names)), "objectives");
	CHECK_STR(str_nearest("alrets", names, ARRAY_LEN(names)), "alerts");
	CHECK_STR(str_nearest("hbu", names, ARRAY_LEN(names)), "hub");
	CHECK_STR(str_nearest("dir", names, ARRAY_LEN(names)), "directory");
	CHECK(!str_nearest("xyz", names, ARRAY_LEN(names)));
	CHECK(!str_nearest("", names, ARRAY_LEN(names)));
	CHECK(!str_nearest("a", names, ARRAY_LEN(names)));
}

CHECK_MAIN("str", test_builder_cuts_at_its_room_and_remembers, test_printf_that_does_not_fit_is_cut,
	   test_escape_disarms_controls_and_keeps_text, test_escape_shows_broken_utf8_byte_by_byte,
	   test_escape_leaves_no_half_of_anything, test_durations_are_read_or_refused,
	   test_numbers_and_sizes_are_read_or_refused, test_durations_are_written_for_people,
	   test_written_durations_read_back_within_what_they_show,
	   test_counts_and_bytes_are_written_for_people,
	   test_nearest_name_is_found_and_far_ones_are_not)
