/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/columns.h"
#include "cli/figure.h"
#include "cli/show.h"
#include "cli/table.h"
#include "tests/unit/check.h"

static char figure[STR_FIGURE_SIZE];

#define RATE(count, s) figure_rate(figure, sizeof(figure), count, s)
#define SHARE(ratio)   figure_share(figure, sizeof(figure), ratio)
#define GAUGE(name, v) figure_gauge(figure, sizeof(figure), name, v)

CHECK_TEST(test_rates_have_three_digits_and_a_unit)
{
	CHECK_STR(RATE(0, 10), "0.00 /s");
	CHECK_STR(RATE(5, 10), "0.50 /s");
	CHECK_STR(RATE(123, 10), "12.3 /s");
	CHECK_STR(RATE(9996, 10), "1.00 k/s");
	CHECK_STR(RATE(34140, 10), "3.41 k/s");
	CHECK_STR(RATE(5, 0), "-");
}

CHECK_TEST(test_shares_are_never_rounded_up_to_a_promise)
{
	CHECK_STR(SHARE(1), "100 %");
	CHECK_STR(SHARE(0.99996), "99.99 %");
	CHECK_STR(SHARE(0.9993), "99.93 %");
	CHECK_STR(SHARE(0.95), "95.00 %");
	CHECK_STR(SHARE(0.00001), "<0.01 %");
	CHECK_STR(SHARE(0), "0 %");
	CHECK_STR(SHARE(-1.5), "-150 %");
	/* 0.07 * 10000 is 700.0000000000001, 0.29 * 10000 is 2899.9999999999995. */
	CHECK_STR(SHARE(0.29), "29.00 %");
}

CHECK_TEST(test_ages_and_gauges_show_the_unit_of_their_name)
{
	CHECK_STR(figure_age(figure, sizeof(figure), 0, 5), "-");
	CHECK_STR(figure_age(figure, sizeof(figure), NS_PER_S, 60 * NS_PER_S), "59 s");
	CHECK_STR(figure_age(figure, sizeof(figure), 1, 3 * NS_PER_H + 1), "3 h");
	CHECK_STR(figure_age(figure, sizeof(figure), 9, 5), "0 s");
	CHECK_STR(GAUGE("cpu_ratio", 0.256), "25.6 %");
	CHECK_STR(GAUGE("memory_bytes", 1.5 * 1024 * 1024), "1.50 MiB");
	CHECK_STR(GAUGE("oldest_ns", 2e9), "2.00 s");
	CHECK_STR(GAUGE("age_s", 0.25), "250 ms");
	CHECK_STR(GAUGE("segments_per_s", 12.5), "12.50 /s");
	CHECK_STR(GAUGE("run_queue_wait_s_per_s", 0.029), "29.0 ms/s");
	CHECK_STR(GAUGE("queue_depth", 17), "17");
	CHECK_STR(GAUGE("load", 0.25), "0.250");
	CHECK_STR(GAUGE("temperature_bytes", -3), "-3");
}

CHECK_TEST(test_widths_are_those_of_a_terminal)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		SKIP("no locale C.UTF-8 here");
	CHECK_EQ_U64(columns_of("abc"), 3);
	CHECK_EQ_U64(columns_of("caf\xc3\xa9"), 4);
	CHECK_EQ_U64(columns_of("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two wide characters */
	CHECK_EQ_U64(columns_of("e\xcc\x81"), 1); /* a combining accent */
	CHECK_EQ_U64(columns_of("\xff"), 1);
	CHECK_EQ_U64(columns_fit("\xe6\x97\xa5\xe6\x9c\xac", 3), 3);
}

/* The lines of text with a bar behind each. */
static const char *wrapped(const char *text, unsigned columns)
{
	static char lines[256];
	size_t next, used = 0;

	do {
		size_t bytes = columns_wrap(text, columns, &next);

		memcpy(lines + used, text, bytes);
		used += bytes;
		lines[used++] = '|';
		CHECK(next > 0 || !*text);
		text += next;
	} while (*text);
	lines[used] = '\0';
	return lines;
}

CHECK_TEST(test_lines_end_between_words_and_hardly_behind_a_number)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		SKIP("no locale C.UTF-8 here");
	CHECK_STR(wrapped("slow or failed", 14), "slow or failed|");
	CHECK_STR(wrapped("slow or failed", 13), "slow or|failed|");
	CHECK_STR(wrapped("of 496 requests in 10 s", 9), "of|496|requests|in 10 s|");
	CHECK_STR(wrapped("of 4 requests in 10 s", 10), "of|4 requests|in 10 s|");
	CHECK_STR(wrapped("unbreakable", 4), "unbr|eaka|ble|");
	CHECK_STR(wrapped("caf\xc3\xa9  au lait  ", 7), "caf\xc3\xa9|au lait|");
	CHECK_STR(wrapped("\xe6\x97\xa5\xe6\x9c\xac", 3), "\xe6\x97\xa5|\xe6\x9c\xac|");
	/* No line has room for a wide character: it gets one all the same. */
	CHECK_STR(wrapped("\xe6\x97\xa5", 1), "\xe6\x97\xa5|");
	CHECK_STR(wrapped("", 5), "|");
}

