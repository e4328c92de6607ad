/* SPDX-License-Identifier: Apache-2.0 */
/* Names that connections say, and when they are believed. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "collectors/http/http_peers.h"
#include "tests/unit/check.h"

static const struct vow_config on = {.capture_peer_names = true};

/* A request to 10.0.0.LAST:443, on a connection that says so; "": nothing. */
static struct http_record asked(unsigned last, const char *said)
{
	struct http_record r = {
		.role = HTTP_CLIENT,
		.family = AF_INET,
		.remote_address = {10, 0, (uint8_t)(last >> 8), (uint8_t)last},
		.remote_port = 443,
	};

	memcpy(r.peer.words, said, strlen(said));
	return r;
}

static const char *name_of(struct http_peers *peers, unsigned last, const char *said)
{
	struct http_record r = asked(last, said);

	return http_peers_name(peers, &r);
}

CHECK_TEST(test_peer_is_what_the_connection_says)
{
	struct http_peers *peers = http_peers_new(&on);
	static const char zeros[HTTP_PEERS_TEXT] = "";
	const char *name;

	CHECK_STR(name_of(peers, 1, ""), "");
	CHECK_STR(name_of(peers, 1, "api.stripe.com"), "api.stripe.com:443");
	CHECK_STR(name_of(peers, 2, "api.stripe.com"), "api.stripe.com:443");
	name = name_of(peers, 3, "db_1.local-net:8080");
	CHECK_STR(name, "db_1.local-net:8080");
	CHECK(!memcmp(name + strlen(name), zeros, HTTP_PEERS_TEXT - strlen(name)));
	/* As long as it may be, with the longest port. */
	CHECK_STR(name_of(peers, 4, "a2345678901234567890123456789012345678901234567"),
		  "a2345678901234567890123456789012345678901234567:443");
	http_peers_free(peers);
}

CHECK_TEST(test_connection_without_a_name_is_one_like_the_others)
{
	struct http_peers *peers = http_peers_new(&on);

	name_of(peers, 1, "one.test");
	CHECK_STR(name_of(peers, 1, ""), "one.test:443");
	CHECK_STR(name_of(peers, 2, ""), "");
	/* Of two names it may be either. */
	name_of(peers, 1, "two.test");
	CHECK_STR(name_of(peers, 1, ""), "");
	CHECK_STR(name_of(peers, 1, "one.test"), "one.test:443");
	http_peers_free(peers);
}

CHECK_TEST(test_more_than_four_names_are_not_believed)
{
	struct http_peers *peers = http_peers_new(&on);
	struct http_record other_port = asked(1, "a.test");
	char said[16], expected[24];

	for (unsigned i = 0; i < HTTP_PEERS_NAMES; i++) {
		snprintf(said, sizeof(said), "%c.test", 'a' + i);
		snprintf(expected, sizeof(expected), "%s:443", said);
		CHECK_STR(name_of(peers, 1, said), expected);
	}
	CHECK_STR(name_of(peers, 1, "a.test"), "a.test:443");
	CHECK_STR(name_of(peers, 1, "e.test"), "");
	CHECK_STR(name_of(peers, 1, "a.test"), "");
	CHECK_STR(name_of(peers, 1, ""), "");
	CHECK_STR(name_of(peers, 2, "a.test"), "a.test:443");
	other_port.remote_port = 80;
	CHECK_STR(http_peers_name(peers, &other_port), "a.test:80");
	http_peers_free(peers);
}

CHECK_TEST(test_what_is_no_name_is_not_believed)
{
	static const char *const none[] = {
		"10.0.0.9",	  "10.0.0.9:443", "127.1",	"Api.test", "a b",	 "a/b",
		"a..b",		  ".a",		  "a.",		".",	    ":",	 ":443",
		"a.test:",	  "a.test:0",	  "a.test:080", "a:b",	    "a:1:2",	 "a:65536",
		"a:123456789012", "{other}",	  "a\x80",	"a\n",	    "x.test:4x", "a,b",
		"[::1]:80",	  "a@b",	  "<script>",	"a.test\r", "a;b",	 "a.1",
	};
	static const char *const names[] = {
		"a",   "localhost", "a-b",    "x1.y2",
		"1.a", "a:65535",   "0x7f.a", "xn--bcher-kva.example",
	};

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct http_peers *peers = http_peers_new(&on);

		if (name_of(peers, 1, none[i])[0])
			CHECK_FAIL("'%s' is a name", none[i]);
		/* It says nothing of others either. */
		CHECK_STR(name_of(peers, 1, ""), "");
		http_peers_free(peers);
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct http_peers *peers = http_peers_new(&on);

		CHECK(name_of(peers, 1, names[i])[0]);
		http_peers_free(peers);
	}
}

