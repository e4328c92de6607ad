/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/base/crc32c.h"
#include "tests/unit/check.h"

/* RFC 3720, appendix B.4, gives these four; the fifth is the check value of the catalogues. */
CHECK_TEST(test_published_vectors)
{
	unsigned char zero[32] = {0}, ones[32], up[32], down[32];

	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < 32; i++) {
		up[i] = (unsigned char)i;
		down[i] = (unsigned char)(31 - i);
	}
	CHECK_EQ_U64(crc32c(0, zero, 32), 0x8a9136aa);
	CHECK_EQ_U64(crc32c(0, ones, 32), 0x62a8ab43);
	CHECK_EQ_U64(crc32c(0, up, 32), 0x46dd794e);
	CHECK_EQ_U64(crc32c(0, down, 32), 0x113fdb5c);
	CHECK_EQ_U64(crc32c(0, "123456789", 9), 0xe3069283);
	CHECK_EQ_U64(crc32c_portable(0, up, 32), 0x46dd794e);
}

CHECK_TEST(test_both_ways_agree_at_every_length_offset_and_split)
{
	unsigned char data[80];
	uint32_t random = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (unsigned char)(random >> 24);
	}
	for (size_t from = 0; from < 9; from++) {
		for (size_t size = 0; from + size <= sizeof(data); size++) {
			uint32_t whole = crc32c_portable(0, data + from, size);
			uint32_t first = crc32c(0, data + from, size / 3);

			CHECK_EQ_U64(crc32c(0, data + from, size), whole);
			CHECK_EQ_U64(crc32c(first, data + from + size / 3, size - size / 3), whole);
		}
	}
}

CHECK_TEST(test_every_flipped_bit_shows)
{
	unsigned char data[24] = "a record of the journal";
	uint32_t good = crc32c(0, data, sizeof(data));

	for (size_t bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		CHECK(crc32c(0, data, sizeof(data)) != good);
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

CHECK_MAIN("crc32c", test_published_vectors, test_both_ways_agree_at_every_length_offset_and_split,
	   test_every_flipped_bit_shows)