CHECK_TEST(test_what_follows_the_first_line_is_indented_like_it)
{
	const char *reason = "burns 7 times\n too fast for this service";
	char text[256];
	FILE *to = fmemopen(text, sizeof(text), "w");
	struct show show = {.to = to, .width = 30, .line_end = "\n"};

	fputs("fire: ", to);
	show_wrapped(&show, 6, reason);
	fclose(to);
	CHECK_STR(text, "fire: burns 7 times\\x0a too\n      fast for this service\n");
	CHECK_EQ_U64(show_wrapped_lines(&show, 6, reason), 2);
	/* Where hardly anything would fit, and where nobody said how much, nothing is broken. */
	show.width = 25;
	CHECK_EQ_U64(show_wrapped_lines(&show, 6, reason), 1);
	show.width = 0;
	CHECK_EQ_U64(show_wrapped_lines(&show, 6, reason), 1);
}

static const struct table_column columns[] = {
	{"NAME", TABLE_LEFT, 4, 0},
	{"NEVER", TABLE_LEFT, 0, 0},
	{"LESS", TABLE_LEFT, 0, 1},
	{"N", TABLE_RIGHT, 0, 0},
};

static const char *table_text(unsigned width, bool colour)
{
	static char text[1024];
	struct table_print how = {.width = width, .colour = colour};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	FILE *to = fmemopen(text, sizeof(text), "w");

	table_foreign(table, TABLE_BOLD, "caf\xc3\xa9\033[2J");
	table_cell(table, TABLE_PLAIN, "%s", "");
	table_cell(table, TABLE_PLAIN, "x");
	table_cell(table, TABLE_BAD, "%d", 7);
	table_foreign(table, TABLE_PLAIN, "\xe6\x97\xa5\xe6\x9c\xac");
	table_cell(table, TABLE_PLAIN, "%s", "");
	table_cell(table, TABLE_PLAIN, "yy");
	table_cell(table, TABLE_PLAIN, "1234");
	table_print(table, &how, to);
	fclose(to);
	table_free(table);
	return text;
}

CHECK_TEST(test_columns_align_by_width_and_empty_ones_are_left_out)
{
	CHECK_STR(table_text(0, false), "NAME         LESS     N\n"
					"caf\xc3\xa9\\x1b[2J  x        7\n"
					"\xe6\x97\xa5\xe6\x9c\xac         yy    1234\n");
}

CHECK_TEST(test_narrow_screen_cuts_then_leaves_out_the_least_important)
{
	CHECK_STR(table_text(20, false), "NAME      LESS     N\n"
					 "caf\xc3\xa9\\x1\xe2\x80\xa6  x        7\n"
					 "\xe6\x97\xa5\xe6\x9c\xac      yy    1234\n");
	/* Even cut to 4 columns the name leaves no room for LESS. */
	CHECK_STR(table_text(15, false), "NAME          N\n"
					 "caf\xc3\xa9\\x1b\xe2\x80\xa6     7\n"
					 "\xe6\x97\xa5\xe6\x9c\xac       1234\n");
	/* A wide character that does not fit leaves its column empty. */
	CHECK_STR_HAS(table_text(10, false), "caf\xe2\x80\xa6     7\n");
}

CHECK_TEST(test_colour_stands_around_cells_only_when_wanted)
{
	CHECK_STR_HAS(table_text(0, true),
		      "\033[1mcaf\xc3\xa9\\x1b[2J\033[0m  x     \033[31m   7\033[0m\n");
	CHECK(!strchr(table_text(0, false), '\033'));
}

CHECK_TEST(test_frames_are_read_whole_and_within_a_limit)
{
	static const uint8_t bytes[] = {1, 2, 3};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0x7f};
	uint8_t *got = NULL;
	size_t size;
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_OK(ask_send(pair[0], bytes, sizeof(bytes)));
	CHECK_OK(ask_receive(pair[1], 16, NS_PER_S, &got, &size));
	CHECK_EQ_U64(size, 3);
	CHECK_MEM(got, bytes, 3);
	free(got);
	CHECK_RC(ask_receive(pair[1], 16, NS_PER_MS, &got, &size), -ETIMEDOUT);
	CHECK_EQ_U64((uint64_t)write(pair[0], huge, sizeof(huge)), sizeof(huge));
	CHECK_RC(ask_receive(pair[1], ASK_ANSWER_MAX, NS_PER_S, &got, &size), -EMSGSIZE);
	/* Half a frame, then the end. */
	CHECK_EQ_U64((uint64_t)write(pair[0], "\x05\0\0\0ab", 6), 6);
	close(pair[0]);
	CHECK_RC(ask_receive(pair[1], 16, NS_PER_S, &got, &size), -ECONNRESET);
	CHECK_RC(ask_send(pair[1], bytes, sizeof(bytes)), -EPIPE);
	close(pair[1]);
}

CHECK_TEST(test_foreign_text_cannot_steer_the_terminal)
{
	char text[256];
	FILE *to = fmemopen(text, sizeof(text), "w");
	struct show show = {.to = to, .line_end = "\n"};

	show_foreign(&show, "a\033]0;x\007\nb\xc2\x9b");
	fclose(to);
	CHECK_STR(text, "a\\x1b]0;x\\x07\\x0ab\\xc2\\x9b");
}

CHECK_MAIN("cli", test_rates_have_three_digits_and_a_unit,
	   test_shares_are_never_rounded_up_to_a_promise,
	   test_ages_and_gauges_show_the_unit_of_their_name, test_widths_are_those_of_a_terminal,
	   test_lines_end_between_words_and_hardly_behind_a_number,
	   test_what_follows_the_first_line_is_indented_like_it,
	   test_columns_align_by_width_and_empty_ones_are_left_out,
	   test_narrow_screen_cuts_then_leaves_out_the_least_important,
	   test_colour_stands_around_cells_only_when_wanted,
	   test_frames_are_read_whole_and_within_a_limit,
	   test_foreign_text_cannot_steer_the_terminal)
