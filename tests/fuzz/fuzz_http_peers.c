/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers are called by what connections say, against an expression of what a name is and a list
 * of what each address has said. A record is a byte for the address, one for the length of the name,
 * and the name.
 */
#include <regex.h>
#include <sys/socket.h>

#include "collectors/http/http_peers.h"
#include "tests/fuzz/fuzz.h"

enum { ADDRESSES = 8, NAMED = 7, PORT = 443 }; /* NAMED: the configuration has a name for it */

struct told { /* by one address */
	char names[HTTP_PEERS_NAMES + 1][HTTP_PEER_NAME];
	unsigned count;
};

static regex_t host_and_port;

/* The name of these bytes, "" when they are none. */
static void expected_text(const char said[HTTP_PEER_NAME], char text[HTTP_PEERS_TEXT + 1])
{
	char name[HTTP_PEER_NAME + 1] = "";
	const char *port;

	memcpy(name, said, HTTP_PEER_NAME);
	text[0] = '\0';
	if (regexec(&host_and_port, name, 0, NULL, 0) != 0)
		return;
	port = strchr(name, ':');
	if (port && atol(port + 1) > 65535)
		return;
	if (port)
		snprintf(text, HTTP_PEERS_TEXT + 1, "%s", name);
	else
		snprintf(text, HTTP_PEERS_TEXT + 1, "%s:%d", name, PORT);
}

static void told_add(struct told *told, const char said[HTTP_PEER_NAME])
{
	for (unsigned i = 0; i < told->count; i++)
		if (memcmp(told->names[i], said, HTTP_PEER_NAME) == 0)
			return;
	if (told->count <= HTTP_PEERS_NAMES)
		memcpy(told->names[told->count++], said, HTTP_PEER_NAME);
}

static void check_record(struct http_peers *peers, struct told *told, struct http_record *r)
{
	static const char zeros[HTTP_PEERS_TEXT];
	const char *said = (const char *)r->peer.words, *text;
	char expected[HTTP_PEERS_TEXT + 1] = "";

	if (r->peer.words[0])
		told_add(told, said);
	else
		said = told->count == 1 ? told->names[0] : "";
	if (said[0] && told->count <= HTTP_PEERS_NAMES)
		expected_text(said, expected);
	if (r->remote_address[3] == NAMED)
		expected[0] = '\0';
	text = http_peers_name(peers, r);
	FUZZ_CHECK(strlen(text) < HTTP_PEERS_TEXT && strcmp(text, expected) == 0);
	if (text[0])
		FUZZ_CHECK(!memcmp(text + strlen(text), zeros, HTTP_PEERS_TEXT - strlen(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct peer_address named = {
		.address = {[10] = 0xff, 0xff, 10, 0, 0, NAMED}, .bits = 128, .name = "payments"};
	const struct vow_config config = {
		.capture_peer_names = true, .peers = &named, .peer_count = 1};
	struct fuzz_input input = {bytes, bytes + size};
	struct told told[ADDRESSES] = {0};
	struct http_peers *peers = http_peers_new(&config);
	static int compiled = -1;

	if (compiled)
		compiled =
			regcomp(&host_and_port, /* Its last part has a letter: it is no address. */
				"^([a-z0-9_-]+\\.)*[0-9_-]*[a-z][a-z0-9_-]*(:[1-9][0-9]{0,4})?$",
				REG_EXTENDED | REG_NOSUB);
	FUZZ_CHECK(!compiled && peers);
	while (fuzz_left(&input)) {
		unsigned which = (unsigned)fuzz_number(&input, 1) % ADDRESSES;
		size_t length = (size_t)fuzz_number(&input, 1) % (HTTP_PEER_NAME + 1);
		struct http_record r = {.role = HTTP_CLIENT,
					.family = AF_INET,
					.remote_port = PORT,
					.remote_address = {10, 0, 0, (uint8_t)which}};

		fuzz_copy(&input, r.peer.words, length);
		check_record(peers, &told[which], &r);
	}
	http_peers_free(peers);
	return 0;
}
