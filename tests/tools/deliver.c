/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application for tests that makes one delivery and stays until it is ended:
 *
 *	deliver SERVICE EVENT ENDPOINT
 *
 * Prints "delivered" when it has told libvow.
 */
#include <stdio.h>
#include <unistd.h>
#include <vow/vow.h>

int main(int argc, char **argv)
{
	struct vow_delivery delivery;

	if (argc != 4 || vow_open(argv[1])) {
		fprintf(stderr, "deliver SERVICE EVENT ENDPOINT\n");
		return 2;
	}
	vow_delivery_enqueued(&delivery, vow_event(argv[2]), vow_endpoint(argv[3]), 1, 1);
	vow_attempt_begin(&delivery);
	vow_attempt_end(&delivery, 200);
	vow_delivery_delivered(&delivery);
	printf("delivered\n");
	fflush(stdout);
	pause();
	return 0;
}
