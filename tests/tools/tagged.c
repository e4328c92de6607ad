/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application for tests whose observations have tags, and which stays until it is ended:
 *
 *	tagged SERVICE [ROUTE LATENCY_NS STATUS TAG]...
 *
 * A tag that is "" is none. Prints "observed N" when it has told libvow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vow/vow.h>

int main(int argc, char **argv)
{
	int observed = 0;

	if (argc < 2 || argc % 4 != 2 || vow_open(argv[1])) {
		fprintf(stderr, "tagged SERVICE [ROUTE LATENCY_NS STATUS TAG]...\n");
		return 2;
	}
	for (char **word = argv + 2; *word; word += 4, observed++)
		vow_observe_tagged(vow_route(word[0]), strtoull(word[1], NULL, 10),
				   (unsigned)atoi(word[2]), word[3]);
	printf("observed %d\n", observed);
	fflush(stdout);
	pause();
	return 0;
}
