/* SPDX-License-Identifier: Apache-2.0 */
/* Records against the series they must belong to, whether it is remembered or named anew. */
#include <stdio.h>
#include <string.h>

#include "collectors/http/http_series.h"
#include "config/config.h"
#include "tests/unit/check.h"

#define AF_INET_V4 2 /* as the kernel writes it into a record */

static struct vow_config config = {.capture_peer_names = true};

struct names {
	struct series_table *table;
	struct http_series *series;
};

static struct names names_open(void)
{
	static const struct series_table_options options = {.series_max = 20000};
	struct names n = {.table = series_table_new(&options)};
	struct http_series_options series = {
		/* No process lives there: services are the commands of the records. */
		.table = n.table,
		.config = &config,
		.proc = "/nonexistent",
	};

	n.series = http_series_new(&series);
	CHECK(n.table && n.series);
	return n;
}

static void names_close(struct names *n)
{
	http_series_free(n->series);
	series_table_free(n->table);
}

static struct http_record record_of(const char *command, const char *path)
{
	struct http_record r = {
		.role = HTTP_SERVER,
		.method = HTTP_GET,
		.status = 200,
		.family = AF_INET_V4,
		.local_port = 80,
		.remote_address = {10, 0, 0, 7},
		.remote_port = 40000,
	};

	/* Names of commands are looked for by process. */
	for (const char *c = command; *c; c++)
		r.pid = r.pid * 31 + (unsigned char)*c;
	r.pid &= 0xffffff;
	snprintf(r.command, sizeof(r.command), "%s", command);
	memcpy(r.path, path, strlen(path));
	return r;
}

static const struct series_key *key_of(struct names *n, const struct http_record *r)
{
	struct series *s = http_series_of(n->series, r, NS_PER_S);

	CHECK(s);
	return series_key_of(s);
}

/* Asked twice, so that the second answer is a remembered one where that is possible. */
static void check_route(struct names *n, struct http_record r, const char *route)
{
	for (int i = 0; i < 2; i++)
		CHECK_STR(key_of(n, &r)->route, route);
}

CHECK_TEST(test_record_says_its_series)
{
	struct names n = names_open();
	struct http_record r = record_of("shop", "/orders/17");
	const struct series_key *key = key_of(&n, &r);

	CHECK_STR(key->service, "shop");
	CHECK_STR(key->method, "GET");
	CHECK_STR(key->route, "/orders/{id}");
	CHECK_STR(key->peer, "");
	CHECK_EQ_U64(key->kind, SERIES_HTTP);
	CHECK_EQ_U64(key->role, SERIES_SERVER);
	CHECK_EQ_U64(key->status_class, CLASS_2XX);
	CHECK(key_of(&n, &r) == key);
	names_close(&n);
}

CHECK_TEST(test_turns_within_tls_are_apart_from_requests)
{
	struct names n = names_open();
	struct http_record r = record_of("shop", "");
	const struct series_key *key, *shared;

	r.method = HTTP_METHOD_NONE;
	r.status = 0;
	r.flags = HTTP_TLS;
	key = key_of(&n, &r);
	CHECK(key_of(&n, &r) == key);
	CHECK_STR(key->route, "{tls}");
	CHECK_STR(key->method, "");
	CHECK_EQ_U64(key->kind, SERIES_TLS);
	CHECK_EQ_U64(key->status_class, CLASS_UNKNOWN);
	r.flags |= HTTP_TLS_SHARED;
	shared = key_of(&n, &r);
	CHECK(shared != key && key_of(&n, &r) == shared);
	CHECK_STR(shared->route, "{tls-h2}");
	r.flags = 0;
	CHECK_EQ_U64(key_of(&n, &r)->kind, SERIES_HTTP);
	names_close(&n);
}

CHECK_TEST(test_views_of_a_record_have_series_of_their_own)
{
	struct names n = names_open();
	struct http_record r = record_of("shop", "/orders/17");
	struct series *request = http_series_of(n.series, &r, NS_PER_S);
	struct series *user = http_series_user(n.series, &r, NS_PER_S);
	struct series *accept = http_series_opening(n.series, &r, NS_PER_S), *connect;

	CHECK(user != request && accept != request && accept != user);
	CHECK_STR(series_key_of(user)->route, "{user-visible}");
	CHECK_STR(series_key_of(user)->method, "");
	CHECK_EQ_U64(series_key_of(user)->kind, SERIES_USER);
	CHECK_EQ_U64(series_key_of(user)->status_class, CLASS_2XX);
	CHECK_STR(series_key_of(accept)->route, "{accept}");
	CHECK_EQ_U64(series_key_of(accept)->kind, SERIES_CONNECTION);
	CHECK_EQ_U64(series_key_of(accept)->status_class, CLASS_OK);
	/* Another request of the same service, and one within TLS. */
	r = record_of("shop", "bank:443");
	r.method = HTTP_CONNECT;
	CHECK_STR(key_of(&n, &r)->route, "{tunnel}");
	CHECK(http_series_user(n.series, &r, NS_PER_S) == user);
	r.status = 404;
	CHECK(http_series_opening(n.series, &r, NS_PER_S) == accept);
	CHECK(http_series_user(n.series, &r, NS_PER_S) != user);
	r.status = 0;
	r.flags = HTTP_TLS;
	CHECK_EQ_U64(series_key_of(http_series_user(n.series, &r, NS_PER_S))->status_class,
		     CLASS_UNKNOWN);
	r.role = HTTP_CLIENT;
	connect = http_series_opening(n.series, &r, NS_PER_S);
	CHECK_STR(series_key_of(connect)->route, "{connect}");
	CHECK_STR(series_key_of(connect)->peer, "10.0.0.7:40000");
	CHECK_EQ_U64(series_key_of(connect)->role, SERIES_CLIENT);
	names_close(&n);
}

