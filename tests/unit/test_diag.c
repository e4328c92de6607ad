/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/diag.h"
#include "tests/unit/check.h"

CHECK_TEST(test_set_fills_all_and_returns_err)
{
	struct diag d;
	char line[700];

	CHECK_RC(diag_set(&d, -EINVAL, "vow.yaml:12", "did you mean 'a'?", "unknown key '%s'", "b"),
		 -EINVAL);
	CHECK_EQ_I64(d.err, -EINVAL);
	CHECK_STR(diag_format(&d, line, sizeof(line)),
		  "vow.yaml:12: unknown key 'b' (did you mean 'a'?)");
}

CHECK_TEST(test_absent_parts_leave_no_punctuation)
{
	struct diag d;
	char line[700];

	diag_set(&d, -EIO, NULL, NULL, "broken");
	CHECK_STR(diag_format(&d, line, sizeof(line)), "broken");
}

CHECK_TEST(test_errno_text_follows_what)
{
	struct diag d;
	char line[700];

	CHECK_RC(diag_errno(&d, -ENOENT, "/x", "", "cannot open"), -ENOENT);
	CHECK_STR(diag_format(&d, line, sizeof(line)),
		  "/x: cannot open: No such file or directory");
	diag_errno(&d, -ENOENT, "/x", "make it first", "cannot open");
	CHECK_STR(d.fix, "make it first");
}

CHECK_TEST(test_errno_says_what_helps_where_the_caller_does_not)
{
	struct diag d;

	diag_errno(&d, -EMFILE, "/x", NULL, "cannot open");
	CHECK_STR_HAS(d.fix, "ulimit -n");
	diag_errno(&d, -EACCES, "/x", NULL, "cannot open");
	CHECK_STR_HAS(d.fix, "root");
	diag_errno(&d, -EPIPE, "/x", NULL, "cannot write");
	CHECK_STR(d.fix, "");
}

CHECK_TEST(test_no_diag_is_allowed)
{
	CHECK_RC(diag_set(NULL, -EPERM, "a", "b", "c"), -EPERM);
	CHECK_RC(diag_errno(NULL, -EPERM, "a", "b", "c"), -EPERM);
}

CHECK_TEST(test_long_texts_are_cut_and_ended)
{
	struct diag d;
	char text[1000], line[20];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	diag_set(&d, -EINVAL, text, text, "%s", text);
	CHECK_EQ_U64(strlen(d.where), sizeof(d.where) - 1);
	CHECK_EQ_U64(strlen(d.what), sizeof(d.what) - 1);
	CHECK_EQ_U64(strlen(d.fix), sizeof(d.fix) - 1);
	CHECK_EQ_U64(strlen(diag_format(&d, line, sizeof(line))), sizeof(line) - 1);
}

CHECK_MAIN("diag", test_set_fills_all_and_returns_err, test_absent_parts_leave_no_punctuation,
	   test_errno_text_follows_what, test_errno_says_what_helps_where_the_caller_does_not,
	   test_no_diag_is_allowed, test_long_texts_are_cut_and_ended)