CHECK_TEST(test_kernel_that_fills_all_bytes_is_read_no_further)
{
	struct http_peers *peers = http_peers_new(&on);
	struct http_record r = asked(1, "");

	memset(&r.peer, 'a', sizeof(r.peer));
	CHECK_EQ_U64(strlen(http_peers_name(peers, &r)), HTTP_PEER_NAME + strlen(":443"));
	http_peers_free(peers);
}

CHECK_TEST(test_configuration_is_asked_first)
{
	struct peer_address bank = {.name = "bank", .bits = 128};
	struct vow_config config = {.capture_peer_names = true, .peers = &bank, .peer_count = 1};
	struct http_peers *peers;

	memcpy(bank.address, (uint8_t[]){[10] = 0xff, 0xff, 10, 0, 0, 1}, 16);
	peers = http_peers_new(&config);
	CHECK_STR(name_of(peers, 1, "api.bank.test"), "");
	CHECK_STR(name_of(peers, 1, ""), "");
	CHECK_STR(name_of(peers, 2, "api.bank.test"), "api.bank.test:443");
	http_peers_reload(peers, &on);
	CHECK_STR(name_of(peers, 2, ""), "");
	CHECK_STR(name_of(peers, 1, "api.bank.test"), "api.bank.test:443");
	http_peers_free(peers);
}

CHECK_TEST(test_only_peers_of_clients_over_networks_have_names)
{
	static const struct vow_config off = {0};
	struct http_peers *peers = http_peers_new(&on);
	struct http_record server = asked(1, "a.test"), local = server, six = server;

	server.role = HTTP_SERVER;
	CHECK_STR(http_peers_name(peers, &server), "");
	local.family = AF_UNIX;
	CHECK_STR(http_peers_name(peers, &local), "");
	six.family = AF_INET6;
	CHECK_STR(http_peers_name(peers, &six), "a.test:443");
	CHECK_STR(name_of(peers, 1, ""), "");
	http_peers_reload(peers, &off);
	CHECK_STR(http_peers_name(peers, &six), "");
	http_peers_free(peers);
}

CHECK_TEST(test_addresses_without_end_displace_those_that_are_not_asked)
{
	struct http_peers *peers = http_peers_new(&on);
	unsigned forgotten = 0;
	char said[24], expected[32];

	for (unsigned i = 1; i <= 10 * HTTP_PEERS_ADDRESSES; i++) {
		snprintf(said, sizeof(said), "n%u.test", i);
		snprintf(expected, sizeof(expected), "%s:443", said);
		CHECK_STR(name_of(peers, i, said), expected);
		CHECK_STR(name_of(peers, 0, i == 1 ? "kept.test" : ""), "kept.test:443");
	}
	for (unsigned i = 1; i <= 10 * HTTP_PEERS_ADDRESSES; i++)
		forgotten += !name_of(peers, i, "")[0];
	CHECK_GE_U64(forgotten, 9 * HTTP_PEERS_ADDRESSES);
	http_peers_free(peers);
}

CHECK_TEST(test_memory_that_lacks_gives_none)
{
	CHECK_ALLOC_LOOP(n)
	{
		http_peers_free(http_peers_new(&on));
	}
}

CHECK_MAIN("http_peers", test_peer_is_what_the_connection_says,
	   test_connection_without_a_name_is_one_like_the_others,
	   test_more_than_four_names_are_not_believed, test_what_is_no_name_is_not_believed,
	   test_kernel_that_fills_all_bytes_is_read_no_further, test_configuration_is_asked_first,
	   test_only_peers_of_clients_over_networks_have_names,
	   test_addresses_without_end_displace_those_that_are_not_asked,
	   test_memory_that_lacks_gives_none)