CHECK_TEST(test_all_that_parts_series_is_told_apart)
{
	struct names n = names_open();
	struct http_record first = record_of("shop", "/orders"), r = first;
	const struct series_key *key = key_of(&n, &first);

	r.method = HTTP_POST;
	CHECK_STR(key_of(&n, &r)->method, "POST");
	r = first;
	r.status = 503;
	CHECK_EQ_U64(key_of(&n, &r)->status_class, CLASS_5XX);
	r = first;
	r.role = HTTP_CLIENT;
	CHECK_EQ_U64(key_of(&n, &r)->role, SERIES_CLIENT);
	CHECK_STR(key_of(&n, &r)->peer, "10.0.0.7:40000");
	r.remote_port = 8080;
	CHECK_STR(key_of(&n, &r)->peer, "10.0.0.7:8080");
	r.remote_address[3] = 8;
	CHECK_STR(key_of(&n, &r)->peer, "10.0.0.8:8080");
	r = record_of("booking", "/orders");
	CHECK_STR(key_of(&n, &r)->service, "booking");
	r = record_of("shop", "/order");
	CHECK_STR(key_of(&n, &r)->route, "/order");
	/* Where one text ends and the next begins, with the same bytes in a row. */
	r = record_of("eightlet", "/order");
	CHECK_STR(key_of(&n, &r)->service, "eightlet");
	r = record_of("eightlet/order", "");
	CHECK_STR(key_of(&n, &r)->service, "eightlet/order");
	/* Of a server, the client does not matter, nor does the very status. */
	r = first;
	r.remote_port = 50000;
	r.status = 204;
	CHECK(key_of(&n, &r) == key);
	names_close(&n);
}

/* A request on a connection to 10.0.0.LAST that says a name. */
static struct http_record named(uint8_t last, const char *name)
{
	struct http_record r = record_of("shop", "/orders");

	r.role = HTTP_CLIENT;
	r.remote_port = 443;
	r.remote_address[3] = last;
	memcpy(r.peer.words, name, strlen(name));
	return r;
}

CHECK_TEST(test_addresses_of_one_name_are_one_peer)
{
	struct names n = names_open();
	struct http_record r = named(7, "api.stripe.com");
	const struct series_key *key = key_of(&n, &r);

	CHECK_STR(key->peer, "api.stripe.com:443");
	CHECK(key_of(&n, &r) == key);
	r = named(8, "api.stripe.com");
	CHECK(key_of(&n, &r) == key);
	r = named(8, "");
	CHECK(key_of(&n, &r) == key);
	r = named(8, "files.stripe.com");
	CHECK_STR(key_of(&n, &r)->peer, "files.stripe.com:443");
	r = named(9, "");
	CHECK_STR(key_of(&n, &r)->peer, "10.0.0.9:443");
	/* All that is said of one request is said of the same peer. */
	r = named(7, "api.stripe.com");
	CHECK_STR(series_key_of(http_series_user(n.series, &r, NS_PER_S))->peer, key->peer);
	CHECK_STR(series_key_of(http_series_opening(n.series, &r, NS_PER_S))->peer, key->peer);
	r = named(7, "");
	CHECK_STR(series_key_of(http_series_of_sum(n.series, &r, NS_PER_S))->peer, key->peer);
	names_close(&n);
}

CHECK_TEST(test_peer_of_too_many_names_is_its_address_although_they_are_remembered)
{
	struct names n = names_open();

	for (unsigned round = 0; round < 2; round++)
		for (char c = 'a'; c <= 'e'; c++) {
			struct http_record r = named(7, (const char[]){c, '\0'});
			char expected[] = {c, ':', '4', '4', '3', '\0'};

			CHECK_STR(key_of(&n, &r)->peer,
				  round || c == 'e' ? "10.0.0.7:443" : expected);
		}
	names_close(&n);
}

CHECK_TEST(test_more_requests_than_are_remembered)
{
	struct names n = names_open();
	char path[64], route[64];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 3000; i++) {
			struct http_record r;

			snprintf(path, sizeof(path), "/part%c/%u", 'a' + (char)(i % 7), i);
			snprintf(route, sizeof(route), "/part%c/{id}", 'a' + (char)(i % 7));
			r = record_of(i % 3 ? "shop" : "booking", path);
			CHECK_STR(key_of(&n, &r)->route, route);
			CHECK_STR(key_of(&n, &r)->service, i % 3 ? "shop" : "booking");
		}
	}
	names_close(&n);
}

