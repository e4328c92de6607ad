/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/peer_text.h"
#include "tests/unit/check.h"

CHECK_TEST(test_addresses_are_written_by_their_family)
{
	static const struct {
		uint8_t address[16];
		uint16_t port;
		const char *text;
	} cases[] = {
		{{[10] = 0xff, 0xff, 10, 0, 0, 7}, 8080, "10.0.0.7:8080"},
		{{[10] = 0xff, 0xff, 0, 0, 0, 0}, 1, "0.0.0.0:1"},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 443, "[2001:db8::1]:443"},
		{{[15] = 1}, 65535, "[::1]:65535"},
		{{0}, 8080, ":8080"},
	};
	char text[PEER_TEXT_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(peer_text(cases[i].address, cases[i].port, text), cases[i].text);
}

CHECK_TEST(test_the_longest_address_fits)
{
	uint8_t address[16];
	char text[PEER_TEXT_MAX + 1];

	for (int i = 0; i < 16; i++)
		address[i] = 0xfe;
	CHECK_STR(peer_text(address, 65535, text),
		  "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
}

CHECK_TEST(test_a_configured_name_goes_before_the_address)
{
	static const struct peer_address peers[] = {
		{{[10] = 0xff, 0xff, 10, 0, 0, 7}, 128, 8080, "exact"},
		{{[10] = 0xff, 0xff, 10, 0, 128, 0}, 96 + 17, 0, "half"},
		{{0x20, 0x01, 0x0d, 0xb8}, 32, 443, "six"},
	};
	static const struct {
		uint8_t address[16];
		uint16_t port;
		const char *label;
	} cases[] = {
		{{[10] = 0xff, 0xff, 10, 0, 0, 7}, 8080, "exact"},
		{{[10] = 0xff, 0xff, 10, 0, 0, 7}, 8081, "10.0.0.7:8081"},
		{{[10] = 0xff, 0xff, 10, 0, 200, 9}, 1, "half"},
		{{[10] = 0xff, 0xff, 10, 0, 127, 9}, 1, "10.0.127.9:1"},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 9}, 443, "six"},
		{{0x20, 0x01, 0x0d, 0xb9, [15] = 9}, 443, "[2001:db9::9]:443"},
		{{0}, 8080, ":8080"},
	};
	char text[PEER_TEXT_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(peer_label(peers, 3, cases[i].address, cases[i].port, text),
			  cases[i].label);
}

CHECK_MAIN("peer_text", test_a_configured_name_goes_before_the_address,
	   test_addresses_are_written_by_their_family, test_the_longest_address_fits)
