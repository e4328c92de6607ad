/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/retry.h"

static const dur_ns waits[] = {
	500 * NS_PER_MS, 1500 * NS_PER_MS, 4500 * NS_PER_MS, 30 * NS_PER_S,
	5 * NS_PER_MIN,	 15 * NS_PER_MIN,  NS_PER_H,	     4 * NS_PER_H,
};

static const char *const class_names[] = {
	[RETRY_ACCEPTED] = "accepted", [RETRY_DNS] = "dns",	     [RETRY_REFUSED] = "refused",
	[RETRY_TLS] = "tls",	       [RETRY_TIMEOUT] = "timeout",  [RETRY_BROKEN] = "broken",
	[RETRY_HTTP_3XX] = "http3xx",  [RETRY_HTTP_4XX] = "http4xx", [RETRY_HTTP_5XX] = "http5xx",
	[RETRY_DROPPED] = "dropped",
};

const char *retry_class_name(enum retry_class class)
{
	return class_names[class];
}

enum retry_class retry_class_of(long status)
{
	switch (status / 100) {
	case 2:
		return RETRY_ACCEPTED;
	case 3:
		return RETRY_HTTP_3XX;
	case 4:
		return RETRY_HTTP_4XX;
	case 5:
		return RETRY_HTTP_5XX;
	default:
		return RETRY_BROKEN;
	}
}

static bool is_temporary(const struct retry_try *last)
{
	switch (last->class) {
	case RETRY_DNS:
	case RETRY_REFUSED:
	case RETRY_TLS:
	case RETRY_TIMEOUT:
	case RETRY_BROKEN:
		return true;
	case RETRY_HTTP_4XX: /* time-out, misdirected, too early, too many */
		return last->status == 408 || last->status == 421 || last->status == 425 ||
		       last->status == 429;
	case RETRY_HTTP_5XX: /* not implemented, HTTP version */
		return last->status != 501 && last->status != 505;
	case RETRY_ACCEPTED:
	case RETRY_HTTP_3XX:
	case RETRY_DROPPED:
		return false;
	}
	return false;
}

enum retry_verdict retry_step(const struct retry_try *last, double random, dur_ns *wait)
{
	unsigned step = last->number - 1;
	dur_ns chosen;

	if (last->class == RETRY_ACCEPTED)
		return RETRY_DONE;
	if (!is_temporary(last))
		return RETRY_GIVE_UP;
	if (step >= ARRAY_LEN(waits))
		step = ARRAY_LEN(waits) - 1;
	chosen = (dur_ns)((double)waits[step] * random);
	if (chosen < last->retry_after)
		chosen = last->retry_after;
	if (last->age > RETRY_HORIZON || chosen > RETRY_HORIZON - last->age)
		return RETRY_GIVE_UP;
	*wait = chosen;
	return RETRY_AGAIN;
}
