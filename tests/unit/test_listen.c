/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that the hub listens on, and the names by which it may be asked there. */
#include <string.h>

#include "hub/listen.h"
#include "lib/base/types.h"
#include "tests/unit/check.h"

CHECK_TEST(test_host_headers_that_ask_for_this_host)
{
	static const char *const fine[] = {
		"localhost",	"localhost:7413", "LocalHost:1", "127.0.0.1", "127.0.0.1:65535",
		"127.1.2.3:80", "[::1]",	  "[::1]:7413",	 "dash",      "vow.example:443",
		"VOW.example",
	};
	static const char *const foreign[] = {
		"",
		":",
		":7413",
		"evil.example",
		"evil.example:7413",
		"localhost.evil.example",
		"127.0.0.1.evil.example:7413",
		"128.0.0.1",
		"10.0.0.1:7413",
		"[::2]:7413",
		"[fe80::1]",
		"vow.exampl",
		"vow.example.com",
		"dash,vow.example",
		"localhost:",
	};

	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (!listen_is_asked(fine[i], "127.0.0.1:7413", "dash,vow.example"))
			CHECK_FAIL("'%s' is refused", fine[i]);
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		if (listen_is_asked(foreign[i], "127.0.0.1:7413", "dash,vow.example"))
			CHECK_FAIL("'%s' is answered", foreign[i]);
	CHECK(!listen_is_asked("dash", "127.0.0.1:7413", NULL));
	CHECK(!listen_is_asked("dash", "127.0.0.1:7413", ""));
}

CHECK_TEST(test_names_may_have_spaces_between_them)
{
	static const char *const lists[] = {
		"dash, vow.example",
		" dash ,vow.example ",
		"dash vow.example",
		",dash,, vow.example,",
	};
	static const char *const foreign[] = {
		"", "[]", "[]:80", " ", "[ ]", " dash", "dash, vow.example"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		CHECK(listen_is_asked("dash:80", "127.0.0.1:7413", lists[i]));
		CHECK(listen_is_asked("vow.example", "127.0.0.1:7413", lists[i]));
		for (size_t k = 0; k < ARRAY_LEN(foreign); k++)
			if (listen_is_asked(foreign[k], "127.0.0.1:7413", lists[i]))
				CHECK_FAIL("'%s' is answered for '%s'", foreign[k], lists[i]);
	}
	CHECK(!listen_is_asked("[]", "127.0.0.1:7413", " "));
}

CHECK_TEST(test_name_that_the_hub_listens_on_is_its_own)
{
	CHECK(listen_is_asked("intern:99", "intern:7413", NULL));
	CHECK(!listen_is_asked("extern", "intern:7413", NULL));
}

CHECK_TEST(test_host_header_as_long_as_it_can_be_is_refused)
{
	char host[1000];

	for (size_t length = 200; length < sizeof(host); length++) {
		memset(host, 'a', length);
		host[length] = '\0';
		CHECK(!listen_is_asked(host, "127.0.0.1:7413", NULL));
	}
}

CHECK_TEST(test_only_loopback_is_reached_from_this_host_alone)
{
	CHECK(listen_is_loopback("127.0.0.1:0"));
	CHECK(listen_is_loopback("[::1]:0"));
	CHECK(!listen_is_loopback("0.0.0.0:0"));
	CHECK(!listen_is_loopback("[::]:0"));
	CHECK(!listen_is_loopback("nonsense"));
}

CHECK_MAIN("listen", test_host_headers_that_ask_for_this_host,
	   test_names_may_have_spaces_between_them, test_name_that_the_hub_listens_on_is_its_own,
	   test_host_header_as_long_as_it_can_be_is_refused,
	   test_only_loopback_is_reached_from_this_host_alone)
