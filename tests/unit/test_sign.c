/* SPDX-License-Identifier: Apache-2.0 */
/* The expected signatures were computed with Python's hmac and base64. */
#include <errno.h>
#include <string.h>

#include "deliver/sign.h"
#include "tests/unit/check.h"

CHECK_TEST(test_signature_is_that_of_another_implementation)
{
	static const char body[] = "{\"test\": 2432232314}";
	struct sign_key key;
	char text[SIGN_TEXT_MAX];

	CHECK_OK(sign_key_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &key, NULL));
	CHECK_EQ_U64(key.size, 24);
	CHECK_OK(sign_text(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body),
			   text));
	CHECK_STR(text, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

CHECK_TEST(test_plain_secret_is_taken_as_it_is)
{
	struct sign_key key;
	char text[SIGN_TEXT_MAX];

	CHECK_OK(sign_key_parse("plain secret", &key, NULL));
	CHECK_EQ_U64(key.size, 12);
	CHECK_OK(sign_text(&key, "a", 0, "", 0, text));
	CHECK_STR(text, "v1,niPpPpnrCQo+2BoqVRPHuSeuKra+WUGy8PKJE6YiF+k=");
}

CHECK_TEST(test_no_secret_is_no_key)
{
	struct sign_key key;

	CHECK_OK(sign_key_parse("", &key, NULL));
	CHECK_EQ_U64(key.size, 0);
}

CHECK_TEST(test_broken_base64_is_refused_without_showing_it)
{
	static const char *const broken[] = {"whsec_", "whsec_abc", "whsec_ab*d",
					     "whsec_====", "whsec_abcd\n"};
	struct sign_key key;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct diag d = {0};

		CHECK_RC(sign_key_parse(broken[i], &key, &d), -EINVAL);
		CHECK(!strstr(d.what, "abc"));
		CHECK_EQ_U64(key.size, 0);
	}
}

CHECK_TEST(test_padding_is_no_part_of_the_key)
{
	struct sign_key key;

	CHECK_OK(sign_key_parse("whsec_YQ==", &key, NULL));
	CHECK_EQ_U64(key.size, 1);
	CHECK_MEM(key.bytes, "a", 1);
	CHECK_OK(sign_key_parse("whsec_YWI=", &key, NULL));
	CHECK_EQ_U64(key.size, 2);
}

CHECK_MAIN("sign", test_signature_is_that_of_another_implementation,
	   test_plain_secret_is_taken_as_it_is, test_no_secret_is_no_key,
	   test_broken_base64_is_refused_without_showing_it, test_padding_is_no_part_of_the_key)