CHECK_TEST(test_path_that_is_found_later_gets_its_route)
{
	struct names n = names_open();
	struct http_record missing = record_of("shop", "/new");

	missing.status = 404;
	check_route(&n, missing, "{other}");
	check_route(&n, record_of("shop", "/new"), "/new");
	check_route(&n, missing, "/new");
	names_close(&n);
}

CHECK_TEST(test_share_of_other_counts_each_request)
{
	struct names n = names_open();
	struct http_record missing = record_of("shop", "/nothing");
	uint64_t asked, other;

	missing.status = 404;
	for (int i = 0; i < 5; i++) {
		check_route(&n, record_of("shop", "/orders"), "/orders");
		check_route(&n, missing, "{other}");
	}
	CHECK_EQ_U64(route_names_services(http_series_routes(n.series)), 1);
	CHECK_STR(route_names_share(http_series_routes(n.series), 0, &asked, &other), "shop");
	CHECK_EQ_U64(asked, 20);
	CHECK_EQ_U64(other, 10);
	names_close(&n);
}

CHECK_TEST(test_new_configuration_is_obeyed)
{
	struct route_template template = {.pattern = "/orders/{order}"};
	struct service_match match = {.service = "front", .port = 80};
	struct vow_config later = {.templates = &template,
				   .template_count = 1,
				   .services = &match,
				   .service_count = 1};
	struct names n = names_open();
	struct http_record r = record_of("shop", "/orders/17");

	check_route(&n, r, "/orders/{id}");
	http_series_reload(n.series, &later);
	check_route(&n, r, "/orders/{order}");
	CHECK_STR(key_of(&n, &r)->service, "front");
	names_close(&n);
}

CHECK_TEST(test_request_without_a_path_is_other)
{
	struct names n = names_open();
	struct http_record r = record_of("shop", "");

	check_route(&n, r, "{other}");
	names_close(&n);
}

CHECK_TEST(test_sum_without_paths_is_of_its_service)
{
	struct names n = names_open();
	struct http_record r = record_of("shop", "");
	const struct series_key *key = series_key_of(http_series_of_sum(n.series, &r, NS_PER_S));
	uint64_t asked, other;

	CHECK_STR(key->service, "shop");
	CHECK_STR(key->method, "GET");
	CHECK_STR(key->route, "{overflow}");
	CHECK_STR(key->peer, "");
	r.role = HTTP_CLIENT;
	r.status = 500;
	key = series_key_of(http_series_of_sum(n.series, &r, NS_PER_S));
	CHECK_STR(key->peer, "10.0.0.7:40000");
	CHECK_EQ_U64(key->status_class, CLASS_5XX);
	/* Of those for whom there was no place nothing more is known. */
	r.pid = 0;
	key = series_key_of(http_series_of_sum(n.series, &r, NS_PER_S));
	CHECK_STR(key->service, "{other}");
	CHECK_STR(key->peer, "");
	/* They are no part of the share of paths without a route. */
	check_route(&n, record_of("shop", "/orders"), "/orders");
	CHECK_EQ_U64(route_names_services(http_series_routes(n.series)), 1);
	route_names_share(http_series_routes(n.series), 0, &asked, &other);
	CHECK_EQ_U64(asked, 2); /* check_route() asks twice */
	CHECK_EQ_U64(other, 0);
	names_close(&n);
}

CHECK_TEST(test_memory_that_lacks_leaves_nothing_wrong)
{
	CHECK_ALLOC_LOOP(n)
	{
		static const struct series_table_options options = {0};
		struct series_table *table = series_table_new(&options);
		struct http_series_options all = {
			.table = table, .config = &config, .proc = "/nonexistent"};
		struct http_record r = record_of("shop", "/orders");
		struct http_series *series = table ? http_series_new(&all) : NULL;
		struct series *found = series ? http_series_of(series, &r, NS_PER_S) : NULL;

		/* Without memory for a route it is one of the others. */
		if (found && strcmp(series_key_of(found)->route, "{other}") != 0)
			CHECK_STR(series_key_of(found)->route, "/orders");
		http_series_free(series);
		if (table)
			series_table_free(table);
	}
}

CHECK_MAIN("http_series", test_record_says_its_series,
	   test_turns_within_tls_are_apart_from_requests,
	   test_views_of_a_record_have_series_of_their_own,
	   test_all_that_parts_series_is_told_apart, test_addresses_of_one_name_are_one_peer,
	   test_peer_of_too_many_names_is_its_address_although_they_are_remembered,
	   test_more_requests_than_are_remembered, test_path_that_is_found_later_gets_its_route,
	   test_share_of_other_counts_each_request, test_new_configuration_is_obeyed,
	   test_request_without_a_path_is_other, test_sum_without_paths_is_of_its_service,
	   test_memory_that_lacks_leaves_nothing_wrong)
